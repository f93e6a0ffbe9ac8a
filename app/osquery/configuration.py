"""The configuration document: what a node is told to ask and how to report it, as the bytes that are served."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

#: osquery up to 5.23.1 drops the whole schedule when a configuration is larger. Source: osquery/config/config.cpp.
LIMIT_BYTES = 1 << 20

#: Every value is sent each time: an option that disappears keeps its last value until the agent restarts.
OPTIONS: Mapping[str, str | int | bool] = MappingProxyType(
    {
        "pack_delimiter": "/",  # the default `_` cannot be told from an underscore in a name
        "logger_event_type": True,  # a line per row: no line outgrows the limit, and a cut batch loses no execution
        "logger_snapshot_event_type": False,  # an empty snapshot is a fact too, and only this form sends it
        "logger_numerics": False,
        "decorations_top_level": False,  # a decoration could otherwise overwrite a field of the line
        "disable_decorators": False,
        "logger_tls_period": 10,  # each POST costs a TLS handshake; rows of a 60 s query lose nothing by 10 s
        "logger_tls_max_lines": 1024,
        "logger_tls_max_linesize": 16
        << 20,  # a longer line is dropped for good: a snapshot of a large host is one line
        "logger_tls_compress": True,
        "logger_tls_backoff_max": 300,  # the default keeps a node silent for an hour after an outage
        "logger_min_status": 1,  # INFO comes with every configuration
        "tls_disable_status_log": False,
        "buffered_log_max": 1_000_000,
        "schedule_splay_percent": 10,
        "schedule_max_drift": 60,
        "events_expiry": 3600,
        "events_max": 50_000,
        "disable_distributed": False,
        "distributed_interval": 60,
    }
)

#: The instance tells a re-installed agent (counter 0 because its database is new) from a daily resync.
DECORATORS: Mapping[str, Sequence[str]] = MappingProxyType(
    {"load": ("SELECT instance_id, version AS osquery_version FROM osquery_info",)}
)


@dataclass(frozen=True, slots=True)
class QueryDocument:
    """One entry of a pack's `queries`. `startup_priority` is understood from osquery 5.17 and ignored before."""

    name: str
    statement: str
    interval_seconds: int
    snapshot: bool
    removed: bool
    platform: str
    version: str
    denylist: bool
    startup_priority: int | None = None

    def as_json(self) -> dict[str, str | int | bool]:
        document: dict[str, str | int | bool] = {
            "query": self.statement,
            "interval": self.interval_seconds,
            "snapshot": self.snapshot,
            "removed": self.removed,
            "platform": self.platform,
            "version": self.version,
            "denylist": self.denylist,
        }
        if self.startup_priority is not None:
            document["startup_priority"] = self.startup_priority
        return document


@dataclass(frozen=True, slots=True)
class PackDocument:
    name: str
    platform: str
    version: str
    queries: tuple[QueryDocument, ...]

    def as_json(self) -> dict[str, object]:
        queries = {query.name: query.as_json() for query in self.queries}
        return {"platform": self.platform, "version": self.version, "queries": queries}


def configuration(
    packs: Sequence[PackDocument], *, epoch: int, options: Mapping[str, str | int | bool] = OPTIONS
) -> bytes:
    """One line of compact JSON: the agent writes it out again before it hashes it, and must arrive at the same bytes.

    Raises:
        ValueError: it is so large that agents would refuse it, and stop asking anything.
    """
    document = {
        "options": {**options, "schedule_epoch": epoch},
        "decorators": {when: list(statements) for when, statements in DECORATORS.items()},
        "packs": {pack.name: pack.as_json() for pack in packs},
    }
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    if len(body) >= LIMIT_BYTES:
        raise ValueError(f"the configuration has {len(body)} bytes; osquery refuses {LIMIT_BYTES} and more")
    return body


def config_hash(body: bytes) -> str:
    """What `osquery_info.config_hash` shows on a node that runs `body`: one source, so the hash of one hash."""
    return _sha1_hex(_sha1_hex(body).encode())


def _sha1_hex(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()
