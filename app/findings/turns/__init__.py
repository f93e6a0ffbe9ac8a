"""Whoever changes many findings takes turns with whoever judges, and with one another."""
