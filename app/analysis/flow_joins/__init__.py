"""Flows that are stored, joined with the connections that are judged."""
