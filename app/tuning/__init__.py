"""Versions of the knobs: which settings were in force when, for whom, and who changed them why."""
