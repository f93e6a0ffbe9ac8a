"""Findings go back to the queue when something becomes known that may change their judgement."""
