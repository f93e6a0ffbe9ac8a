"""The table of states: what people may, what Portbook does, and that every refusal is a sentence."""

from itertools import product

import pytest

from app.findings.states import BY_PEOPLE, BY_PORTBOOK, CLOSED, OPEN, WITHDRAWABLE, State, impossible, refusal


def test_both_tables_speak_of_every_state() -> None:
    assert BY_PEOPLE.keys() == BY_PORTBOOK.keys() == set(State)


def test_nobody_excepts_withdraws_or_opens_by_hand() -> None:
    given = frozenset().union(*BY_PEOPLE.values())
    assert given == set(State) - {State.EXCEPTED, State.WITHDRAWN, State.OPEN}
    assert {each for each in State if impossible(each)} == {State.EXCEPTED, State.WITHDRAWN, State.OPEN}


def test_what_is_open_can_be_closed_and_what_is_closed_can_only_be_reopened() -> None:
    assert all(BY_PEOPLE[each] >= CLOSED for each in OPEN)
    assert all(BY_PEOPLE[each] == {State.REOPENED} for each in CLOSED)


def test_portbook_takes_nothing_from_who_works_on_it_and_closes_nothing() -> None:
    assert {State.OPEN, State.ACKNOWLEDGED, State.REOPENED, State.EXCEPTED} == WITHDRAWABLE
    assert not any(after & CLOSED for after in BY_PORTBOOK.values())


@pytest.mark.parametrize(("before", "after"), list(product(State, State)))
def test_what_is_refused_is_refused_with_a_sentence(before: State, after: State) -> None:
    why = refusal(before, after)
    assert bool(why) == (after not in BY_PEOPLE[before])
    assert not why.endswith("becomes ")
