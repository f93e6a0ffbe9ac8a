"""Entries proposed from history: what enough nodes of a role showed on enough days, signed by one known signer."""
