"""What an admin does with operators and API tokens."""
