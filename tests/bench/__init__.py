"""The benchmark: `make bench`. What intake, TLS, memory and judging cost on this machine, beside rivals in one run."""
