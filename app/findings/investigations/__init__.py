"""Investigations: reviewed questions to the node behind a finding, and its answers, kept as evidence."""
