"""Judges the period and writes the document: the whole of one backtest beside its record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time

from app.analysis.backtest import store
from app.analysis.backtest.document import VERSION, Result
from app.analysis.backtest.engine import OnProgress, Period, judge_period, period_of
from app.analysis.backtest.rules import Candidate
from app.analysis.backtest.summary import Summary, candidate, current
from app.analysis.backtest.telemetry import Reporting, telemetry
from app.analysis.backtest.verdicts import FINDINGS_MAX, Verdicts
from app.collection.packs import Pack
from app.database import Apart
from app.detection.behaviour import Platform
from app.detection.history import LEARNING_DAYS
from app.fleet.store import list_roles


@dataclass(frozen=True, slots=True)
class _Around:
    """What the summary needs beside the verdicts."""

    roles: Mapping[int, str]
    stored: Mapping[store.Key, store.StoredFinding]
    hostnames: Mapping[int, str]
    reporting: Reporting


async def result_of(
    apart: Apart, tried: Candidate, days: int, packs: Sequence[Pack], now: datetime, on_progress: OnProgress
) -> Result:
    """Raises: TooManyFindings, and what `on_progress` raises."""
    period = await period_of(apart, days, now.date())
    verdicts = Verdicts(tried.current, tried.candidate, tried.covers)
    await judge_period(apart, period, verdicts, on_progress)
    around = await _around(apart, period, verdicts, tried)
    summary = Summary(verdicts, around.roles, around.stored, tried.version)
    return Result(
        version=VERSION,
        first_day=period.first,
        last_day=period.last,
        history_first_day=period.earliest,
        scope=str(tried.scope),
        settings_changed=tried.changed(),
        nodes=summary.nodes,
        node_days=summary.node_days,
        sightings=sum(each.sightings for each in verdicts.days.values()),
        days=summary.days(),
        current=summary.side(current),
        candidate=summary.side(candidate),
        gained=summary.gained(around.hostnames),
        lost=summary.lost(around.hostnames),
        shifts=summary.shifts(around.hostnames),
        false_positives=summary.false_positives(),
        agreement=summary.agreement(),
        telemetry=telemetry(packs, around.reporting, period, verdicts),
        notes=_notes(period, days, verdicts, now),
    )


async def _around(apart: Apart, period: Period, verdicts: Verdicts, tried: Candidate) -> _Around:
    since = datetime.combine(period.first, time(), UTC)
    nodes = {key[0] for key, found in verdicts.found.items() if found.contrast}
    async with apart.scratching() as session:
        roles = await list_roles(session)
        stored = await store.stored_findings(session, period.first, period.last, FINDINGS_MAX)
        covered = {
            key: each
            for key, each in stored.items()
            if tried.covers(roles.get(each.role_id, ""), Platform(each.platform))
        }
        hostnames = await store.hostnames(session, nodes)
        return _Around(roles, covered, hostnames, await store.reporting(session, since))


def _notes(period: Period, days: int, verdicts: Verdicts, now: datetime) -> list[str]:
    without = sum(each.without_row for each in verdicts.days.values())
    asked, missing = (period.last - period.first).days + 1, days - (period.last - period.first).days - 1
    history = (
        f"The history before the first day reaches back to {period.earliest} ({_days(period.history_days)});"
        " what was dropped before that, the live judging may have known."
    )
    surroundings = (
        "Signatures count from when they were first said that day; what else surrounds a behaviour (process starts,"
        " jobs, installed software, flows) is taken as it is stored now."
    )
    learning = "The first days fall into the time of learning, in which little alerts."
    short = f"Asked for {_days(days)}, judged {_days(asked)}: sightings reach back to {period.first} only."
    bare = (
        f"{without:,} sightings were judged without their row, because their batch has been dropped: no peer, parent or"
        " command line, so evidence that needs these is missing on both sides."
    )
    said = {
        history: True,
        learning: period.history_days < LEARNING_DAYS,
        short: missing > 0,
        f"{period.last} is not over yet.": period.last == now.date(),
        bare: without > 0,
        surroundings: True,
    }
    return [note for note, holds in said.items() if holds]


def _days(days: int) -> str:
    return f"{days} day{'' if days == 1 else 's'}"
