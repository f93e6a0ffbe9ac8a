"""What is installed on nodes, and what people approved."""
