"""What is known of programs by their kind: which ports suit an Office program, an SSH client, a service."""

import tomllib
from collections.abc import Mapping
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from importlib.resources import files

from msgspec import Struct, convert, field

from app.detection.behaviour import Direction, Platform, Program
from app.detection.context import Signer, Trust
from app.detection.places import Place, place_of


class Mismatch(StrEnum):
    """How much a port belies what a program is."""

    SEVERE = "severe"
    PLAIN = "plain"
    MILD = "mild"
    NONE = ""


class Trait(StrEnum):
    NEVER_NETWORKS = "never_networks"
    SCRIPT_HOST = "script_host"
    USER_DRIVEN = "user_driven"
    RPC_CALLER = "rpc_caller"
    RESOLVER = "resolver"
    KERBEROS = "kerberos"
    INJECTED = "injected"
    ANY_PORT = "any_port"
    CARRIES = "carries"
    FORWARDS = "forwards"
    REMOTE_ACCESS = "remote_access"
    SPEAKS_SSH = "speaks_ssh"


class ProgramClass(Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of program; classes.toml says what the fields mean."""

    key: str
    says: str
    source: str
    windows: tuple[str, ...] = ()
    macos: tuple[str, ...] = ()
    units: frozenset[str] = frozenset()
    anywhere: bool = False
    direction: Direction = Direction.OUTBOUND
    traits: frozenset[Trait] = frozenset()
    ports: frozenset[int | str] = frozenset()
    expected: frozenset[int] = frozenset()
    severe: frozenset[int] = frozenset()
    wrong: frozenset[int] = frozenset()
    elsewhere: Mismatch = Mismatch.NONE

    def fits(self, port: int | None) -> Mismatch:
        """How much a port, None for a dynamic one, belies the kind."""
        if port in self.severe:
            return Mismatch.SEVERE
        if port in self.wrong:
            return Mismatch.PLAIN
        outside = bool(self.ports) and ("dynamic" if port is None else port) not in self.ports
        return self.elsewhere if outside else Mismatch.NONE

    def names(self, program: Program) -> bool:
        if program.unit and program.unit in self.units:
            return True
        names = self.windows if program.platform is Platform.WINDOWS else self.macos
        return any(fnmatchcase(program.name.lower(), name) for name in names)


class _Vendors(Struct, frozen=True, forbid_unknown_fields=True):
    source: str
    names: frozenset[str]
    teams: frozenset[str]


class _Known(Struct, frozen=True, forbid_unknown_fields=True):
    classes: tuple[ProgramClass, ...] = field(name="class")
    vendors: _Vendors


@lru_cache(maxsize=4096)
def named_classes(program: Program, direction: Direction) -> tuple[ProgramClass, ...]:
    """The kinds that a program claims by its name or service: their ports bind it even if the claim is false."""
    return tuple(each for each in _known().classes if each.direction is direction and each.names(program))


def classes_of(program: Program, direction: Direction, *, trusted: bool) -> tuple[ProgramClass, ...]:
    """The kinds a program belongs to. `trusted`: its signature is good, so that its folder matters less."""
    placed = is_placed(program, trusted=trusted)
    return tuple(each for each in named_classes(program, direction) if placed or each.anywhere)


def is_placed(program: Program, *, trusted: bool) -> bool:
    """Whether the program is where installers put programs, or carries a good signature; a bare name is neither."""
    kernel = program.platform is Platform.WINDOWS and not program.path and program.name == "system"
    return trusted or kernel or place_of(program.platform, program.path) in {Place.SYSTEM, Place.INSTALLED}


def known_vendor(signer: Signer) -> bool:
    """Whether the signer is one whose programs are known to use ports of their own.

    A macOS authority ends with its team in brackets. osquery reports both as the file claims them.
    """
    if signer.trust is not Trust.TRUSTED:
        return False
    name, _, team = signer.name.rpartition("(")
    vendors = _known().vendors
    return team.removesuffix(")") in vendors.teams or signer.name.lower() in vendors.names or name in vendors.names


@cache
def _known() -> _Known:
    content: Mapping[str, object] = tomllib.loads(files("app.detection").joinpath("classes.toml").read_text("utf-8"))
    return convert(content, _Known)
