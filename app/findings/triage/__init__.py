"""People and findings: states with reasons, what a closing demands, assignment, comments, and more like this."""
