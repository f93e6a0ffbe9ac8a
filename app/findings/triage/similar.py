"""More like this: in which ways other open findings resemble one, so that they can be triaged together. Pure."""

from enum import StrEnum


class Likeness(StrEnum):
    SAME_BEHAVIOUR = "same_behaviour"
    SAME_PROGRAM = "same_program"
    SAME_PORT = "same_port"
    SAME_SIGNER = "same_signer"


WORDS = {
    Likeness.SAME_BEHAVIOUR: "the same behaviour on other nodes",
    Likeness.SAME_PROGRAM: "other behaviours of the same program",
    Likeness.SAME_PORT: "other programs that use the same port in the same direction",
    Likeness.SAME_SIGNER: "other programs that the same maker signed, with peers of the same scope",
}
