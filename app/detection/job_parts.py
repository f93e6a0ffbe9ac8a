"""What a node's inventories say of its launchd jobs and Windows services, kept up row by row.

A job is told in parts, by queries of their own: a plist as launchd reads it, what it says of sockets, whether somebody
switched it on. Each part is kept apart, so that a row of one query cannot undo what another said.
"""

import re
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import UUID

from app.detection.behaviour import Platform, digest
from app.detection.columns import text
from app.detection.facts import Fact
from app.detection.inventory import launched_program, split_command
from app.detection.paths import normalised, shortened_name, shortened_path

LONGEST_VALUE = 1024  #: characters of one field; what is longer is cut, with a digest in the place of its end
MOST_FIELDS = 32  #: pairs of one part
MOST_PARTS = 2048  #: parts of one node; a real one has some 900

_PER_LOGON = re.compile(r"_[0-9a-f]{4,8}\Z")
_SOCKET_FIELDS = frozenset({"SockServiceName", "SockType", "SockFamily", "SockPassive"})
_LAUNCHD_FIELDS = ("program", "program_arguments", "run_at_load", "keep_alive", "username", "disabled")

Pair = tuple[str, str]


class JobKind(StrEnum):
    """Which inventory a part comes from."""

    LAUNCHD = "launchd"  #: a plist that the launchd table reads
    SOCKETS = "sockets"  #: what else a plist says: Sockets, BundleProgram, inetdCompatibility
    SWITCH = "switch"  #: somebody switched the job on or off, against its plist
    STARTUP_ITEM = "startup_item"  #: Background Task Management, SMAppService among it
    HIDDEN_PLIST = "hidden_plist"  #: a plist that launchd loads and the launchd table does not read
    SERVICE = "service"  #: how a Windows service is configured
    RUNNING = "running"  #: the process that a Windows service lives in


@dataclass(frozen=True, slots=True)
class JobPart:
    """What one inventory of a node says of one job. Times are unix seconds by the node's clock."""

    kind: JobKind
    label: str  #: launchd label or service name
    source: str  #: the plist or file that says so; tells two jobs of one label apart
    says: frozenset[Pair]
    first_seen_at: int
    said_at: int  #: when the newest word came that changed something
    changed_at: int | None = None  #: when it last said something else than at first
    before: frozenset[Pair] = frozenset()  #: what it said until then
    ended_at: int | None = None

    @property
    def part_id(self) -> UUID:
        return digest("job", self.kind, self.label, self.source)

    @property
    def fields(self) -> Mapping[str, str]:
        """Of a field that is there twice, the last in the order of the alphabet."""
        return dict(sorted(self.says))

    @property
    def known_by(self) -> str:
        """What tells a process of the job: the normalised path of its program, a bundle's own path, or `pid N`."""
        return _KNOWN_BY[self.kind](self.fields)

    def alive(self, at: float) -> bool:
        return self.ended_at is None or self.ended_at >= at


@dataclass(frozen=True, slots=True)
class SaidOfJob:
    """What one row says: a part as if it were the first row on it, or that it is gone."""

    part: JobPart
    is_removed: bool


def said_in(facts: Iterable[Fact]) -> list[SaidOfJob]:
    """What rows say of jobs; those that say nothing are left out."""
    return [SaidOfJob(part, fact.action == "removed") for fact in facts if (part := _part_in(fact))]


def heard(part: JobPart | None, said: SaidOfJob) -> JobPart | None:
    """A part after a row was heard: the same object when the row is no news. None while nothing is known of it.

    Rows come at least once and in any order: an older one than the last that counted changes nothing.
    """
    if said.is_removed:
        return _less(part, said.part) if part else None
    if part is None:
        return said.part
    return part if said.part.said_at < part.said_at else _more(part, said.part)


def hear_all(parts: MutableMapping[UUID, JobPart], said: Iterable[SaidOfJob], room: int) -> set[UUID]:
    """Hear rows of one node in the order of its clock. Returns the parts that are new or otherwise than before.

    `parts` holds what is known and is kept up; `room` says how many parts may come to it.
    """
    changed: set[UUID] = set()
    most = len(parts) + room
    for each in sorted(said, key=lambda each: (each.part.said_at, not each.is_removed)):
        known = parts.get(each.part.part_id)
        part = heard(known, each)
        if part and part is not known and (known or len(parts) < most):
            parts[part.part_id] = part
            changed.add(part.part_id)
    return changed


def _part_in(fact: Fact) -> JobPart | None:
    kind, reader = _READERS.get(fact.query, (None, None))
    if kind is None or reader is None:
        return None
    label, source, pairs = reader(fact.columns)
    says = frozenset((shortened_name(name), bounded(value)) for name, value in pairs.items() if value)
    if not says or not (label or source):
        return None
    return JobPart(kind, shortened_name(label), shortened_path(source), says, fact.observed_at, fact.observed_at)


def bounded(value: str) -> str:
    """A field as it is kept and compared."""
    return value if len(value) <= LONGEST_VALUE else f"{value[:LONGEST_VALUE]}… {digest(value)}"


def service_name(name: str) -> str:
    """A service as it is known: instances of per-user services are one service."""
    return _PER_LOGON.sub("", name.strip().lower())


def _more(part: JobPart, said: JobPart) -> JobPart:
    grows = part.kind is JobKind.SOCKETS and part.ended_at is None
    says = _most(part.says | said.says) if grows else said.says
    at = said.said_at
    if says == part.says:
        return part if part.ended_at is None else replace(part, said_at=at, ended_at=None)
    return replace(_changed(part, says, at), ended_at=None)


def _less(part: JobPart, said: JobPart) -> JobPart:
    """A removed row ends a part, unless the row of the same moment that takes its place came first."""
    at = said.said_at
    if part.kind is JobKind.SOCKETS and at >= part.said_at:
        left = part.says - said.says
        ended = None if left else at
        return part if left == part.says else replace(_changed(part, left, at), ended_at=ended)
    return replace(part, said_at=at, ended_at=at) if at > part.said_at and part.ended_at is None else part


def _changed(part: JobPart, says: frozenset[Pair], at: int) -> JobPart:
    """Rows of one moment are one change; those of the first moment are none."""
    if at == part.first_seen_at:
        return replace(part, says=says, said_at=at)
    before = part.before if at == part.changed_at else part.says
    return replace(part, says=says, said_at=at, changed_at=None if says == before else at, before=before)


def _most(says: frozenset[Pair]) -> frozenset[Pair]:
    return says if len(says) <= MOST_FIELDS else frozenset(sorted(says)[:MOST_FIELDS])


_Read = tuple[str, str, Mapping[str, str]]


def _launchd(columns: Mapping[str, object]) -> _Read:
    fields = {name: text(columns, name) for name in _LAUNCHD_FIELDS}
    return text(columns, "label"), text(columns, "plist_path"), fields


def _sockets(columns: Mapping[str, object]) -> _Read:
    key, subkey, value = (text(columns, name) for name in ("key", "subkey", "value"))
    wanted = key in {"BundleProgram", "inetdCompatibility"} or (
        key == "Sockets" and subkey.rpartition("/")[2] in _SOCKET_FIELDS
    )
    name = f"{key}/{subkey}" if subkey else key
    return text(columns, "label"), text(columns, "plist_path"), {name: value} if wanted else {}


def _switch(columns: Mapping[str, object]) -> _Read:
    return text(columns, "label"), text(columns, "path"), {"disabled": text(columns, "disabled")}


def _startup_item(columns: Mapping[str, object]) -> _Read:
    """Items of one name and source may be many: path and account belong to what an item is."""
    fields = {name: text(columns, name) for name in ("path", "args", "type", "status", "username")}
    told_apart = [text(columns, "source"), *(fields[name] for name in ("path", "username"))]
    return text(columns, "name"), " ".join(filter(None, told_apart)), fields


def _hidden_plist(columns: Mapping[str, object]) -> _Read:
    return "", text(columns, "path"), {name: text(columns, name) for name in ("mtime", "size", "uid")}


def _service(columns: Mapping[str, object]) -> _Read:
    """Drivers own no process. An instance of a per-user service runs as whoever signed in."""
    name = text(columns, "name").lower()
    label, driver = service_name(name), "DRIVER" in text(columns, "service_type").upper()
    fields = {field: text(columns, field) for field in ("start_type", "path", "module_path", "user_account")}
    instance = label != name
    return label, "instance" * instance, {} if driver else fields | {"user_account": ""} if instance else fields


def _running(columns: Mapping[str, object]) -> _Read:
    """Instances of per-user services bear a new name with each sign-in, so they are left out."""
    name = text(columns, "name").lower()
    fields = {"pid": text(columns, "pid"), "proc_start": text(columns, "proc_start")}
    return name, "", fields if service_name(name) == name and fields["pid"] not in {"", "0"} else {}


_READERS: Mapping[str, tuple[JobKind, Callable[[Mapping[str, object]], _Read]]] = {
    "pack/macos_context/launchd": (JobKind.LAUNCHD, _launchd),
    "pack/macos_context/launchd_sockets": (JobKind.SOCKETS, _sockets),
    "pack/macos_context/launchd_disabled": (JobKind.SWITCH, _switch),
    "pack/macos_context/startup_items": (JobKind.STARTUP_ITEM, _startup_item),
    "pack/macos_context/hidden_plists": (JobKind.HIDDEN_PLIST, _hidden_plist),
    "pack/windows_context/services": (JobKind.SERVICE, _service),
    "pack/windows_context/services_running": (JobKind.RUNNING, _running),
}


def _of_launchd(fields: Mapping[str, str]) -> str:
    program = fields.get("program") or launched_program(fields.get("program_arguments", ""))
    return normalised(Platform.MACOS, program)


def _of_service(fields: Mapping[str, str]) -> str:
    module = fields.get("module_path", "")
    return normalised(Platform.WINDOWS, module or split_command(fields.get("path", ""))[0])


_KNOWN_BY: Mapping[JobKind, Callable[[Mapping[str, str]], str]] = {
    JobKind.LAUNCHD: _of_launchd,
    JobKind.SOCKETS: lambda fields: shortened_path(fields.get("BundleProgram", "")),
    JobKind.SWITCH: lambda _: "",
    JobKind.STARTUP_ITEM: lambda fields: normalised(Platform.MACOS, fields.get("path", "")),
    JobKind.HIDDEN_PLIST: lambda _: "",
    JobKind.SERVICE: _of_service,
    JobKind.RUNNING: lambda fields: f"pid {fields.get('pid', '')[:20]}",
}
