"""Judges stored history under the settings in force and under a candidate, and says what would change.

How the history before a day comes back without a sighting in memory: the tables of the statistics exist a second time,
as temporary tables of the same names on one connection, which PostgreSQL finds before the real ones. They are filled
with what was seen before the first day and then grow day by day by the very statements of the live judging, in
read-only transactions, in which PostgreSQL refuses every write but those into temporary tables.
"""
