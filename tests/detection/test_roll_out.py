from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.detection.context import Signer, Trust
from app.detection.deviation import Evidence, Severity, Spread
from app.detection.judgement import judge
from app.detection.knobs import Knobs, RollOuts, knobs_from
from app.detection.roll_out import Loose, Spreading, Wave, gather, judge_roll_out, takes_in
from tests.detection.worked import MICROSOFT, SVCHOST, UNSIGNED, behaviour, context, standing

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
FIVE = RollOuts()
TOOL = r"C:\Program Files\Tool\tool.exe"
FLEET = {"everything": (6000, 199), "days": 30}


def at(hours, spread=Spread.NOVEL):
    return Loose(uuid4(), spread, NOON + timedelta(hours=hours))


def alike(number, spread=Spread.NOVEL, first=0.0):
    return [at(first + n / 10, spread) for n in range(number)]


def test_four_nodes_are_four_findings_and_the_fifth_gathers_all():
    assert gather(None, alike(4), FIVE) is None
    rolled = gather(None, alike(5), FIVE)
    assert (rolled.spread, len(rolled.joined)) == (Spread.NOVEL, 5)


def test_nodes_that_come_further_apart_than_a_day_are_no_roll_out():
    assert gather(None, [at(hours) for hours in (0, 7, 13, 19, 24.1)], FIVE) is None
    assert gather(None, [at(hours) for hours in (0, 7, 13, 19, 24)], FIVE)
    assert gather(None, [at(hours) for hours in (0, 30, 31, 32, 33, 34)], FIVE).joined[0].seen_at > NOON


def test_those_shortly_before_and_after_belong_to_it_too():
    loose = [at(-60), at(-20), *alike(5), at(24), at(47), at(90)]
    assert {each.seen_at for each in gather(None, loose, FIVE).joined} == {each.seen_at for each in loose[1:-1]}


def test_what_is_not_new_makes_no_roll_out_but_may_join_one():
    known = [replace(each, new_to_peers=False) for each in alike(9)]
    assert gather(None, [*known, *alike(4)], FIVE) is None
    assert len(gather(None, [*known, *alike(5)], FIVE).joined) == 14


def test_a_late_node_joins_until_a_day_has_passed_without_one():
    wave = Wave(Spread.NOVEL, NOON, NOON + timedelta(hours=10), {Spread.NOVEL: 5})
    joined = gather(wave, [at(-48), at(-23), at(33), at(56), at(56), at(90)], FIVE).joined
    assert sorted(each.seen_at for each in joined) == [at(hours).seen_at for hours in (-23, 33, 56, 56)]


@pytest.mark.parametrize(
    ("kinds", "spread", "joined"),
    [
        ([Spread.SIGNED] * 60 + [Spread.UNSIGNED] * 4, Spread.SIGNED, 60),
        ([Spread.SIGNED] * 60 + [Spread.UNSIGNED] * 5, Spread.UNSIGNED, 65),
        ([Spread.NOVEL] * 5 + [Spread.SUSPECT], Spread.NOVEL, 5),
        ([Spread.SIGNED] * 3 + [Spread.NOVEL] * 3 + [Spread.SUSPECT] * 3, Spread.NOVEL, 6),
    ],
)
def test_few_graver_nodes_stand_alone_and_many_make_the_roll_out_graver(kinds, spread, joined):
    rolled = gather(None, [at(n / 10, kind) for n, kind in enumerate(kinds)], FIVE)
    assert (rolled.spread, len(rolled.joined)) == (spread, joined)


def test_four_signed_and_one_unsigned_are_five_findings():
    assert gather(None, [*alike(4, Spread.SIGNED), at(1, Spread.UNSIGNED)], FIVE) is None


def test_a_roll_out_whose_nodes_prove_signed_becomes_lighter():
    wave = Wave(Spread.NOVEL, NOON, NOON, {Spread.SIGNED: 5, Spread.NOVEL: 4})
    assert gather(wave, [], FIVE).spread is Spread.SIGNED


def test_nodes_that_lack_a_signature_only_do_not_stand_alone():
    mixed = [*alike(4, Spread.NOVEL), *alike(2, Spread.SIGNED)]
    assert gather(None, mixed, FIVE).spread is Spread.NOVEL


@pytest.mark.parametrize("signed", range(7))
def test_while_signatures_come_in_a_roll_out_of_six_stays_one(signed):
    nodes = {Spread.SUSPECT: 6 - signed, Spread.SIGNED: signed}
    rolled = gather(Wave(Spread.SUSPECT, NOON, NOON, nodes), [], FIVE)
    assert rolled.spread is (Spread.SIGNED if signed >= 5 else Spread.SUSPECT)


def test_a_roll_out_of_which_too_few_nodes_are_left_is_none():
    assert gather(Wave(Spread.NOVEL, NOON, NOON, {Spread.NOVEL: 4}), [], FIVE) is None
    assert gather(Wave(Spread.NOVEL, NOON, NOON, {Spread.NOVEL: 4}), [at(1)], FIVE).spread is Spread.NOVEL


KINDS = st.lists(st.tuples(st.integers(0, 80), st.sampled_from(list(Spread))), max_size=30)


@given(KINDS, st.randoms())
def test_the_order_in_which_nodes_are_told_changes_nothing(kinds, chance):
    loose = [at(hours, kind) for hours, kind in kinds]
    shuffled = list(loose)
    chance.shuffle(shuffled)
    first, second = gather(None, loose, FIVE), gather(None, shuffled, FIVE)
    assert (first and (first.spread, set(first.joined))) == (second and (second.spread, set(second.joined)))
    if first:
        assert len(first.joined) >= FIVE.nodes
        assert all(takes_in(first.spread, each.spread) for each in first.joined)


def judged(spread, *, score=36.0, severity=Severity.LOW, nodes=12):
    evidence = (Evidence("port_new_for_program", score, "New."), Evidence("not_available", 0, "Not available: bytes."))
    until = NOON + timedelta(hours=2, minutes=5)
    return judge_roll_out(Spreading(spread, nodes, NOON, until, severity, evidence), Knobs())


def test_a_roll_out_of_a_signed_program_is_low_however_new_it_is():
    found = judged(Spread.SIGNED, score=72.0, severity=Severity.HIGH)
    assert (found.score, found.severity) == (72, Severity.LOW)
    assert found.evidence[0].text.startswith(
        "Roll-out of a signed program, held at low: new on 12 nodes within 3 hours"
    )


def test_what_nobody_signed_is_louder_on_many_nodes_than_on_one():
    found = judged(Spread.UNSIGNED)
    assert (found.score, found.severity) == (46, Severity.MEDIUM)
    assert (found.evidence[0].reason, found.evidence[0].points) == ("unsigned_spread", 10)
    assert sum(each.points for each in found.evidence) == found.score


@pytest.mark.parametrize("spread", [Spread.NOVEL, Spread.SUSPECT])
def test_any_other_roll_out_is_as_grave_as_its_gravest_node(spread):
    found = judged(spread, score=64.0, severity=Severity.HIGH)
    assert (found.score, found.severity, found.evidence[0].points) == (64, Severity.HIGH, 0)


def test_what_is_held_on_one_node_is_held_on_many():
    assert judged(Spread.UNSIGNED, score=64.0, severity=Severity.LOW).severity is Severity.LOW


@pytest.mark.parametrize(
    ("path", "signer", "spread"),
    [
        (TOOL, MICROSOFT, Spread.SIGNED),
        (TOOL, Signer(), Spread.NOVEL),
        (TOOL, UNSIGNED, Spread.UNSIGNED),
        (TOOL, Signer(Trust.BROKEN, "X"), Spread.UNSIGNED),
        (SVCHOST, MICROSOFT, Spread.NOVEL),  # attackers use it as it is, signature and all
        (r"C:\Users\bob\AppData\Local\Temp\a.exe", Signer(), Spread.SUSPECT),
        (r"C:\Windows\System32\notepad.exe", MICROSOFT, Spread.SUSPECT),
    ],
)
def test_the_kind_of_a_deviation_says_what_speaks_against_it(path, signer, spread):
    assert judge(behaviour(path, 8531), context(signer), standing(**FLEET), Knobs()).spread is spread


@pytest.mark.parametrize(("days", "new"), [(None, True), (0, True), (1, True), (2, False)])
def test_new_to_the_peers_is_what_the_first_of_them_showed_within_a_day(days, new):
    known = standing(seen=(3, 3), program=(3, 3), behaviour_days=days, **FLEET)
    assert judge(behaviour(TOOL, 8531), context(), known, Knobs()).new_to_peers is new


def test_roll_outs_have_their_knobs():
    assert knobs_from({"RollOuts": {"nodes": 20, "hours": 4}}).roll_outs == RollOuts(20, 4)
