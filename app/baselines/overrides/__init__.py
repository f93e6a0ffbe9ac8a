"""Overrides: where one person asked and decided, because there was nobody else; listed for all to see."""
