"""The states of a finding."""

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
