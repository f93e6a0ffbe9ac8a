"""Exceptions: deviations that people accept for a time, seen and counted all the same."""
