"""How processes began: kept for a few days, joined with connections, counted for the coverage."""
