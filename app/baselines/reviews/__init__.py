"""Reviews of baselines in force: on a calendar, after a change, after an incident."""
