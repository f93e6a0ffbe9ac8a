"""The jobs of each node as stored: kept up from their rows, asked for when a port is judged."""
