"""The case that evidence rules look at, and the words that they share."""

from dataclasses import dataclass
from functools import cached_property

from app.detection.behaviour import DYNAMIC, NETWORK, Behaviour, Direction
from app.detection.classes import ProgramClass, Trait, classes_of, is_placed, known_vendor, named_classes
from app.detection.context import Context, Trust
from app.detection.deviation import Evidence
from app.detection.knobs import Knobs, Weights
from app.detection.places import Place, place_of
from app.detection.ports import REMOTE_LOGIN
from app.detection.standing import Standing
from app.detection.surroundings import NOTHING_KNOWN, Surroundings


@dataclass(frozen=True)
class Case:
    """One behaviour on one node with all that is known of it."""

    behaviour: Behaviour
    context: Context
    standing: Standing
    knobs: Knobs
    surroundings: Surroundings = NOTHING_KNOWN

    @property
    def weights(self) -> Weights:
        return self.knobs.weights

    @property
    def outbound(self) -> bool:
        return self.behaviour.direction is Direction.OUTBOUND

    @property
    def networked(self) -> bool:
        return self.behaviour.direction in NETWORK

    @property
    def remote_login(self) -> bool:
        """Whether it opens the node to people who sign in from outside."""
        return self.behaviour.direction is Direction.LISTENING and self.behaviour.port in REMOTE_LOGIN

    @cached_property
    def trusted(self) -> bool:
        return self.context.signer.trust is Trust.TRUSTED

    @cached_property
    def dubious(self) -> bool:
        """Whether anybody could have put the program there, or nobody answers for what it does."""
        unsigned = self.context.signer.trust in {Trust.UNSIGNED, Trust.BROKEN}
        return unsigned or not is_placed(self.behaviour.program, trusted=self.trusted)

    @cached_property
    def known_vendor(self) -> bool:
        return known_vendor(self.context.signer)

    @cached_property
    def place(self) -> Place:
        return place_of(self.behaviour.program.platform, self.behaviour.program.path)

    @property
    def named_classes(self) -> tuple[ProgramClass, ...]:
        return named_classes(self.behaviour.program, self._way)

    @cached_property
    def classes(self) -> tuple[ProgramClass, ...]:
        return classes_of(self.behaviour.program, self._way, trusted=self.trusted)

    @property
    def _way(self) -> Direction:
        """Classes know of clients and of listeners, wherever the peer is."""
        direction = self.behaviour.direction
        return Direction.OUTBOUND if direction is Direction.LOOPBACK else direction

    def kind(self, trait: Trait) -> ProgramClass | None:
        return next((each for each in self.classes if trait in each.traits), None)

    @property
    def name(self) -> str:
        """The program as analysts say it: its file name and, if it has one, its service or launchd label."""
        program = self.behaviour.program
        return f"{program.name} ({program.unit})" if program.unit else program.name

    @property
    def port(self) -> str:
        """The port in words, e.g. `tcp/5678`."""
        bucket = "49152-65535" if self.behaviour.bucket == DYNAMIC else self.behaviour.bucket
        return f"{self.behaviour.transport.value}/{bucket}"

    @property
    def common(self) -> bool:
        port = self.behaviour.port
        return port in self.knobs.port_thresholds.common if port is not None else not self.outbound


def line(reason: str, points: float, text: str) -> Evidence:
    return Evidence(reason, round(points, 1) + 0.0, text)


def counted(number: int, singular: str, plural: str = "") -> str:
    """A number and its noun, e.g. `1 node`, `6,000 node-days`."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def percent(share: float) -> str:
    """A share with two significant digits and no more zeros than an analyst wants to read."""
    value = share * 100
    return f"{value:.0f} %" if value >= 10 else f"{value:.2g} %"  # noqa: PLR2004


def pace(per_day: float) -> str:
    """A rate in words, e.g. `once in 20 days` or `3 times a day`."""
    if per_day <= 0:
        return "never"
    if per_day < 0.8:  # noqa: PLR2004
        return f"once in {max(round(1 / per_day), 2):,} days"
    return "once a day" if per_day < 1.5 else f"{per_day:.0f} times a day"  # noqa: PLR2004
