"""The job behind a port in sentences."""

from collections.abc import Iterable
from datetime import UTC, datetime

from app.detection.behaviour import Platform
from app.detection.evidence import Case, counted
from app.detection.job_parts import JobKind, JobPart, Pair
from app.detection.jobs import Job, JobMatch, MatchedBy

_NAMED_JOBS = 4
_NAMED_CHANGES = 3
_LONGEST = 80
_LAST_SECOND = 253_402_300_799  #: of the year 9999, past which no date can be said

_HOW = {
    MatchedBy.SOCKETS: "by its Sockets",
    MatchedBy.PID: "by the process id",
    MatchedBy.NAME: "by the name in the row",
    MatchedBy.COMMAND_LINE: "by the whole command line, rank 3",
    MatchedBy.SCRIPT: "by the end of the command line, rank 2",
    MatchedBy.ROW: "by the node itself, which names its label",
    MatchedBy.PROGRAM: "by the program only, rank 1",
    MatchedBy.BUNDLE: "by the application bundle only, rank 1",
}
_TRUE = frozenset({"1", "true"})


def whose(case: Case, match: JobMatch) -> str:
    """Whose port or process it is, or that it cannot be told."""
    if not match.jobs:
        known = JobKind.SOCKETS in match.since
        why = "no job of this node asks for it" if known else "this node has not told the Sockets of its jobs"
        return f"launchd holds {case.port} for a job, but whose it is cannot be told: {why}."
    job = match.job
    if job is None:
        return _doubt(case, match)
    if match.by is MatchedBy.SOCKETS:
        runs = f", which starts {job.program}" if job.program else ""
        return f"launchd holds {case.port} for {named(job)}{runs}{_how_set(job)}."
    kind = "Windows service" if case.behaviour.program.platform is Platform.WINDOWS else "launchd job"
    return f"It belongs to the {kind} {named(job)}, told {_how(match)}{_how_set(job)}."


def named(job: Job) -> str:
    main = job.main
    source = main.source if main and main.kind in {JobKind.LAUNCHD, JobKind.SOCKETS, JobKind.STARTUP_ITEM} else ""
    return f"{short(job.label)} ({short(source)})" if source else short(job.label)


def new_since(part: JobPart, match: JobMatch) -> str:
    days = int(max(match.at - part.first_seen_at, 0) // 86_400)
    ago = f"{counted(days, 'day')} before" if days else "the same day"
    return f"it is new on this node: first reported {day(part.first_seen_at)}, {ago}"


def changes(part: JobPart) -> str:
    """What a part says otherwise than before, e.g. `SockServiceName was ssh, is 2222`."""
    before, now = _by_field(part.before), _by_field(part.says)
    names = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    said = [f"{_field(name)} was {_value(before.get(name))}, is {_value(now.get(name))}" for name in names]
    return "; ".join(said[:_NAMED_CHANGES] + ["…"] * (len(said) > _NAMED_CHANGES))


def day(at: float) -> str:
    return f"{datetime.fromtimestamp(min(max(at, 0), _LAST_SECOND), UTC):%Y-%m-%d}"


def short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]}…{text[-_LONGEST // 2 + 1 :]}"


def _doubt(case: Case, match: JobMatch) -> str:
    names = ", ".join(map(named, match.jobs[:_NAMED_JOBS])) + ", …" * (len(match.jobs) > _NAMED_JOBS)
    if match.interpreter:
        return f"It may belong to {names}, told by {case.name} only, which runs anybody's scripts: no proof."
    holds = f"launchd holds {case.port}, and" if match.by is MatchedBy.SOCKETS else "Matched"
    how = "" if match.by is MatchedBy.SOCKETS else f" {_how(match)}:"
    return f"{holds}{how} it cannot be told to which of {len(match.jobs)} jobs it belongs: {names}."


def _how(match: JobMatch) -> str:
    return _HOW[match.by] if match.by else ""


def _how_set(job: Job) -> str:
    """The account, and what starts it."""
    fields = job.main.fields if job.main else {}
    starts = [fields.get("start_type", "")]
    starts += ["at load"] * (fields.get("run_at_load") in _TRUE) + ["kept alive"] * (fields.get("keep_alive") in _TRUE)
    parts = [f"as {short(job.account)}"] if job.account else []
    parts += ["started " + ", ".join(filter(None, starts))] if any(starts) else []
    return "; " + ", ".join(parts) if parts else ""


def _by_field(pairs: Iterable[Pair]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, value in sorted(pairs):
        fields[name] = f"{fields[name]} and {value}" if name in fields else value
    return fields


def _field(name: str) -> str:
    return short(name.rpartition("/")[2].replace("_", " "))


def _value(value: str | None) -> str:
    return f'"{short(value)}"' if value else "not set"
