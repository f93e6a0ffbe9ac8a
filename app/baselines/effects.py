"""What a version does to open findings: which of them it expects, and their end."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.access.actor import Actor
from app.baselines import found, store
from app.baselines.regathering import regather
from app.baselines.store import Covered, Named
from app.database import ReadSession, WriteSession
from app.detection.baseline import Baseline, Entry
from app.detection.expectations import ANY_PROGRAM
from app.findings.changes import StateChange, change_states
from app.findings.models import Finding
from app.findings.states import State
from app.findings.store import lock_findings, observed_in

REASON_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Expectable:
    """A finding that is open or excepted, and the entry that expects what it shows."""

    row: Covered
    entry: Entry


async def expectable(session: ReadSession, named: Named, entries: Sequence[Entry]) -> list[Expectable]:
    """The findings of the role's nodes that a version with these entries expects, the gravest first.

    Open ones, and excepted ones: what is expected must not be opened again by the end of an exception.
    """
    programs = {each.expects.program for each in entries}
    asked = None if ANY_PROGRAM in programs else programs
    rows = await store.undecided_findings(session, named[0].role_id, named[0].platform, asked) if programs else ()
    baseline = Baseline(entries)
    return [Expectable(row, entry) for row in rows if (entry := baseline.find(observed_in(row[0], row[1])))]


async def apply(session: WriteSession, actor: Actor, named: Named, number: int, now: datetime) -> list[Expectable]:
    """Withdraw the findings that a version expects. The caller holds the judging until the transaction ends."""
    baseline_id = named[0].baseline_id
    entries = await store.entries_of(session, baseline_id, number, found.platform(named))
    closing = {each.row[0].finding_id: each for each in await expectable(session, named, entries)}
    living = await lock_findings(session, [Finding.finding_id.in_(closing), store.is_undecided()])
    words = f"the baseline of {found.words(named)}, version {number}, expects it"
    changes = [
        StateChange(
            each.finding_id,
            each.node_id,
            State(each.state),
            State.WITHDRAWN,
            f"{words}: {closing[each.finding_id].entry.justification}"[:REASON_MAX],
            reference=f"baseline {baseline_id} version {number}",
        )
        for each in living
    ]
    await change_states(session, actor, changes, now)
    await regather(session, found.platform(named), {each.behaviour_id for each in living}, now)
    return [closing[each] for each in closing if each in {gone.finding_id for gone in living}]
