"""How well the detection finds what is labelled, beside what one could use: `python -m tests.measures FOLDER`."""
