"""Runs the pure core over what is stored."""
