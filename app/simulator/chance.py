"""Seeded chance: the same names give the same fleet every time, on every machine."""

from random import Random


def chance(*names: object) -> Random:
    return Random("/".join(map(str, names)))  # noqa: S311 - dice of a play, no secret depends on them
