"""What a test asks of the database about one node."""

import gzip
from typing import Any

from sqlalchemy import text

from app.database import Database
from app.fleet.nodes import key_hash


async def ask(database: Database, statement: str, **values: Any) -> list[tuple[Any, ...]]:
    async with database.reading() as session:
        return [tuple(row) for row in await session.execute(text(statement), values)]


async def tell(database: Database, statement: str, **values: Any) -> None:
    async with database.writing() as session:
        await session.execute(text(statement), values)


async def node_of(database: Database, node_key: str) -> int:
    found = await ask(database, "SELECT node_id FROM node_keys WHERE key_sha256 = :key", key=key_hash(node_key))
    return int(found[0][0])


async def bodies_of(database: Database, node_id: int) -> list[bytes]:
    """The node's batches as stored, inflated, oldest first."""
    statement = "SELECT body FROM batches WHERE node_id = :node ORDER BY received_at"
    return [gzip.decompress(body) for (body,) in await ask(database, statement, node=node_id)]


async def quarantined_of(database: Database, node_id: int) -> dict[str, int]:
    statement = "SELECT reason, sum(lines) FROM quarantined_lines WHERE node_id = :node GROUP BY reason"
    return {reason: int(lines) for reason, lines in await ask(database, statement, node=node_id)}


async def sightings_of(database: Database, node_id: int) -> set[tuple[str, str, str, str]]:
    """(day, program, direction, port)."""
    statement = """
        SELECT s.day::text, b.name, b.direction, b.bucket FROM sightings s JOIN behaviours b USING (behaviour_id)
        WHERE s.node_id = :node
    """
    return {(day, name, direction, port) for day, name, direction, port in await ask(database, statement, node=node_id)}


async def ports_of(database: Database, node_id: int) -> set[str]:
    return {port for *_, port in await sightings_of(database, node_id)}


async def notices_of(database: Database, node_id: int) -> dict[str, int]:
    return dict(await ask(database, "SELECT kind, total FROM notices WHERE node_id = :node", node=node_id))


async def execution_of(
    database: Database, node_id: int, query: str = "pack/windows_network/outbound"
) -> dict[str, Any]:
    columns = "epoch, counter, rows_total, executions_total, missing_total, restarts_total, resyncs_total"
    statement = f"SELECT {columns} FROM executions WHERE node_id = :node AND query = :query"
    found = await ask(database, statement, node=node_id, query=query)
    return dict(zip(columns.split(", "), found[0], strict=True))
