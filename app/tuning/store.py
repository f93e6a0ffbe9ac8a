"""The SQL of tuning."""
