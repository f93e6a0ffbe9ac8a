"""Which configuration a node is served, and in which of the day's epochs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from app.collection.packs import Pack
from app.osquery.configuration import config_hash, configuration

PHASES = 24
#: What a node is that is neither Windows nor macOS: it gets the packs for any platform.
OTHER_PLATFORM = "other"
_OWN_PLATFORMS = frozenset({"windows", "darwin"})


def osquery_name(platform: str) -> str:
    """What osquery calls a platform of ours."""
    return "darwin" if platform == "macos" else platform


@dataclass(frozen=True, slots=True)
class ServedConfiguration:
    """`config_hash` is what the node reports in its heartbeat once it runs `body`."""

    body: bytes
    config_hash: str
    epoch: int


def configuration_for(packs: Sequence[Pack], platform: str, *, node_phase: int, now: datetime) -> ServedConfiguration:
    """The configuration of a node of `platform` (`windows`, `darwin`, else telemetry only) at this hour."""
    known = platform if platform in _OWN_PLATFORMS else OTHER_PLATFORM
    return _served(tuple(packs), known, resync_epoch(now, node_phase=node_phase))


def resync_epoch(now: datetime, *, node_phase: int) -> int:
    """A day number that turns at an hour of the node's own; `node_phase` is any stable whole number of the node.

    A differential query says nothing while nothing changes: a listener that stays open, or a connection held for a
    week, would be sighted on its first day only. Under a new epoch the agent sends the full state once more with
    counter 0. So each node tells its whole state once a day, and what an agent or server lost heals by itself. The
    phase spreads the turn over the 24 hours, so that the fleet does not do it in the same minute. See
    docs/decisions/0004-daily-resync.md.
    """
    hours = int(now.timestamp()) // 3600
    return (hours + node_phase % PHASES) // 24


@lru_cache(maxsize=32)
def _served(packs: tuple[Pack, ...], platform: str, epoch: int) -> ServedConfiguration:
    body = configuration([pack.document() for pack in packs if pack.serves(platform)], epoch=epoch)
    return ServedConfiguration(body=body, config_hash=config_hash(body), epoch=epoch)
