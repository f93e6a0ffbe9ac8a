"""A package, so that `python -m tests.…` finds this folder before one that a dependency installs by that name."""
