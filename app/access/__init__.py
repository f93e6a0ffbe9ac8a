"""Who may look: API tokens."""
