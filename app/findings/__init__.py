"""What a person must judge."""
