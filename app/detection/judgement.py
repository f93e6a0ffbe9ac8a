"""Judges one behaviour: evidence, score and severity."""

from collections.abc import Callable

from app.detection.baseline import Expected
from app.detection.behaviour import Behaviour, Direction, Platform
from app.detection.blind_spots import blind_spots
from app.detection.classes import Trait
from app.detection.context import Context
from app.detection.context_evidence import UNCOMMON_PORT, allow_listed, context_evidence
from app.detection.deviation import Analytic, Deviation, Evidence, Severity
from app.detection.evidence import Case, line
from app.detection.flow_evidence import flow_evidence
from app.detection.history_words import peers
from app.detection.job_evidence import job_evidence
from app.detection.knobs import Knobs, Severities
from app.detection.process_evidence import process_evidence
from app.detection.process_start import with_start
from app.detection.software_evidence import software_evidence
from app.detection.spread import is_new_to_peers, spread_of
from app.detection.standing import Standing
from app.detection.statistical_evidence import statistical_evidence
from app.detection.surroundings import NOTHING_KNOWN, Surroundings
from app.detection.tunnel_evidence import tunnel_evidence

#: Inventory facts that lend context to findings about ports and make none by themselves.
CONTEXT_ONLY = frozenset({Direction.SERVICE, Direction.LAUNCHD})
_MOST = 100

_Lines = tuple[Evidence, ...]

#: Families of evidence that need no history; each gives its lines, or none.
_FAMILIES: tuple[Callable[[Case], _Lines], ...] = (
    context_evidence,
    tunnel_evidence,
    process_evidence,
    job_evidence,
    software_evidence,
    flow_evidence,
)


def judge(
    behaviour: Behaviour,
    context: Context,
    standing: Standing,
    knobs: Knobs,
    surroundings: Surroundings = NOTHING_KNOWN,
) -> Deviation:
    """The deviation that a behaviour is. Its score is the sum of the points of its evidence, cut at 0 and 100."""
    case = Case(behaviour, with_start(context, surroundings.start), standing, knobs, surroundings)
    beside_history = tuple(found for family in _FAMILIES for found in family(case))
    evidence = (*statistical_evidence(case), *beside_history)
    if allow_listed(case):
        text = "The setting ProcessAllowList names this program: recorded only."
        evidence = (*evidence, line("allow_listed", -_total(evidence), text))
    elif case.surroundings.expected:
        evidence = (*evidence, _approved(case.surroundings.expected, _total(evidence)))
    severity, held = _severity(case, score_of(evidence), beside_history)
    analytic = Analytic.WINDOWS if behaviour.program.platform is Platform.WINDOWS else Analytic.MACOS
    return Deviation(
        behaviour=behaviour,
        score=score_of(evidence),
        severity=severity,
        analytic=analytic,
        evidence=(*evidence, *held, *blind_spots(case)),
        new_to_peers=is_new_to_peers(case),
        spread=spread_of(case, beside_history),
    )


def _approved(expected: Expected, points: float) -> Evidence:
    """What a person approved is recorded only, whatever speaks against it; that stays to be read."""
    text = (
        f"The baseline of {expected.baseline}, version {expected.version}, expects it (entry {expected.entry}, approved"
        f" by {expected.approved_by}, in force since {expected.since}): recorded only."
    )
    return line("approved_baseline", -max(points, 0.0), text)


def _total(evidence: tuple[Evidence, ...]) -> float:
    return sum(each.points for each in evidence)


def score_of(evidence: tuple[Evidence, ...]) -> int:
    """The sum of the points, cut at 0 and 100."""
    return int(min(max(_total(evidence), 0.0), _MOST) + 0.5)


def _severity(case: Case, score: int, beside_history: _Lines) -> tuple[Severity, tuple[Evidence, ...]]:
    """The severity, and the line that says why it is held down, if it is."""
    severity = level_of(score, case.knobs.severities)
    if severity not in {Severity.HIGH, Severity.MEDIUM}:
        return severity, ()
    held = next((found for hold in _HOLDS if (found := hold(case, beside_history))), None)
    return (Severity.LOW, (held,)) if held else (severity, ())


def _inventory_only(case: Case, _beside_history: _Lines) -> Evidence | None:
    if case.behaviour.direction not in CONTEXT_ONLY:
        return None
    text = "Held at low: how a job is configured is no use of a port yet; it supports findings about ports."
    return line("inventory_only", 0, text)


def _learning(case: Case, beside_history: _Lines) -> Evidence | None:
    window, days, enough = case.knobs.time_window, case.standing.days, case.knobs.severities.learning_alert
    if days >= window.learning_days or _total(beside_history) >= enough:
        return None
    text = (
        f"Held at low: day {days + 1} of {window.learning_days} of learning what is usual; until then only evidence"
        f" that needs no history alerts, from {enough} points."
    )
    return line("learning", 0, text)


def _any_port(case: Case, beside_history: _Lines) -> Evidence | None:
    """A new port is no news of a program that is usual among the peers and whose user picks the ports."""
    kind, standing = case.kind(Trait.ANY_PORT), case.standing
    usual = standing.program.units and not standing.new_to_role
    if not kind or not usual or case.dubious:
        return None
    if any(each.points > 0 and each.reason != UNCOMMON_PORT for each in beside_history):
        return None
    text = (
        f"Held at low: {case.name} is {kind.says}, in use on other {peers(standing)} too; its user's business lies on"
        " any port, and nothing but the novelty of the port speaks against it."
    )
    return line("any_port", 0, text)


_HOLDS: tuple[Callable[[Case, _Lines], Evidence | None], ...] = (_inventory_only, _learning, _any_port)


def level_of(score: int, levels: Severities) -> Severity:
    """The severity of a score that nothing holds down."""
    if score >= levels.high:
        return Severity.HIGH
    if score >= levels.medium:
        return Severity.MEDIUM
    return Severity.LOW if score >= levels.low else Severity.NONE
