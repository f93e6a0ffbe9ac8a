"""Drift: what a role shows for the first time, no longer, or on more and more nodes."""
