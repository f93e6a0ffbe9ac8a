"""Result lines that came through another osquery manager: JSON Lines, taken in as if their nodes had posted them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from uuid import uuid4

import msgspec
from isal import isal_zlib

from app.database import Database, WriteSession
from app.detection.queries import UNDERSTOOD
from app.fleet import store
from app.fleet.enrollment import IDENTIFIER_MAX
from app.fleet.models import Node
from app.fleet.nodes import KnownNode
from app.observations.intake import Intake, Submission
from app.observations.reduction import Clock, Reducer
from app.osquery.protocol import UnreadableBody, decode_log, mend
from app.osquery.results import clean, result_name

GZIP_WINDOW = 31
#: As many as an agent sends at once.
LINES_A_BATCH = 1024


@dataclass(slots=True)
class Receipt:
    """What became of imported lines. `unreadable_lines` are 1-based numbers of those that name no host."""

    lines: int
    rows: int
    nodes: int
    quarantined: int
    unreadable_lines: list[int]


class _Heading(msgspec.Struct):
    hostIdentifier: str  # noqa: N815 - osquery's spelling
    name: str = ""


_HEADING = msgspec.json.Decoder(_Heading)
UNREADABLE_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Importer:
    """Takes lines in for a role. Agents that are enrolled under the same identifier keep their node."""

    database: Database
    intake: Intake
    reducer: Reducer

    async def take(self, text: bytes, role: str, clock: Clock, now: datetime) -> Receipt:
        """Returns when every line is committed; sent again, they change nothing.

        Raises: UnreadableBody when not one line is a result line.
        """
        hosts, unreadable, total = _by_host(mend(text))
        if total and not hosts:
            raise UnreadableBody("no line is an osquery result line with a hostIdentifier")
        receipt = Receipt(total, 0, len(hosts), 0, unreadable[:UNREADABLE_SHOWN])
        for identifier, lines in hosts.items():
            node = await self._node(identifier, _platform(lines), role, now)
            for batch in _batches(lines):
                await self._accept(node, batch, clock, now, receipt)
        return receipt

    async def _accept(self, node: KnownNode, lines: list[bytes], clock: Clock, now: datetime, receipt: Receipt) -> None:
        body = b'{"data":[' + b",".join(lines) + b'],"log_type":"result"}'
        request, _ = decode_log(body)
        reduced = self.reducer.reduce(request.data, node.platform, clock)
        stored = bytes(isal_zlib.compress(body, 1, wbits=GZIP_WINDOW))
        await self.intake.accept(Submission(node, uuid4(), now, "result", stored, reduced))
        receipt.rows += reduced.rows
        receipt.quarantined += sum(each.lines for each in reduced.quarantined.values())

    async def _node(self, identifier: str, platform: str, role: str, now: datetime) -> KnownNode:
        async with self.database.writing() as session:
            await store.lock_host_identifier(session, identifier)
            node = await store.find_node_by_identifier(session, identifier)
            if node is None:
                node = await _added(session, identifier, platform, role, now)
            return KnownNode(node.node_id, node.role_id, node.platform, node.hostname)


async def _added(session: WriteSession, identifier: str, platform: str, role: str, now: datetime) -> Node:
    node_id = await store.insert_node(
        session,
        host_identifier=identifier,
        hardware="",
        hostname=identifier,
        platform=platform,
        role_id=await store.get_or_add_role(session, role),
        osquery_version="",
        details={},
        enrolled_at=now,
    )
    return (await store.get_nodes(session, [node_id]))[0]


def _by_host(text: bytes) -> tuple[dict[str, list[bytes]], list[int], int]:
    """Lines by host identifier, the numbers of those that have none, and how many there are."""
    hosts: dict[str, list[bytes]] = {}
    unreadable, total = [], 0
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        total += 1
        try:
            identifier = clean(_HEADING.decode(line).hostIdentifier)[:IDENTIFIER_MAX]
        except (msgspec.DecodeError, RecursionError):
            identifier = ""
        if identifier:
            hosts.setdefault(identifier, []).append(line)
        else:
            unreadable.append(number)
    return hosts, unreadable, total


def _platform(lines: list[bytes]) -> str:
    """By the first query that belongs to one platform."""
    for line in lines:
        platform, _ = UNDERSTOOD.get(result_name(_HEADING.decode(line).name), (None, None))
        if platform is not None:
            return platform.value
    return "other"


def _batches(lines: list[bytes]) -> Iterator[list[bytes]]:
    rest = iter(lines)
    while batch := list(islice(rest, LINES_A_BATCH)):
        yield batch
