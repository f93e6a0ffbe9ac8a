"""Which launchd job or Windows service owns the process behind a connection or a listening port.

Source: osquery's launchd and services tables, which name no process, and launchd.plist(5).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from app.detection.behaviour import Behaviour, Direction, Platform, Program
from app.detection.classes import Trait, named_classes
from app.detection.context import Context
from app.detection.inventory import launched_program
from app.detection.job_parts import JobKind, JobPart, bounded, service_name
from app.detection.job_sockets import opens
from app.detection.paths import file_name, normalised

LAUNCHD = "/sbin/launchd"
MOST_KEYS = 12  #: texts under which a process looks for its job
_SVCHOST = "svchost.exe"
_APP = ".app"
_SURE_ROW = frozenset({"2", "3"})


class MatchedBy(StrEnum):
    """How a job was told to own a process, the surest first."""

    SOCKETS = "sockets"  #: launchd holds the port, and the job's Sockets ask for it
    PID = "pid"  #: the service lives in this process
    NAME = "name"  #: the socket row itself names the service
    COMMAND_LINE = "command_line"  #: rank 3
    SCRIPT = "script"  #: rank 2: an interpreter runs the job's command line
    ROW = "row"  #: the socket row names the label, matched on the node
    PROGRAM = "program"  #: rank 1
    BUNDLE = "bundle"  #: as 1: the program lies in the bundle that registered the job


_SURENESS = tuple(MatchedBy)


@dataclass(frozen=True, slots=True)
class Job:
    """A job with the parts that tell of it; none when only the socket row names it."""

    label: str
    parts: tuple[JobPart, ...] = ()

    def part(self, *kinds: JobKind) -> JobPart | None:
        return next((part for kind in kinds for part in self.parts if part.kind is kind), None)

    @property
    def main(self) -> JobPart | None:
        """The part that says what the job runs."""
        return self.part(JobKind.LAUNCHD, JobKind.SERVICE, JobKind.STARTUP_ITEM, JobKind.SOCKETS)

    @property
    def script(self) -> str:
        """What an interpreter is told to run, normalised, or empty."""
        main = self.part(JobKind.LAUNCHD)
        if main is None or not is_interpreter(main.known_by):
            return ""
        arguments = main.fields.get("program_arguments", "")
        script = launched_program(arguments.removeprefix(launched_program(arguments)).strip())
        return normalised(Platform.MACOS, script) if script.startswith("/") else ""

    @property
    def program(self) -> str:
        """Normalised; of a script the script, empty when not known."""
        known = self.main.known_by if self.main else ""
        return self.script or (known if known.startswith("/") or "\\" in known else "")

    @property
    def account(self) -> str:
        fields = self.main.fields if self.main else {}
        return fields.get("username") or fields.get("user_account") or ""


@dataclass(frozen=True, slots=True)
class JobMatch:
    """The jobs that match a process best, and what of the inventory bears on it."""

    jobs: tuple[Job, ...]  #: more than one: it cannot be told which; none: nobody knows
    by: MatchedBy | None
    at: float  #: unix seconds of the row that showed the behaviour
    since: Mapping[JobKind, int] = field(hash=False)  #: since when each inventory of the node is known
    interpreter: bool = False  #: matched by a program that runs anybody's scripts
    hidden: tuple[JobPart, ...] = ()  #: hidden plists under which this process may run

    @property
    def job(self) -> Job | None:
        """The owner, when there is no doubt."""
        return self.jobs[0] if len(self.jobs) == 1 and not self.interpreter else None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which parts of a node's inventories can bear on a process: those known by a key, of a label, or of a kind."""

    keys: frozenset[str]
    labels: frozenset[str]
    kinds: frozenset[JobKind]

    def has(self, part: JobPart) -> bool:
        return part.known_by in self.keys or part.label in self.labels or part.kind in self.kinds


def wanted(behaviour: Behaviour, context: Context) -> Wanted | None:
    """None where no job can own the process."""
    program = behaviour.program
    if behaviour.direction not in {Direction.OUTBOUND, Direction.LISTENING}:
        return None
    if program.platform is Platform.WINDOWS:
        keys = {program.path, f"pid {context.process_id}" if context.process_id not in {"", "0", "4"} else ""}
        return Wanted(frozenset(keys - {""}), frozenset(_services(context)), frozenset())
    if program.path == LAUNCHD:
        if behaviour.direction is Direction.OUTBOUND:
            return None
        return Wanted(frozenset(), frozenset(), frozenset({JobKind.SOCKETS}))
    if not _child_of_launchd(context):
        return None
    keys = {program.path, *_bundles(program.path), *_programs_in(context.command_line)} - {""}
    return Wanted(frozenset(sorted(keys)[:MOST_KEYS]), frozenset(context.job_labels), frozenset({JobKind.HIDDEN_PLIST}))


def relevant(parts: Iterable[JobPart], wish: Wanted) -> list[JobPart]:
    """What `wanted` asks for, and every other part of the jobs so found."""
    parts = list(parts)
    labels = {part.label for part in parts if wish.has(part)} - {""}
    return [part for part in parts if wish.has(part) or part.label in labels]


def job_behind(
    parts: Sequence[JobPart], since: Mapping[JobKind, int], behaviour: Behaviour, context: Context, seen_at: float
) -> JobMatch | None:
    """The job that owns a process, from the `relevant` parts of its node; None where no job can."""
    wish = wanted(behaviour, context)
    if wish is None:
        return None
    process = _Process([part for part in parts if part.alive(seen_at)], wish, behaviour, context)
    finders = _MACOS if behaviour.program.platform is Platform.MACOS else _WINDOWS
    by, found = next(((by, found) for finder in finders for by, found in [finder(process)] if found), (None, ()))
    hidden = process.hidden() if not found else ()
    if not (found or hidden or behaviour.program.path == LAUNCHD):
        return None
    unsure = by is MatchedBy.PROGRAM and is_interpreter(behaviour.program.path)
    return JobMatch(process.jobs(found), by, seen_at, since, unsure, hidden)


def is_interpreter(path: str) -> bool:
    """Whether a program of macOS runs whatever script it is given."""
    program = Program(Platform.MACOS, path, file_name(Platform.MACOS, path))
    return any(Trait.SCRIPT_HOST in kind.traits for kind in named_classes(program, Direction.OUTBOUND))


#: What was found: the parts, or the names of jobs that the inventory does not have.
_Found = Sequence[JobPart | str]


class _Process:
    """What owns a port, and the parts that may tell whose it is."""

    def __init__(self, parts: Sequence[JobPart], wish: Wanted, behaviour: Behaviour, context: Context) -> None:
        self._parts, self._wish, self._behaviour, self._context = parts, wish, behaviour, context
        self._path = behaviour.program.path

    def by_sockets(self) -> tuple[MatchedBy, _Found]:
        port = self._behaviour.port if self._path == LAUNCHD else None
        asking = self._of(JobKind.SOCKETS) if port else []
        return MatchedBy.SOCKETS, [each for each in asking if opens(each, port, self._behaviour.transport)]

    def by_rank(self) -> tuple[MatchedBy, _Found]:
        """The strongest matches, without those of other people's accounts."""
        if self._path == LAUNCHD:
            return MatchedBy.PROGRAM, ()
        kinds = (JobKind.LAUNCHD, JobKind.SOCKETS, JobKind.STARTUP_ITEM)  # a plist says more than what was registered
        ranked = [(rank, part) for part in self._of(*kinds) if self._wish.has(part) and (rank := self._rank(part))]
        best = min((rank for rank, _ in ranked), key=_SURENESS.index, default=MatchedBy.BUNDLE)
        if best in {MatchedBy.PROGRAM, MatchedBy.BUNDLE} and self._row_is_sure:
            return MatchedBy.ROW, ()
        found = [part for rank, part in ranked if rank is best]
        told = [[part for part in found if part.kind is kind] for kind in kinds]
        found = next(filter(None, told), [])
        return best, [part for part in found if not self._is_foreign(part)] or found

    def by_row(self) -> tuple[MatchedBy, _Found]:
        labels = self._context.job_labels if self._path != LAUNCHD else ()
        by = MatchedBy.ROW if self._row_is_sure else MatchedBy.PROGRAM
        return by, self._named(labels, JobKind.LAUNCHD)

    def by_pid(self) -> tuple[MatchedBy, _Found]:
        pid, started = f"pid {self._context.process_id}", self._context.process_started
        living = [part for part in self._of(JobKind.RUNNING) if part.known_by == pid]
        living = [part for part in living if part.fields.get("proc_start", "") == started]
        return MatchedBy.PID, self._named([part.label for part in living], JobKind.SERVICE)

    def by_name(self) -> tuple[MatchedBy, _Found]:
        return MatchedBy.NAME, self._named(_services(self._context), JobKind.SERVICE)

    def by_path(self) -> tuple[MatchedBy, _Found]:
        """Only what the service control manager started can be a service."""
        parent = file_name(Platform.WINDOWS, self._context.parent).lower()
        if parent not in {"", "services.exe"} or self._behaviour.program.name == _SVCHOST:
            return MatchedBy.PROGRAM, ()
        found = [part for part in self._of(JobKind.SERVICE) if part.known_by == self._path != ""]
        return MatchedBy.PROGRAM, found

    def hidden(self) -> tuple[JobPart, ...]:
        """Hidden plists that could have started it: those of the system, and those of its own account's home."""
        plists = self._of(JobKind.HIDDEN_PLIST) if self._path != LAUNCHD else []
        return tuple(each for each in plists if not self._is_foreign(each))

    def jobs(self, found: _Found) -> tuple[Job, ...]:
        """Each job once, with what is said of its label: parts of another plist of the label belong to another job."""
        jobs = {each if isinstance(each, str) else each.part_id: self._job(each) for each in found}
        return tuple(sorted(jobs.values(), key=lambda job: (job.label, job.main.source if job.main else "")))

    def _job(self, found: JobPart | str) -> Job:
        if isinstance(found, str):
            return Job(found)
        same = [part for part in self._parts if part.label == found.label and part.kind is not JobKind.RUNNING]
        plists = {JobKind.LAUNCHD, JobKind.SOCKETS}
        beside = [part for part in same if part.kind is JobKind.SWITCH]
        if found.kind in plists:
            beside += [part for part in same if part.kind in plists and part.source == found.source]
        others = sorted((part for part in beside if part != found), key=lambda part: (part.kind, part.source))
        return Job(found.label, (found, *others))

    def _named(self, labels: Iterable[str], kind: JobKind) -> _Found:
        parts = self._of(kind)
        named: list[JobPart | str] = []
        for label in dict.fromkeys(labels):
            named += [part for part in parts if part.label == label] or [label]
        return named

    def _rank(self, part: JobPart) -> MatchedBy | None:
        """Rank 3, 2 or 1 of a job for the process."""
        fields, command = part.fields, self._context.command_line
        arguments, program = fields.get("program_arguments", ""), fields.get("program", "")
        if command and bounded(command) == (arguments or program):
            return MatchedBy.COMMAND_LINE
        if arguments.startswith("/") and command.endswith(f" {arguments}"):
            return MatchedBy.SCRIPT
        if part.kind is JobKind.SOCKETS:
            return MatchedBy.BUNDLE if self._in_bundle(part) else None
        if part.known_by == self._path:
            return MatchedBy.PROGRAM
        return MatchedBy.BUNDLE if part.known_by in _bundles(self._path) else None

    def _is_foreign(self, part: JobPart) -> bool:
        """Whether a job is of another account than the process."""
        user = self._context.user
        home = part.source.startswith("/Users/") and not part.source.startswith(f"/Users/{user}/")
        item = part.kind is JobKind.STARTUP_ITEM and part.fields.get("username", user) != user
        return bool(user) and (home or item)

    def _in_bundle(self, part: JobPart) -> bool:
        """Whether a plist's BundleProgram is this program, and of the same bundle if the plist lies in one."""
        bundles = [each for each in _bundles(self._path) if each.endswith(_APP)]
        homes = [each for each in _bundles(normalised(Platform.MACOS, part.source)) if each.endswith(_APP)]
        return bool(part.known_by) and part.known_by in _bundles(self._path) and (not homes or homes[-1] in bundles)

    @property
    def _row_is_sure(self) -> bool:
        return self._context.job_rank in _SURE_ROW and len(self._context.job_labels) == 1

    def _of(self, *kinds: JobKind) -> list[JobPart]:
        return [part for part in self._parts if part.kind in kinds]


_Finder = Callable[[_Process], tuple[MatchedBy, _Found]]
_MACOS: tuple[_Finder, ...] = (_Process.by_sockets, _Process.by_rank, _Process.by_row)
_WINDOWS: tuple[_Finder, ...] = (_Process.by_pid, _Process.by_name, _Process.by_path)


def _child_of_launchd(context: Context) -> bool:
    return context.parent_id == "1" or context.parent in {LAUNCHD, "launchd"}


def _services(context: Context) -> list[str]:
    return [name for name in map(service_name, context.job_labels) if name]


def _programs_in(command: str) -> Iterator[str]:
    """The programs that a command line may run: its own, and the scripts that an interpreter is given."""
    words = command.split(" ")
    starts = [place for place, word in enumerate(words) if word.startswith("/") or not place]
    for place in starts[:4]:
        yield normalised(Platform.MACOS, launched_program(" ".join(words[place:])))


def _bundles(path: str) -> list[str]:
    """The bundles that a program lies in, the outermost first, and its path within each."""
    folders = path.split("/")
    found = [place + 1 for place, folder in enumerate(folders[:-1]) if folder.endswith(_APP)][:3]
    return [text for end in found for text in ("/".join(folders[end:]), "/".join(folders[:end]))]
