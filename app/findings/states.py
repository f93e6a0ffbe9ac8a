"""The states of a finding, and who may make which of them what."""

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"  #: somebody has seen it
    INVESTIGATING = "investigating"
    ESCALATED = "escalated"  #: handed to those who handle incidents
    REOPENED = "reopened"  #: closed or excepted before, and a person has to look again
    REMEDIATED = "remediated"  #: closed: the cause is gone
    FALSE_POSITIVE = "false_positive"  #: closed: the detection was wrong on this node
    EXCEPTED = "excepted"  #: an approved exception covers it; still seen and counted
    WITHDRAWN = "withdrawn"  #: judged anew, and found light or expected


#: In these a person has something to do.
OPEN = frozenset({State.OPEN, State.ACKNOWLEDGED, State.INVESTIGATING, State.ESCALATED, State.REOPENED})
#: In these a person said that it is done.
CLOSED = frozenset({State.REMEDIATED, State.FALSE_POSITIVE})

_ACKNOWLEDGED, _INVESTIGATING, _ESCALATED = State.ACKNOWLEDGED, State.INVESTIGATING, State.ESCALATED

#: What a person may make of a finding, by triage.
BY_PEOPLE: Mapping[State, frozenset[State]] = {
    State.OPEN: frozenset({_ACKNOWLEDGED, _INVESTIGATING, _ESCALATED}) | CLOSED,
    State.ACKNOWLEDGED: frozenset({_INVESTIGATING, _ESCALATED}) | CLOSED,
    State.INVESTIGATING: frozenset({_ACKNOWLEDGED, _ESCALATED}) | CLOSED,
    State.ESCALATED: frozenset({_INVESTIGATING}) | CLOSED,
    State.REOPENED: frozenset({_ACKNOWLEDGED, _INVESTIGATING, _ESCALATED}) | CLOSED,
    State.REMEDIATED: frozenset({State.REOPENED}),
    State.FALSE_POSITIVE: frozenset({State.REOPENED}),
    State.EXCEPTED: frozenset(),
    State.WITHDRAWN: frozenset(),
}

_DECIDED = frozenset({State.EXCEPTED, State.WITHDRAWN})
_AGAIN = frozenset({State.REOPENED})

#: What becomes of it without triage: by a judgement or a sighting, by a baseline approved, by an exception that begins
#: or ends.
BY_PORTBOOK: Mapping[State, frozenset[State]] = dict.fromkeys(OPEN, _DECIDED) | {
    State.REMEDIATED: _AGAIN,
    State.FALSE_POSITIVE: _AGAIN,
    State.EXCEPTED: _AGAIN | _DECIDED,  # another exception may take over
    State.WITHDRAWN: frozenset(),  # shown again, it is a new finding
}

#: Those that a light judgement takes away. Whoever investigates or escalated one keeps it, however light it is.
WITHDRAWABLE = frozenset({State.OPEN, State.ACKNOWLEDGED, State.REOPENED, State.EXCEPTED})

_NOBODY_GIVES = {
    State.OPEN: "a finding is open once, when it is found; reopen it instead",
    State.EXCEPTED: "only an approved exception makes it that; request one",
    State.WITHDRAWN: "only a lighter judgement makes it that; close it as a false positive instead",
}
_NOBODY_LEAVES = {
    State.EXCEPTED: "an approved exception covers it; it is reopened when that ends or is revoked",
    State.WITHDRAWN: "a lighter judgement withdrew it; shown again with more weight, it is a new finding",
}


def impossible(after: State) -> str:
    """Why no person may give a finding this state, whatever it is in; empty where one may."""
    return _NOBODY_GIVES.get(after, "")


def refusal(before: State, after: State) -> str:
    """Why a person may not make this of a finding now; empty where they may."""
    if after in BY_PEOPLE[before]:
        return ""
    if before is after:
        return f"it is {words(before)} already"
    if before in CLOSED:
        return f"it is closed as {words(before)}; reopen it first"
    if before in _NOBODY_LEAVES:
        return _NOBODY_LEAVES[before]
    if after is State.REOPENED:
        return f"it is {words(before)}, and so not closed"
    allowed = ", ".join(words(each) for each in State if each in BY_PEOPLE[before])
    return f"it is {words(before)}, and becomes {allowed}"


def words(state: State) -> str:
    return state.value.replace("_", " ")
