"""Holds what was just judged against the exceptions in force, in the transaction that judged it."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from app.access.actor import PORTBOOK
from app.baselines.exceptions import store
from app.baselines.exceptions.covering import excepted, named, reopened, shown_in
from app.baselines.exceptions.in_force import ExceptionsInForce, Shown
from app.database import WriteSession
from app.detection.expectations import Observed
from app.findings.changes import StateChange, change_states
from app.findings.keeping import NewFinding
from app.findings.models import Finding
from app.findings.store import Pair, among, lock_findings
from app.observations.models import Behaviour


async def heed_exceptions(
    session: WriteSession, day: date, heavy: Sequence[NewFinding], exceptions: ExceptionsInForce, now: datetime
) -> None:
    """Except the findings of what is covered now, open again those of what no longer is, and count what stays covered.

    What a person has given a state to stays theirs.
    """
    if not heavy or exceptions.were_none:
        return
    judged = {each.pair: each for each in heavy}
    ids = await store.findings_shown(session, judged)
    findings = await lock_findings(session, [Finding.finding_id == among(ids)]) if ids else []
    rows = await store.behaviours_of(session, findings)
    covering = {
        each.finding_id: _chosen(each, rows[each.behaviour_id], judged[_of(each)], exceptions, now) for each in findings
    }
    changes = [change for each in findings if (change := _change(each, covering[each.finding_id]))]
    await change_states(session, PORTBOOK, changes, now)
    seen = {_of(each): covering[each.finding_id] for each in findings}
    new = [each for each in heavy if not each.where.again]
    await store.count_days(
        session, day, [(by, each.first_seen_at) for each in new if (by := seen.get(each.pair)) is not None]
    )


def _chosen(
    finding: Finding, row: Behaviour, judged: NewFinding, exceptions: ExceptionsInForce, now: datetime
) -> UUID | None:
    """It must speak of what was just seen and of what the finding quotes, which may be graver."""
    where = judged.where
    observed = Observed(judged.deviation.behaviour, judged.signer, judged.peer_scope)
    shown = [Shown(where.node_id, where.role_id, observed), shown_in(finding, row)]
    return exceptions.choose(shown, now, finding.exception_id)


def _change(finding: Finding, by: UUID | None) -> StateChange | None:
    if by is not None and by != finding.exception_id:
        return excepted(finding, by, f"covered by {named(by)}")
    if by is None and finding.exception_id is not None:
        return reopened(finding, f"{named(finding.exception_id)} does not cover what was seen")
    return None


def _of(finding: Finding) -> Pair:
    return finding.node_id, finding.behaviour_id
