"""Signing in and out, and what everybody may do with their own."""
