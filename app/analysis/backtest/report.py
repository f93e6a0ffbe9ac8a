"""A result on a terminal: what would change first, then how far it can be trusted."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from app.analysis.backtest.document import (
    ChangedLine,
    Changes,
    Example,
    FalsePositives,
    Levels,
    QueryLine,
    Result,
    Said,
    Side,
    Telemetry,
    Triaged,
)
from app.detection.behaviour import NETWORK
from app.detection.evidence import counted

STYLES = {"high": "bold red", "medium": "yellow", "low": "cyan", "none": "dim"}
SHOWN_EXAMPLES = 8
SHOWN_LINES = 6
SHOWN_NAMES = 5
_LEVELS = ("high", "medium", "low")
_DIM = "dim"


def report(result: Result) -> Group:
    """Everything in it comes from agents, so nothing is read as markup."""
    parts = [
        _headline(result),
        _settings(result),
        _sides(result),
        _by_day(result),
        *_changes("Gained", "found by the candidate only", result.gained),
        *_changes("Lost", "found by the settings in force only", result.lost),
        *_shifts(result),
        *_trust(result),
        *_telemetry(result.telemetry),
        *_notes(result.notes),
    ]
    return Group(*(each for part in parts for each in (part, Text())))


def _headline(result: Result) -> RenderableType:
    gained, lost, shifted = result.gained.total, result.lost.total, result.shifts.total
    what = Text.assemble(
        ("gains ", _DIM), (f"{gained:,}", _count_style(gained)),
        ("  loses ", _DIM), (f"{lost:,}", _count_style(lost)),
        ("  shifts ", _DIM), (f"{shifted:,}", _count_style(shifted)),
        ("  of ", _DIM), f"{result.current.findings.all:,} findings",
    )  # fmt: skip
    where = f"{result.nodes:,} nodes, {result.node_days:,} node-days, {result.sightings:,} sightings"
    days = f"{result.first_day} to {result.last_day}; history since {result.history_first_day}"
    body = Group(what, Text(where, style=_DIM), Text(days, style=_DIM))
    return Panel(body, title=Text(f"Backtest of {result.scope}"), title_align="left", padding=(0, 1))


def _count_style(count: int) -> str:
    return "bold" if count else _DIM


def _settings(result: Result) -> RenderableType:
    if not result.settings_changed:
        return Text("The candidate says what is in force already.", style=_DIM)
    table = _table("Knob", "In force", "Candidate")
    for each in result.settings_changed:
        before, after = _value(each.current), _value(each.candidate)
        if isinstance(each.current, list) and isinstance(each.candidate, list):
            before, after = _only(each.current, each.candidate), _only(each.candidate, each.current)
        table.add_row(Text(each.field, style="bold"), Text(before), Text(after))
    return table


def _only(these: Sequence[object], others: Sequence[object]) -> str:
    """Of a list that changes, what the other one has not."""
    own = [str(each) for each in these if each not in others]
    return f"has {', '.join(own)}" if own else "-"


def _value(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "nothing"
    return "-" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _sides(result: Result) -> RenderableType:
    table = _table("Findings", *_LEVELS, "alerts per 100 nodes and day", numbers=True)
    for name, side in (("in force", result.current), ("candidate", result.candidate)):
        table.add_row(name, *_counts(side.findings), _rate(side))
    change = [getattr(result.candidate.findings, level) - getattr(result.current.findings, level) for level in _LEVELS]
    rate = result.candidate.alerts_per_100_nodes_and_day - result.current.alerts_per_100_nodes_and_day
    table.add_section()
    table.add_row("change", *(_signed(each) for each in change), _signed(rate, "+.2f"))
    return table


def _rate(side: Side) -> str:
    return f"{side.alerts_per_100_nodes_and_day:.2f}"


def _signed(change: float, form: str = "+,d") -> Text:
    return Text(f"{change:{form}}" if change else "±0", style="bold" if change else _DIM)


def _by_day(result: Result) -> RenderableType:
    table = _table("Opened on", "nodes", "in force", "candidate", "rows kept", numbers=True)
    for each in result.days:
        kept = 1 - each.without_row / each.sightings if each.sightings else 1.0
        table.add_row(str(each.day), f"{each.nodes:,}", _mixed(each.current), _mixed(each.candidate), _share(kept))
    for day in result.telemetry.days_without_sightings:
        table.add_row(str(day), "0", Text("no sightings", style=_DIM), "", "")
    return table


def _mixed(levels: Levels) -> Text:
    """High, medium and low of a day, each in its colour."""
    counts = [getattr(levels, level) for level in _LEVELS]
    parts = [(f"{count:>5,}", STYLES[level] if count else _DIM) for level, count in zip(_LEVELS, counts, strict=True)]
    return Text.assemble(*parts)


def _counts(levels: Levels) -> Iterator[Text]:
    return (Text(f"{getattr(levels, level):,}", style=STYLES[level]) for level in _LEVELS)


def _changes(title: str, meaning: str, changes: Changes) -> Iterator[RenderableType]:
    if not changes.total:
        return
    yield Group(
        Rule(Text(f"{title}: {changes.total:,} {meaning}"), align="left", style=_DIM),
        _breakdown("by analytic", changes.by_analytic),
        _breakdown("by role", changes.by_role),
        _breakdown("by program", changes.by_program, changes.programs_not_listed),
    )
    yield _examples(changes.examples, changes.total)


def _breakdown(word: str, counts: Mapping[str, int], not_listed: int = 0) -> Text:
    shown = list(counts.items())[:SHOWN_NAMES]
    more = len(counts) - len(shown) + not_listed
    said = ", ".join(f"{name or 'without'} {count:,}" for name, count in shown)
    return Text.assemble((f"{word:<12}", _DIM), said, (f" and {more:,} more" if more else "", _DIM))


def _examples(examples: Sequence[Example], total: int) -> RenderableType:
    """The gravest of each behaviour, with how many nodes it stands for."""
    alike: dict[tuple[str, ...], list[Example]] = {}
    for each in examples:
        where = (each.role, each.program, each.unit, each.direction, each.transport, each.port)
        alike.setdefault((*where, each.severity_before, each.severity_after), []).append(each)
    table = _table("Score", "Node", "Behaviour, and the lines of evidence that change", lines=True)
    for group in list(alike.values())[:SHOWN_EXAMPLES]:
        first, others = group[0], len({each.node_id for each in group}) - 1
        more = f"\n+ {counted(others, 'node')}" if others else ""
        table.add_row(_scores(first), Text(f"{first.hostname}\n{first.role}{more}"), _behaviour(first))
    if len(alike) > SHOWN_EXAMPLES or total > len(examples):
        shown = f"{min(SHOWN_EXAMPLES, len(alike))} of {counted(len(alike), 'behaviour')}"
        return Group(
            table, Text(f"the gravest {shown} among {len(examples):,} examples; --output has them", style=_DIM)
        )
    return table


def _scores(each: Example) -> Text:
    return Text.assemble(
        (f"{each.score_before} {each.severity_before}", STYLES[each.severity_before]),
        ("\n→ ", _DIM),
        (f"{each.score_after} {each.severity_after}", STYLES[each.severity_after]),
    )


def _behaviour(each: Example) -> Group:
    unit = f" ({each.unit})" if each.unit else ""
    port = f" {each.transport}/{each.port}" if each.direction in NETWORK else f" {each.port}"
    head = Text.assemble((f"{each.program}{unit}", "bold"), f" {each.direction}{port}", (f"  {each.day}", _DIM))
    lines = [_line(line) for line in each.changed_lines[:SHOWN_LINES]]
    if not each.changed_lines:
        lines = [Text("the same evidence: only the levels differ", style=_DIM)]
    if len(each.changed_lines) > SHOWN_LINES:
        lines.append(Text(f"and {len(each.changed_lines) - SHOWN_LINES} more lines", style=_DIM))
    return Group(head, *lines)


def _line(line: ChangedLine) -> Text:
    weights = f"{_points(line.before):>5} → {_points(line.after):<5} "
    said = line.after or line.before
    return Text.assemble((weights, "bold"), (said.text if said else "", _DIM))


def _points(said: Said | None) -> str:
    return "-" if said is None else f"{said.points:+g}" if said.points else "0"


def _shifts(result: Result) -> Iterator[RenderableType]:
    shifts = result.shifts
    if not shifts.total:
        return
    said = [
        Text.assemble((f"{each.before:>8}", STYLES[each.before]), " → ", (f"{each.after:<8}", STYLES[each.after]),
                      f"{each.findings:,}")
        for each in shifts.shifts
    ]  # fmt: skip
    title = Text(f"Shifted: {shifts.total:,} found by both, with another severity")
    yield Group(Rule(title, align="left", style=_DIM), *said)
    yield _examples(shifts.examples, shifts.total)


def _trust(result: Result) -> Iterator[RenderableType]:
    found = result.agreement
    share = f"{found.same:,} of {found.stored:,} findings opened in these days come out with the same score"
    rest = (
        (found.other_score, "with another"),
        (found.not_found_again, "not again"),
        (found.found_only_now, "are found only now"),
    )
    others = ", ".join(f"{count:,} {words}" for count, words in rest if count)
    changed = (
        f" {counted(found.other_settings, 'was', 'were')} judged by other settings." if found.other_settings else ""
    )
    agreement = Text(f"Judged again as it is in force, {share}{'; ' + others if others else ''}.{changed}")
    yield Group(
        Rule(Text("How far it can be trusted"), align="left", style=_DIM),
        agreement,
        Text(f"False positives: {_false_positives(result.false_positives)}."),
    )


def _false_positives(said: FalsePositives) -> str:
    if said.current is None or said.candidate is None:
        return said.note
    return f"{said.triaged:,} {said.note}; in force {_triaged(said.current)}, candidate {_triaged(said.candidate)}"


def _triaged(side: Triaged) -> str:
    rate = f" ({_share(side.rate)})" if side.rate is not None else ""
    return f"finds {side.found:,}, {side.false_positives:,} of them false{rate}"


def _telemetry(telemetry: Telemetry) -> Iterator[RenderableType]:
    starts = telemetry.process_starts
    rate = f"{_share(starts.rate)} of {starts.connections:,}" if starts.rate is not None else "none"
    sources = ", ".join(f"{count:,} by {source}" for source, count in starts.by_source.items())
    table = _table("Query", "every", "sees 1 s", "5 s", "60 s", "nodes", numbers=True)
    for each in telemetry.queries:
        if each.sees:
            table.add_row(*_query(each))
    yield Group(
        Rule(Text("What could be seen"), align="left", style=_DIM),
        Text(f"Outbound connections whose process start is known: {rate}{f' ({sources})' if sources else ''}."),
        Text(_short_lived(telemetry.queries)),
        *_silent([each for each in telemetry.queries if not each.sees]),
        *_bare(telemetry.days_without_batches),
        Text(),
        table,
    )


def _short_lived(queries: Sequence[QueryLine]) -> str:
    sources = [f"{_named(each)} on {each.nodes_reporting:,}" for each in queries if _is_source(each)]
    if sources:
        return f"Short connections are seen, whatever the poll, by {', '.join(sources)} nodes."
    return "No event source reports, so a connection shorter than the poll is seen as rarely as the table says."


def _is_source(each: QueryLine) -> bool:
    return each.sees_short and each.nodes_reporting > 0


def _query(each: QueryLine) -> Iterator[str | Text]:
    """A query that nobody reports sees nothing."""
    style = "" if each.nodes_reporting else _DIM
    yield Text(_named(each), style=style)
    yield Text("events" if each.sees_short else f"{each.interval_seconds} s", style=style)
    yield from (
        Text(_share(share) if each.nodes_reporting else "-", style=style) for share in (each.sees or {}).values()
    )
    nodes = f"{each.nodes_reporting:,} of {each.nodes:,}"
    yield Text(nodes, style=style or ("yellow" if each.nodes_reporting < each.nodes else ""))


def _named(each: QueryLine) -> str:
    return each.query.removeprefix("pack/")


def _silent(queries: Sequence[QueryLine]) -> Iterator[Text]:
    """Queries of inventory, which no connection slips through."""
    nowhere = [_named(each) for each in queries if not each.nodes_reporting]
    partly = [each for each in queries if 0 < each.nodes_reporting < each.nodes]
    missing = [f"{_named(each)} on {each.nodes - each.nodes_reporting:,} of {each.nodes:,}" for each in partly]
    for title, names in (("Reported by no node", nowhere), ("Missing on some nodes", missing)):
        if names:
            more = f" and {len(names) - SHOWN_NAMES:,} more" if len(names) > SHOWN_NAMES else ""
            yield Text.assemble((f"{title}: ", "yellow"), ", ".join(names[:SHOWN_NAMES]), more)


def _bare(days: Iterable[date]) -> Iterator[Text]:
    if said := ", ".join(map(str, days)):
        yield Text.assemble(("Days without batches: ", "yellow"), said)


def _notes(notes: Sequence[str]) -> Iterator[RenderableType]:
    table = Table.grid(padding=(0, 1, 0, 0))
    for note in notes:
        table.add_row("·", Text(note, style=_DIM))
    yield table


def _share(share: float) -> str:
    percent = share * 100
    return f"{percent:.0f} %" if percent >= 10 or not percent else f"{percent:.1f} %"  # noqa: PLR2004


def _table(first: str, *others: str, numbers: bool = False, lines: bool = False) -> Table:
    padding = (0, 2, 1, 0) if lines else (0, 2, 0, 0)
    table = Table(box=None, header_style="bold", padding=padding)
    table.add_column(first, no_wrap=numbers)
    for name in others:
        table.add_column(name, justify="right" if numbers else "left")
    return table
