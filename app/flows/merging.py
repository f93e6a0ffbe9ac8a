"""What several lines say of one flow → one record, in whatever order they come."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from app.flows.records import FlowRecord

T = TypeVar("T")

MOST_VIOLATIONS = 8
MOST_FLOWS = 500_000

Key = tuple[str, str, str]


class TooManyFlows(Exception):
    """More flows than memory shall hold. To give some of them half-told would make evidence of what is missing."""


def key(record: FlowRecord) -> Key:
    return record.tool, record.sensor, record.flow_id


def is_whole(record: FlowRecord) -> bool:
    """Whether the line that describes the flow itself is in it: Zeek's conn, Suricata's flow event."""
    return bool(record.state)


def combined(first: FlowRecord, second: FlowRecord) -> FlowRecord:
    """Of the same flow. The same whichever way round, and however parts are grouped.

    The ends, the start and the transport are as conn and flow events have them; other lines may date from the middle.
    """
    if first == second:
        return first
    return FlowRecord(
        first.tool,
        first.sensor,
        first.flow_id,
        **{name: _best(first, second, name, min) for name in ("started_at", "origin", "responder")},
        **{name: _best(first, second, name, max) for name in ("transport", "community_id")},
        **{name: _either(getattr(first, name), getattr(second, name)) for name in _EITHER},
        services=first.services | second.services,
        failed_services=first.failed_services | second.failed_services,
        violations=tuple(sorted({*first.violations, *second.violations})[:MOST_VIOLATIONS]),
        one_sided=first.one_sided or second.one_sided,
    )


def merged(parts: Iterable[FlowRecord], most_flows: int = MOST_FLOWS) -> Iterator[FlowRecord]:
    """One record a flow, by start. All parts are read before the first record comes.

    Raises:
        TooManyFlows: more than `most_flows`, each of which takes about 1 KB.
    """
    flows: dict[Key, FlowRecord] = {}
    for part in parts:
        add(flows, part)
        if len(flows) > most_flows:
            raise TooManyFlows(f"more than {most_flows:,} flows at once: give fewer files")
    yield from sorted(flows.values(), key=lambda flow: (flow.started_at, key(flow)))


def add(flows: dict[Key, FlowRecord], part: FlowRecord) -> None:
    name = key(part)
    known = flows.get(name)
    flows[name] = part if known is None else combined(known, part)


_EITHER = (
    "duration", "tls_version", "server_name", "state", "bytes_out", "bytes_in", "packets_out", "packets_in",
)  # fmt: skip


def _best(first: FlowRecord, second: FlowRecord, name: str, choose: Callable[[T, T], T]) -> Any:
    """The value of the one that is whole; of equals, one that does not depend on the order."""
    if is_whole(first) != is_whole(second):
        return getattr(first if is_whole(first) else second, name)
    return choose(getattr(first, name), getattr(second, name))


def _either(first: Any, second: Any) -> Any:
    """The one that is set; the greater, when both are."""
    if first is None or first == "":
        return second
    return first if second is None or second == "" else max(first, second)
