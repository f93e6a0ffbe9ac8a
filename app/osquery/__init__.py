"""PURE: the agent's language: requests, result lines, the configuration document."""
