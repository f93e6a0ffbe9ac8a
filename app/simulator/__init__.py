"""A fleet of Windows and macOS agents that speaks the real protocol.

scenario → nodes (profiles) → life + plants → lines → agent → connection → the server
"""
