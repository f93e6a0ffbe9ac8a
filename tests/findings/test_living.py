"""What quiets a finding, what reopens it, and what never does."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from app.detection.addresses import PeerScope
from app.detection.context import Signer, Trust
from app.detection.deviation import Severity, Spread
from app.findings.living import Heeded, Judgement, heed
from app.findings.states import OPEN, State

TODAY = date(2026, 11, 20)
CLOSED_AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
LATER = CLOSED_AT + timedelta(hours=20)
MAKER = Signer(Trust.TRUSTED, "Tool Makers Ltd")
KEPT = Judgement(TODAY, 45, Severity.MEDIUM, Spread.NOVEL, MAKER, PeerScope.PRIVATE)
AGAIN = replace(KEPT, day=TODAY + timedelta(days=1))


def heeded(state: State, now: Judgement = AGAIN, seen_at: datetime = LATER) -> Heeded:
    return heed(state, KEPT, now, CLOSED_AT if state in {State.REMEDIATED, State.FALSE_POSITIVE} else None, seen_at)


@pytest.mark.parametrize("state", sorted(OPEN))
def test_an_open_one_stays_as_it_is_and_keeps_its_heaviest_judgement(state: State) -> None:
    assert heeded(state) == Heeded(replaces=False, spread=Spread.NOVEL)
    assert heeded(state, replace(AGAIN, score=46)).replaces
    assert heeded(state, replace(KEPT, score=1, spread=Spread.SIGNED)) == Heeded(replaces=True, spread=Spread.SIGNED)
    assert heeded(state, replace(AGAIN, score=1, spread=Spread.UNSIGNED)).spread is Spread.UNSIGNED


def test_what_was_remediated_is_reopened_by_what_was_seen_later_and_only_by_that() -> None:
    assert heeded(State.REMEDIATED).reopens == "seen again on 2026-11-21 08:00 UTC"
    for seen_at in (CLOSED_AT, CLOSED_AT - timedelta(days=2)):
        assert not heeded(State.REMEDIATED, seen_at=seen_at).reopens


def test_a_false_positive_is_quiet_while_it_is_no_graver_and_keeps_what_it_was_closed_on() -> None:
    lighter = replace(AGAIN, severity=Severity.LOW, score=31, spread=Spread.SIGNED)
    for now in (AGAIN, lighter, replace(KEPT, score=49), replace(AGAIN, signer=Signer())):
        assert heeded(State.FALSE_POSITIVE, now) == Heeded(replaces=False, spread=Spread.NOVEL)


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (replace(AGAIN, severity=Severity.HIGH, score=55), "judged high (55); it was closed as medium (45)"),
        (replace(AGAIN, spread=Spread.UNSIGNED), "judged to be of the kind unsigned; it was closed as novel"),
        (
            replace(AGAIN, signer=Signer(Trust.TRUSTED, "Other Ltd")),
            "signed Other Ltd; it was closed as signed Tool Makers Ltd",
        ),
        (replace(AGAIN, peer_scope=PeerScope.PUBLIC), "connects to a public peer; it was closed on a private one"),
    ],
)
def test_a_false_positive_is_reopened_by_whatever_is_graver(now: Judgement, why: str) -> None:
    assert heeded(State.FALSE_POSITIVE, now) == Heeded(replaces=True, spread=now.spread, reopens=why)


def test_what_is_excepted_stays_so_however_grave_it_is_judged() -> None:
    graver = replace(AGAIN, severity=Severity.HIGH, score=80)
    assert heeded(State.EXCEPTED, graver) == Heeded(replaces=True, spread=Spread.NOVEL)
