"""What an auditor does with the audit log: list it, export it, check its chain, each day also by itself."""
