"""What one node logs on one day: the day's full sets, then what changed. Ordinary life with its ordinary novelty."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

from app.simulator.connection import VERSION
from app.simulator.identity import Identity
from app.simulator.lines import Columns, Execution, result_lines, status_line
from app.simulator.nodes import Node
from app.simulator.outbox import Line
from app.simulator.processes import Bound, Day, Link, Process, bound_ports, clients, links, running
from app.simulator.rows import rows_of

HEARTBEAT = "pack/telemetry/heartbeat"

DAY_OFF_SHARE = 0.05
LOST_ANSWER_SHARE = 0.02
STATUS_SHARE = 0.1
OPEN_FROM_START_SHARE = 0.8
CLOSED_SHARE = 0.2
CHANGES = 2  #: executions a day that find a change, after the full set


@dataclass(frozen=True, slots=True)
class Logged:
    """A node's day. Unreachable: lines wait for a later day. Loses answer: sends what was acknowledged once more."""

    results: tuple[Line, ...] = ()
    statuses: tuple[Line, ...] = ()
    reachable: bool = True
    loses_answer: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """A row that a query shows from one execution on, until another or the end of the day."""

    columns: Columns
    opens: int
    closes: int | None = None


@dataclass(frozen=True, slots=True)
class Activity:
    """What the network queries see of a node in a day; `owners` are the processes that own any of it."""

    links: tuple[Span, ...]
    ports: tuple[Span, ...]
    owners: tuple[Process, ...]


def logged(node: Node, day: Day, *, config_hash: str, also: Iterable[Execution] = ()) -> Logged:
    """The whole day of a node, `also` woven in. The same arguments give the same bytes."""
    dice = node.dice(day.index, "habits")
    off = dice.random() < DAY_OFF_SHARE and day.days_ago > 0 and node.habits.ordinary
    if off or day.index < node.habits.joins or _within(day, node.habits.silent):
        return Logged()
    executions = [*executions_of(node, day), *heartbeats(node.identity, day, config_hash), *also]
    executions.sort(key=lambda execution: execution.at)
    return Logged(
        results=tuple(result_lines(node.identity, executions, epoch=day.epoch, counters={})),
        statuses=tuple(_statuses(node, day, dice)),
        reachable=not _within(day, node.habits.unreachable),
        loses_answer=dice.random() < LOST_ANSWER_SHARE,
    )


def executions_of(node: Node, day: Day) -> Iterator[Execution]:
    """Every query's full set in the day's first hour, then the changes of the network queries."""
    rows, dice = rows_of(node), node.dice(day.index, "times")
    begun = day.since + dice.randint(60, 3000)
    times = sorted(dice.randint(begun + 900, day.until - 600) for _ in range(CHANGES))
    processes = running(node, day)
    seen = activity(node, day, processes)
    yield from _changes(rows.OUTBOUND, seen.links, [begun, *times])
    yield from _changes(rows.LISTENING, seen.ports, [begun + 5, *(at + 300 for at in times)])
    yield Execution(rows.SIGNATURES, begun + 40, tuple(rows.signatures(seen.owners, day=day)))
    yield Execution(rows.INVENTORY, begun + 60, tuple(rows.inventory(node, processes)))


def activity(node: Node, day: Day, processes: Iterable[Process]) -> Activity:
    rows = rows_of(node)
    link_spans: list[Span] = []
    port_spans: list[Span] = []
    owners = []
    for process in processes:
        dice = node.dice(day.index, process.program.key, "sockets")
        new_today = process.program.arrives_days_ago == day.days_ago
        mine, ports = sockets_of(process, node, dice)
        link_spans += [_span(rows.outbound(link), dice, new_today=new_today) for link in mine]
        port_spans += [Span(rows.listening(bound), 1 if new_today else 0) for bound in ports]
        if mine or ports:
            owners.append(process)
    return Activity(tuple(link_spans), tuple(port_spans), tuple(owners))


def sockets_of(process: Process, node: Node, dice: Random) -> tuple[list[Link], list[Bound]]:
    """The connections and bound ports of a process, whoever opened them."""
    mine, ports = list(links(process, node, dice)), list(bound_ports(process, node, dice))
    mine += [client for listen, bound in ports for client in clients(listen, bound, node, dice)]
    return mine, [bound for _, bound in ports]


def heartbeats(identity: Identity, day: Day, config_hash: str) -> Iterator[Execution]:
    """One as the day begins and one as it ends: two minutes apart in reality, which no history of a demo needs."""
    for at in (day.since + 30, day.until - 30):
        columns = heartbeat_columns(identity, at, config_hash)
        yield Execution(HEARTBEAT, at, (columns,), snapshot=True)


def heartbeat_columns(identity: Identity, at: int, config_hash: str) -> Columns:
    return {
        "version": VERSION,
        "instance_id": identity.instance_id,
        "uuid": identity.host_identifier,
        "pid": "4312",
        "watcher": "3980",
        "start_time": str(at - at % 86_400),
        "config_hash": config_hash,
        "config_valid": "1" if config_hash else "0",
        "extensions": "inactive",
        "resident_size": "48234496",
        "user_time": str(at % 86_400 // 9),
        "system_time": str(at % 86_400 // 21),
        "unix_time": str(at),
    }


def _changes(query: str, spans: Sequence[Span], times: Sequence[int]) -> Iterator[Execution]:
    """The executions that had a difference: an execution without one is not logged and takes no number."""
    for number, at in enumerate(times):
        added = tuple(span.columns for span in spans if span.opens == number)
        removed = tuple(span.columns for span in spans if span.closes == number)
        if added or removed:
            yield Execution(query, at, added, removed)


def _span(columns: Columns, dice: Random, *, new_today: bool) -> Span:
    first = 1 if new_today else 0
    opens = first if dice.random() < OPEN_FROM_START_SHARE else dice.randint(max(first, 1), CHANGES)
    closes = opens + 1 if opens < CHANGES and dice.random() < CLOSED_SHARE else None
    return Span(columns, opens, closes)


def _statuses(node: Node, day: Day, dice: Random) -> Iterator[Line]:
    if dice.random() < STATUS_SHARE:
        at = dice.randint(day.since + 600, day.until - 60)
        yield status_line(node.identity, at, f"Scheduled query may have failed: {rows_of(node).SIGNATURES}")


def _within(day: Day, days: tuple[int, int]) -> bool:
    return days[0] <= day.index < days[1]
