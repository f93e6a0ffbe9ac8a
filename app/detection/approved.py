"""The software that people approved, and which entry of their list a program is.

A name is text that anybody can write, so it never approves: a trusted signature must bear the publisher or team, or the
program must lie where the entry says.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache

from typing_extensions import override

from app.detection.behaviour import DYNAMIC_PORT, Behaviour, Direction, Platform, Program, Transport
from app.detection.columns import LAST_PORT
from app.detection.context import Signer, Trust
from app.detection.expectations import SIGN_MANY
from app.detection.paths import LONGEST_PATH, normalised
from app.detection.places import Place, place_of

MOST_PORTS = 64  #: items of one entry's list of ports

_PORTS = re.compile(
    r"(?:(?P<way>listen|out)\s+)?(?P<transport>tcp|udp)\s*/\s*(?P<first>\d{1,5})(?:\s*-\s*(?P<last>\d{1,5}))?",
    re.IGNORECASE | re.ASCII,
)
_WORD = re.compile(r"[^\W_]+")
_VERSION = re.compile(r"v?\d+|x64|x86|bit", re.ASCII)
_COMMON_NAME = re.compile(r"\ACN=(?P<name>.+?)(?:,\s*[A-Z]{1,6}=|\Z)")
_AUTHORITY = re.compile(r"\A(?:Developer ID Application|Apple Distribution|Apple Development|Mac Developer):\s*")
_TEAM = re.compile(r"\s*\((?P<team>[A-Z0-9]{10})\)\Z", re.ASCII)
#: What a program's or a product's name may end with and mean no other: Zoom.exe, zoom.us, draw.io.
_ENDING = re.compile(r"\.(?:exe|com|dll|scr|app|us|io|net|org)\Z", re.IGNORECASE)
_ABSOLUTE = {Platform.WINDOWS: re.compile(r"[a-z]:\\"), Platform.MACOS: re.compile(r"/")}

#: Folders in which anything may lie; a path of these alone names no program.
_ANYTHING = frozenset(
    {"users", "program files", "program files (x86)", "programdata", "appdata", "local", "roaming", "locallow"}
    | {"programs", "windows", "system32", "syswow64", "temp", "tmp", "windowsapps", "common files", "utilities"}
    | {"applications", "library", "application support", "system", "usr", "bin", "sbin", "lib", "libexec", "opt"}
    | {"homebrew", "cellar", "caskroom", "private", "var", "folders", "contents", "macos", "resources", "helpers"}
    | {"volumes", "shared", "public", "documents", "desktop", "downloads", "privilegedhelpertools"}
)


@dataclass(frozen=True, slots=True)
class AllowedPorts:
    direction: Direction
    transport: Transport
    first: int
    last: int

    def allow(self, behaviour: Behaviour) -> bool:
        if (behaviour.direction, behaviour.transport) != (self.direction, self.transport):
            return False
        if behaviour.port is None:
            return self.last == LAST_PORT
        return self.first <= behaviour.port <= self.last

    @override
    def __str__(self) -> str:
        way = "listen " if self.direction is Direction.LISTENING else ""
        last = f"-{self.last}" if self.last != self.first else ""
        return f"{way}{self.transport.value}/{self.first}{last}"


def allowed_ports(text: str) -> tuple[AllowedPorts, ...]:
    """Reads e.g. `tcp/443, tcp/8000-8100, listen tcp/5000`; nothing, or `any`, means any port.

    Raises:
        ValueError: a sentence that quotes the item.
    """
    items = [item.strip() for item in re.split(r"[,;]", text)]
    if items in ([""], ["any"]):
        return ()
    if len(items) > MOST_PORTS:
        raise ValueError(f"{len(items)} items, at most {MOST_PORTS} are read")
    return tuple(map(_ports, items))


def _ports(item: str) -> AllowedPorts:
    match = _PORTS.fullmatch(item)
    if match is None:
        raise ValueError(f"{item!r} is none of tcp/443, udp/8000-8100, listen tcp/5000")
    first, last = int(match["first"]), int(match["last"] or match["first"])
    if not 1 <= first <= last <= LAST_PORT:
        raise ValueError(f"{item!r} is no port or range from 1 to {LAST_PORT}")
    if last >= DYNAMIC_PORT and (first > DYNAMIC_PORT or last != LAST_PORT):
        raise ValueError(f"{item!r}: Portbook does not tell dynamic ports apart; write {DYNAMIC_PORT}-{LAST_PORT}")
    way = Direction.LISTENING if (match["way"] or "").lower() == "listen" else Direction.OUTBOUND
    return AllowedPorts(way, Transport(match["transport"].lower()), first, last)


@dataclass(frozen=True, slots=True)
class PathPattern:
    """A normalised path. `*` stands for any text within one folder or file name, `**` for any number of folders."""

    platform: Platform
    head: tuple[str, ...]
    tail: tuple[str, ...] | None = None  #: what follows `**`, if there is one

    @override
    def __str__(self) -> str:
        open_end = () if self.tail is None else ("**", *self.tail)
        return separator(self.platform).join((*self.head, *open_end))

    def matches(self, path: str) -> bool:
        """Whether a normalised path of the platform is one of these."""
        parts = path.split(separator(self.platform))
        if self.tail is None:
            return len(parts) == len(self.head) and _alike(parts, self.head)
        if len(parts) < len(self.head) + max(len(self.tail), 1):
            return False
        return _alike(parts, self.head) and _alike(parts[len(parts) - len(self.tail) :], self.tail)


def _alike(parts: Iterable[str], patterns: Iterable[str]) -> bool:
    """As far as there are patterns; what stands before a `*` decides quickly."""
    return all(
        part == pattern or ("*" in pattern and fnmatchcase(part, _literal(pattern)))
        for part, pattern in zip(parts, patterns, strict=False)
    )


def _literal(pattern: str) -> str:
    """Only `*` is special in ours."""
    return pattern.replace("[", "[[]").replace("?", "[?]")


def path_pattern(text: str) -> PathPattern:
    """Reads a path pattern.

    Raises:
        ValueError: a sentence, when it is relative, too long, or matches whatever lies in a common folder.
    """
    platform = Platform.MACOS if text.startswith("/") else Platform.WINDOWS
    path = normalised(platform, text)
    if not _ABSOLUTE[platform].match(path):
        raise ValueError("must begin with a drive, as C:\\, or with /")
    if len(text) > LONGEST_PATH:
        raise ValueError(f"is longer than {LONGEST_PATH} characters")
    parts = tuple(path.split(separator(platform)))
    if ".." in parts or "." in parts or "" in parts[1:]:
        raise ValueError("has an empty folder, or one that is `.` or `..`")
    if any("**" in part and part != "**" for part in parts) or parts.count("**") > 1:
        raise ValueError("may have one `**`, as a folder of its own")
    if not names_something(parts):
        raise ValueError("names no program or folder of its own, so it would match whatever lies there")
    if "**" not in parts:
        return PathPattern(platform, parts)
    at = parts.index("**")
    return PathPattern(platform, parts[:at], parts[at + 1 :])


def names_something(parts: Iterable[str]) -> bool:
    """Whether a folder or file name among these is one that its maker chose."""
    return any(_is_own(part) for part in parts)


def _is_own(part: str) -> bool:
    stem = _ENDING.sub("", part).replace("*", "")
    chosen = sum(character.isalnum() for character in stem) > 1
    return chosen and stem.lower() not in _ANYTHING


def separator(platform: Platform) -> str:
    return "\\" if platform is Platform.WINDOWS else "/"


@lru_cache(maxsize=16_384)
def words(text: str) -> frozenset[str]:
    """The words of a name, without its ending, and without versions where anything else is left."""
    found = frozenset(_WORD.findall(_ENDING.sub("", text).casefold()))
    return frozenset(word for word in found if not _VERSION.fullmatch(word)) or found


@lru_cache(maxsize=16_384)
def goes_by(name: str, other: str) -> bool:
    """Whether two names may be of one program: all words of one are in the other, or they differ by spaces alone."""
    ours, others = words(name), words(other)
    return bool(ours and others) and (ours <= others or others <= ours or _squashed(name) == _squashed(other))


def _squashed(name: str) -> str:
    return "".join(_WORD.findall(_ENDING.sub("", name).casefold()))


@lru_cache(maxsize=16_384)
def publisher_key(text: str) -> str:
    """A publisher's name so that spelling does not matter; of a distinguished name the common name.

    macOS writes the authority before the name and the team behind it.
    """
    common = _COMMON_NAME.match(text)
    name = _TEAM.sub("", _AUTHORITY.sub("", common["name"] if common else text))
    return " ".join(_WORD.findall(name.casefold()))


def team_of(platform: Platform, signer: Signer) -> str:
    """The team of a trusted signature; on Windows brackets in a name mean nothing."""
    match = _TEAM.search(signer.name) if platform is Platform.MACOS and signer.trust is Trust.TRUSTED else None
    return match["team"] if match else ""


def own_names(program: Program) -> tuple[str, ...]:
    """The file's name and, on macOS, those of the bundles around it."""
    parts = program.path.split(separator(program.platform))
    bundles = (part[:-4] for part in parts if part.endswith(".app") and program.platform is Platform.MACOS)
    return (program.name, *bundles)


@dataclass(frozen=True)
class ApprovedSoftware:
    """One entry of the list; `until` is the last day on which it holds, None for ever, no ports means any."""

    name: str
    publisher: str = ""
    team_id: str = ""
    path: str = ""
    owner: str = ""
    until: date | None = None
    ports: tuple[AllowedPorts, ...] = ()
    note: str = ""
    line: int = 0  #: in the file that it was imported from

    @cached_property
    def pattern(self) -> PathPattern | None:
        return path_pattern(self.path) if self.path else None

    @cached_property
    def identity(self) -> tuple[str, str, str, str]:
        """Two entries of one identity contradict each other."""
        where = str(self.pattern) if self.pattern else ""
        return " ".join(sorted(words(self.name))), publisher_key(self.publisher), self.team_id, where

    @cached_property
    def ends_at(self) -> float:
        """Unix seconds of the first moment on which it does not hold any more."""
        if self.until is None or self.until == date.max:
            return float("inf")
        end = self.until + timedelta(days=1)
        return datetime(end.year, end.month, end.day, tzinfo=UTC).timestamp()

    def allows(self, behaviour: Behaviour) -> bool:
        return not self.ports or any(each.allow(behaviour) for each in self.ports)


@dataclass(frozen=True, slots=True)
class Approval:
    """The entry that speaks for a program. Unsure until the signature that it asks for has been reported."""

    entry: ApprovedSoftware
    expired: bool = False
    sure: bool = True


class ApprovedList:
    """An imported list, so arranged that a program is held against few of its entries."""

    def __init__(self, entries: Iterable[ApprovedSoftware] = ()) -> None:
        self.entries = tuple(entries)
        self._makers: defaultdict[str, list[ApprovedSoftware]] = defaultdict(list)
        self._paths: defaultdict[tuple[str, ...], list[ApprovedSoftware]] = defaultdict(list)
        self._names: defaultdict[str, list[ApprovedSoftware]] = defaultdict(list)
        for entry in self.entries:
            self._arrange(entry)

    def _arrange(self, entry: ApprovedSoftware) -> None:
        if entry.publisher:
            self._makers[publisher_key(entry.publisher)].append(entry)
        if entry.team_id:
            self._makers[f"team {entry.team_id}"].append(entry)
        if entry.pattern is not None:
            self._paths[_first_parts(entry.pattern.head)].append(entry)
        else:
            for word in {*words(entry.name), _squashed(entry.name)}:
                self._names[word].append(entry)

    def may_concern(self, program: Program, signer: Signer) -> bool:
        """Whether an entry could speak for a program, whatever name it is installed under."""
        made = self._makers.get(publisher_key(signer.name)) if signer.trust is Trust.TRUSTED else None
        team = self._makers.get(f"team {team_of(program.platform, signer)}")
        unsure = signer.trust is Trust.UNKNOWN and next(self._unsure(program, own_names(program)), None)
        return bool(made or team or unsure) or next(self._located(program), None) is not None

    def approval(self, behaviour: Behaviour, signer: Signer, at: float, names: Collection[str] = ()) -> Approval | None:
        """The entry that says most for a behaviour at a unix time.

        `names`: of the installed software that the program belongs to, beside those that it bears itself.
        """
        program = behaviour.program
        known_as = (*own_names(program), *names)
        sure = {each.line: each for each in self._sure(program, signer, known_as)}
        unsure = () if sure or signer.trust is not Trust.UNKNOWN else self._unsure(program, known_as)
        found = [Approval(each, at >= each.ends_at) for each in sure.values()]
        found += [Approval(each, at >= each.ends_at, sure=False) for each in unsure]
        return min(found, key=lambda each: _preference(each, behaviour), default=None)

    def _sure(self, program: Program, signer: Signer, names: Collection[str]) -> Iterator[ApprovedSoftware]:
        if signer.trust is Trust.TRUSTED:
            team = team_of(program.platform, signer)
            for entry in self._makers.get(publisher_key(signer.name), ()):
                if not (entry.team_id and program.platform is Platform.MACOS) and _fits(entry, program, names):
                    yield entry
            for entry in self._makers.get(f"team {team}", ()):
                if _fits(entry, program, names):
                    yield entry
        protected = place_of(program.platform, program.path) is not Place.USER_WRITABLE
        if protected and signer.trust is not Trust.BROKEN:
            yield from (each for each in self._located(program) if not each.publisher and not each.team_id)

    def _unsure(self, program: Program, names: Collection[str]) -> Iterator[ApprovedSoftware]:
        yield from self._located(program)
        teams_count = program.platform is Platform.MACOS
        for name in names:
            for entry in (each for word in {*words(name), _squashed(name)} for each in self._names.get(word, ())):
                if (entry.publisher or teams_count) and goes_by(entry.name, name):
                    yield entry

    def _located(self, program: Program) -> Iterator[ApprovedSoftware]:
        parts = tuple(program.path.split(separator(program.platform)))
        for key in {_first_parts(parts), ()}:
            for entry in self._paths.get(key, ()):
                if entry.pattern and entry.pattern.platform is program.platform and entry.pattern.matches(program.path):
                    yield entry


def _fits(entry: ApprovedSoftware, program: Program, names: Collection[str]) -> bool:
    """Whether a program whose signature is that of the entry is what the entry means."""
    if entry.pattern is not None:
        return entry.pattern.platform is program.platform and entry.pattern.matches(program.path)
    anywhere = publisher_key(entry.publisher) not in SIGN_MANY
    placed = anywhere or place_of(program.platform, program.path) is not Place.USER_WRITABLE
    return placed and any(goes_by(entry.name, name) for name in names)


def _first_parts(parts: tuple[str, ...]) -> tuple[str, ...]:
    """What patterns are found by: their first folders, or nothing where one of these is open."""
    first = parts[:3]
    return () if len(first) < 3 or any("*" in part for part in first) else first  # noqa: PLR2004


def _preference(approval: Approval, behaviour: Behaviour) -> tuple[bool, bool, bool, int]:
    entry = approval.entry
    return not approval.sure, approval.expired, not entry.allows(behaviour), entry.line
