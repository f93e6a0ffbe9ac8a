"""Who may do what: operators, their sign-ins and duties, API tokens, and the log of what was done."""
