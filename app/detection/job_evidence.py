"""Evidence from the launchd job or Windows service behind a port.

Source: ATT&CK AN0635 (launchd services bound to ports that their baseline does not have), T1543.001, .003 and .004.
"""

import re
from collections.abc import Iterator

from app.detection.behaviour import Direction, Platform, Program
from app.detection.classes import Mismatch, Trait, named_classes
from app.detection.context import Trust
from app.detection.deviation import Evidence
from app.detection.evidence import Case, line
from app.detection.job_parts import JobKind, JobPart
from app.detection.job_words import changes, day, named, new_since, short, whose
from app.detection.jobs import Job, JobMatch, MatchedBy
from app.detection.paths import file_name
from app.detection.places import Place, place_of

_DAY = 86_400
NEWS_DAYS = 7  #: how long a job is new, and a change is news. Source: RITA's default for first seen
SETTLED_DAYS = 1  #: how long an inventory must be known before what is new in it is new on the node

_APPLE_LABEL = re.compile(r"\Acom\.apple\.", re.IGNORECASE)
_APPLE_PLACES = re.compile(r"\A/(?:System|bin|sbin|usr/(?:bin|sbin|libexec|lib)|Library/Apple)/")
_APPLE_SIGNERS = frozenset({"software signing", "apple mac os application signing"})
_ROOT = frozenset({"root", "system", "localsystem", "nt authority\\system", ".\\localsystem"})


def job_evidence(case: Case) -> tuple[Evidence, ...]:
    match = case.surroundings.job
    if match is None or not case.networked:
        return ()
    return tuple(_lines(case, match))


def _lines(case: Case, match: JobMatch) -> Iterator[Evidence]:
    if match.hidden:
        yield from _hidden(case, match)
    if match.hidden and not match.jobs:
        return
    yield line("job" if match.job else "job_unknown", 0, whose(case, match))
    yield from _apple_label(case, match)
    if match.job:
        yield from _news(case, match, match.job)
        yield from _moved(case, match, match.job)
        yield from _root_from_anywhere(case, match, match.job)


def _runs(case: Case, match: JobMatch, job: Job) -> str:
    """What counts of a job: the program behind a port that launchd holds, and behind an interpreter its script."""
    held = job.program if match.by is MatchedBy.SOCKETS else job.script
    return held or case.behaviour.program.path


def _hidden(case: Case, match: JobMatch) -> Iterator[Evidence]:
    """Applications are children of launchd without any plist, so a hidden one says nothing of them."""
    path = case.behaviour.program.path
    if case.place is Place.SYSTEM or path.startswith("/Applications/"):
        return
    points = case.weights.hidden_plist if JobKind.LAUNCHD in match.since else 0
    text = (
        f"launchd started it and no job that this node reports runs it, but the node has a hidden plist, which launchd"
        f" loads all the same: {short(match.hidden[0].source)}."
    )
    yield line("hidden_plist", points, text)


def _apple_label(case: Case, match: JobMatch) -> Iterator[Evidence]:
    """A job that calls itself Apple's runs what is not: of several candidates, all must."""
    if case.behaviour.program.platform is not Platform.MACOS or match.interpreter or not match.jobs:
        return
    wrong = [reason for job in match.jobs if _APPLE_LABEL.match(job.label) and (reason := _not_apple(case, match, job))]
    if len(wrong) == len(match.jobs):
        yield line(
            "apple_label", case.weights.apple_label, f"{short(match.jobs[0].label)} looks like Apple's, {wrong[0]}"
        )


def _not_apple(case: Case, match: JobMatch, job: Job) -> str:
    """Why what a job runs is not Apple's, or empty."""
    program = _runs(case, match, job)
    signer = case.context.signer if program == case.behaviour.program.path else None
    if signer and signer.trust is Trust.TRUSTED and signer.name.lower() in _APPLE_SIGNERS:
        return ""
    if program.startswith("/") and not _APPLE_PLACES.match(program):
        return f"but it runs {program}, which is not one of Apple's places."
    if signer and signer.trust is not Trust.UNKNOWN:
        return f"but {signer.name or 'nobody'} signed what it runs."
    return ""


def _news(case: Case, match: JobMatch, job: Job) -> Iterator[Evidence]:
    """That a job is new or was changed; no weight where a user's business lies on any port."""
    points = 0.0 if case.kind(Trait.ANY_PORT) else case.weights.job_news
    news = next((said for part in job.parts if (said := _news_of(part, match))), "")
    if news:
        yield line("job_news", points, f"Of the job {named(job)}: {news}.")


def _news_of(part: JobPart, match: JobMatch) -> str:
    """Apple's own jobs come and change with macOS; only whether they are switched on is up to anybody else."""
    if part.kind is not JobKind.SWITCH and part.source.startswith("/System/"):
        return ""
    switched_on = part.kind is JobKind.SWITCH and part.fields.get("disabled") in {"0", "false"}
    if part.kind is JobKind.SWITCH and not switched_on:
        return ""
    changed = part.changed_at
    if changed is not None and _is_recent(changed, match):
        return f"somebody switched it on, {day(changed)}" if switched_on else f"changed {day(changed)}: {changes(part)}"
    since = match.since.get(part.kind)
    if since is None or part.first_seen_at - since < SETTLED_DAYS * _DAY or not _is_recent(part.first_seen_at, match):
        return ""
    return f"somebody switched it on, {day(part.first_seen_at)}" if switched_on else new_since(part, match)


def _is_recent(at: float, match: JobMatch) -> bool:
    return match.at - at < NEWS_DAYS * _DAY


def _moved(case: Case, match: JobMatch, job: Job) -> Iterator[Evidence]:
    """What the job is belies the port, where the program itself says nothing of it."""
    known = any(kind.fits(case.behaviour.port) for kind in case.named_classes)
    if case.behaviour.direction is not Direction.LISTENING or known:
        return
    weights, platform = case.weights, case.behaviour.program.platform
    points = {Mismatch.SEVERE: weights.mismatch_severe, Mismatch.PLAIN: weights.mismatch}
    program = _runs(case, match, job)
    owner = Program(platform, program, file_name(platform, program), job.label)
    for kind in named_classes(owner, Direction.LISTENING):
        if (fit := kind.fits(case.behaviour.port)) in points:
            text = f"The job {short(job.label)} is {kind.says}, which has no business on {case.port}."
            yield line("port_belies_job", points[fit], text)
            return


def _root_from_anywhere(case: Case, match: JobMatch, job: Job) -> Iterator[Evidence]:
    platform, program = case.behaviour.program.platform, _runs(case, match, job)
    account = case.context.user or job.account
    if account.lower() in _ROOT and place_of(platform, program) is Place.USER_WRITABLE and not case.known_vendor:
        text = f"It runs as {account}, and any user could have put {program} there."
        yield line("root_from_anywhere", case.weights.root_from_anywhere, text)
