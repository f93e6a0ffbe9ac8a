"""Whom we watch: nodes, enroll secrets, roles."""
