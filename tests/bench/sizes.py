"""What lies in the database after a run, by what it is made of."""

from dataclasses import dataclass

import psycopg

_SIZE = """
SELECT coalesce(sum(pg_total_relation_size(relid)), 0)
FROM unnest(%s::text[]) AS root,
     LATERAL (SELECT root::regclass AS relid UNION SELECT relid FROM pg_partition_tree(root::regclass)) AS parts
"""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes with indexes."""

    rows: int
    sightings: int
    batch_bytes_per_row: float  #: the batches as received
    bytes_per_sighting: float  #: sightings, and what waits of them for analysis
    wide_bytes_per_row: float  #: a rival's table of all rows


def measure_sizes(connection: psycopg.Connection) -> Sizes:
    rows = _count(connection, "SELECT coalesce(sum(rows), 0) FROM batches")
    sightings = _count(connection, "SELECT count(*) FROM sightings")
    wide = _count(connection, "SELECT count(*) FROM wide_copy")
    return Sizes(
        rows,
        sightings,
        _bytes(connection, "batches") / max(rows, 1),
        _bytes(connection, "sightings", "fresh_sightings") / max(sightings, 1),
        _bytes(connection, "wide_copy") / max(wide, 1),
    )


def _count(connection: psycopg.Connection, query: str) -> int:
    row = connection.execute(query).fetchone()  # type: ignore[arg-type]
    assert row
    return int(row[0])


def _bytes(connection: psycopg.Connection, *tables: str) -> int:
    row = connection.execute(_SIZE, [list(tables)]).fetchone()
    assert row
    return int(row[0])
