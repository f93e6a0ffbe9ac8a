"""Which node a key belongs to. Keys are random, kept only as hashes, and remembered for seconds."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from secrets import token_urlsafe

from app.access.actor import Actor
from app.access.audit.actions import Action
from app.access.audit.deed import Deed
from app.access.audit.record import record
from app.clock import utc_now
from app.database import Database
from app.fleet import store
from app.problems import NotFound

NODE_KEY_BYTES = 32
CACHE_MAX = 600_000
#: Keys that nobody used for so long are forgotten rather than asked for again.
IDLE_SECONDS = 900.0
ASKED_MAX = 5_000


@dataclass(frozen=True, slots=True)
class KnownNode:
    """What the hot path needs of a node."""

    node_id: int
    role_id: int
    platform: str
    hostname: str


def new_node_key() -> str:
    return token_urlsafe(NODE_KEY_BYTES)


def key_hash(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogatepass")).digest()


async def revoke_node(database: Database, node_id: int, actor: Actor, now: datetime) -> None:
    """Its keys go, and it may not enroll again. Raises: NotFound."""
    async with database.writing() as session:
        if not await store.revoke_node(session, node_id, now):
            raise NotFound(f"no node {node_id} that is not revoked already")
        record(session, actor, Deed(Action.NODE_REVOKED, "node", str(node_id)))


@dataclass(slots=True)
class _Kept:
    node: KnownNode
    fresh_until: float
    used_at: float


class NodeKeys:
    """Key → node, asked of the database once in `cache_seconds`, so a revocation takes at most that long.

    Agents post more seldom than that, so the first who finds its key stale asks for all that are. Only keys that exist
    are remembered: guessing cannot fill the memory.
    """

    def __init__(self, database: Database, cache_seconds: float, now: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._cache_seconds = cache_seconds
        self._now = now
        self._kept: dict[bytes, _Kept] = {}
        self._refreshing = asyncio.Lock()

    async def find(self, key: str) -> KnownNode | None:
        """None only when the key is certainly unknown, retired or revoked; a failing database raises."""
        if not key:
            return None
        hashed = key_hash(key)
        kept = self._kept.get(hashed)
        if kept is None:
            return (await self._ask([hashed])).get(hashed)
        kept.used_at = began = time.monotonic()
        if began >= kept.fresh_until:
            async with self._refreshing:
                await self._refresh(hashed, began)
            kept = self._kept.get(hashed)
        return kept.node if kept else None

    async def _refresh(self, wanted: bytes, began: float) -> None:
        """Ask for what is stale, unless who had the turn before has done so."""
        kept = self._kept.get(wanted)
        if kept is None or kept.fresh_until > began:
            return
        soon = time.monotonic() + self._cache_seconds / 2
        stale = [hashed for hashed, each in self._kept.items() if each.fresh_until <= soon]
        idle = {hashed for hashed in stale if self._kept[hashed].used_at < began - IDLE_SECONDS}
        asked = [wanted, *(hashed for hashed in stale if hashed not in idle and hashed != wanted)][:ASKED_MAX]
        found = await self._ask(asked)
        for hashed in idle.union(asked) - found.keys():
            self._kept.pop(hashed, None)

    async def _ask(self, keys: Sequence[bytes]) -> dict[bytes, KnownNode]:
        """Those of the keys that are valid, which are remembered."""
        began = time.monotonic()
        async with self._database.reading() as session:
            found = await store.find_keys(session, keys, self._now())
        if len(self._kept) >= CACHE_MAX:
            self._kept.clear()
        for hashed, values in found.items():
            used_at = self._kept[hashed].used_at if hashed in self._kept else began
            self._kept[hashed] = _Kept(KnownNode(*values), began + self._cache_seconds, used_at)
        return {hashed: self._kept[hashed].node for hashed in found}
