"""Reads the audit log, exports it, checks its chain each day, and writes down when a server starts and stops."""
