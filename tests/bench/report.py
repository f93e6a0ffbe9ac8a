"""The figures of a run as tables for people."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields

from rich.console import Console
from rich.table import Table

from tests.bench.audit import Audit
from tests.bench.judging import Judging
from tests.bench.measures import Figures
from tests.bench.memory import Memory
from tests.bench.sizes import Sizes

MIB = 1024 * 1024


@dataclass(slots=True)
class Measured:
    """`intake` and `tls`: one entry a round for each line of the table."""

    machine: dict[str, str | float] = field(default_factory=dict)
    intake: dict[str, list[Figures]] = field(default_factory=dict)
    ratios: dict[str, list[float]] = field(default_factory=dict)
    tls: dict[str, list[Figures]] = field(default_factory=dict)
    sizes: Sizes | None = None
    memory: Memory | None = None
    judging: list[Judging] = field(default_factory=list)
    audit: Audit | None = None


def median_of(rounds: Sequence[Figures]) -> Figures:
    """Each figure's own median."""
    return Figures(
        **{each.name: statistics.median(getattr(one, each.name) for one in rounds) for each in fields(Figures)}
    )


def show(measured: Measured, console: Console) -> None:
    console.print("  ".join(f"{name} {value}" for name, value in measured.machine.items()), style="dim")
    if measured.intake:
        console.print(_loads("Intake, 50-row gzip batches, medians of the rounds", measured.intake, per="row"))
        console.print(_ratios(measured.ratios))
    if measured.tls:
        console.print(_loads("TLS, one worker, nothing new", measured.tls, per="request"))
    for line in _sentences(measured):
        console.print(line)


def _loads(title: str, loads: dict[str, list[Figures]], *, per: str) -> Table:
    table = Table(title=title, title_justify="left")
    for heading in ("", "rows/s", "lowest to highest", "requests/s", "p50 ms", "p95", "p99"):
        table.add_column(heading, justify="right" if heading else "left")
    for heading in (f"app µs/{per}", f"Postgres µs/{per}", "worker MiB", "load cores"):
        table.add_column(heading, justify="right")
    for name, rounds in loads.items():
        table.add_row(name, *_cells(rounds, factor=1 if per == "row" else 50))
    return table


def _cells(rounds: list[Figures], *, factor: int) -> Iterable[str]:
    middle, rates = median_of(rounds), [each.rows_per_second for each in rounds]
    yield f"{middle.rows_per_second:,.0f}"
    yield f"{min(rates):,.0f} - {max(rates):,.0f}"
    yield f"{middle.requests_per_second:,.0f}"
    for value in (middle.p50_ms, middle.p95_ms, middle.p99_ms):
        yield f"{value:.0f}"
    for value in (middle.app_us_per_row, middle.postgres_us_per_row):
        yield f"{value * factor:.1f}"
    yield f"{middle.worker_rss_mib:.0f}"
    yield f"{middle.load_cores:.2f}"


def _ratios(ratios: dict[str, list[float]]) -> Table:
    table = Table("", "median", "each round", title="Rows/s in proportion, within a round", title_justify="left")
    for name, values in ratios.items():
        table.add_row(name, f"{statistics.median(values):.2f}", "  ".join(f"{value:.2f}" for value in values))
    return table


def _sentences(measured: Measured) -> Iterable[str]:
    if measured.sizes:
        sizes = measured.sizes
        yield (
            f"Stored: {sizes.batch_bytes_per_row:.0f} bytes a row as received, "
            f"{sizes.bytes_per_sighting:.0f} a sighting; a wide table of all rows {sizes.wide_bytes_per_row:.0f} a row."
        )
    if measured.memory:
        memory = measured.memory
        yield (
            f"Memory: {memory.full_rss_bytes / MIB:.0f} MiB with {memory.sightings:,} sightings known "
            f"({memory.nodes:,} nodes), {memory.empty_rss_bytes / MIB:.0f} without."
        )
    for each in measured.judging:
        yield (
            f"Judging one deviation, history of {each.sightings:,} sightings:"
            f" {each.milliseconds:.1f} ms, {each.rows_read} rows read."
        )
    if measured.audit:
        audit = measured.audit
        yield (
            f"Audit log: {audit.events:,} events of {audit.writers} writers at once, {audit.events_per_second:,.0f}/s, "
            f"a transaction p50 {audit.p50_ms:.1f} ms, p95 {audit.p95_ms:.1f}; "
            f"{'one chain' if audit.verified else 'BROKEN'}, verified in {audit.verify_seconds:.1f} s."
        )
        yield (
            f"An event adds {audit.cost_ms:.2f} ms to a small write of {audit.plain_ms:.2f} ms "
            f"(x {audit.ratio:.2f}, median of pairs)."
        )
