"""DOOR 1: osquery's endpoints."""
