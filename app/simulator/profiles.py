"""What runs on a host of each role, what that connects to and listens on: facts read from the TOML files beside."""

from functools import cache
from importlib.resources import files
from typing import Any, Literal

import msgspec

Peers = Literal["public", "microsoft", "google", "apple", "github", "private", "directory", "attacker"]
Scope = Literal["any", "loopback", "specific"]
Transport = Literal["tcp", "udp"]

#: In place of a port: one of the dynamic range, another each day.
DYNAMIC = 0


class Talk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Connections out. Of several ports a day shows one; `daily` is the chance that a day shows any."""

    port: int | tuple[int, ...]
    peers: Peers = "public"
    transport: Transport = "tcp"
    daily: float = 1.0
    sockets: int = 1
    attempt: bool = False  #: nobody answers: the socket stays in SYN_SENT


class Listen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A bound port. `served` clients are connected to it; launchd itself holds the port of an on-demand job."""

    port: int | tuple[int, ...]
    transport: Transport = "tcp"
    scope: Scope = "any"
    daily: float = 1.0
    served: int = 0
    both_families: bool = False


class Program(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`{user}` and `{version}` in a path stand for what differs between hosts and days."""

    path: str
    key: str = ""
    name: str = ""  #: of the process, where it is not the file's
    cmdline: str = ""
    signer: str = ""  #: a key of the signers, or empty: unsigned
    identifier: str = ""  #: of the code signature on macOS
    user: str = "user"
    parent: str = ""  #: path; empty: the platform's first process
    version: str = ""  #: with `{release}`, which grows by one every two weeks
    services: tuple[str, ...] = ()
    label: str = ""  #: of its launchd job
    pid: int = 0  #: where it is always the same
    share: float = 1.0  #: of the hosts of a role that have it
    arrives_days_ago: int | None = None  #: rolled out to the whole fleet on that day
    talks: tuple[Talk, ...] = ()
    listens: tuple[Listen, ...] = ()


class Signer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`subject` is the authenticode subject or the leading authority; `team` is macOS' team identifier."""

    subject: str
    issuer: str = ""
    team: str = ""
    status: str = "trusted"


class Service(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A Windows service: `group` is svchost's -k; else `path` names an own program."""

    display: str
    group: str = ""
    dll: str = ""
    path: str = ""
    account: str = "LocalSystem"
    start: str = "AUTO_START"


class Job(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A launchd job and the folder of its property list; without arguments it runs the program that bears its label."""

    folder: str
    arguments: str = ""
    username: str = ""
    run_at_load: str = "1"
    keep_alive: str = ""


class Role(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`weight` is the role's part of a fleet; host names are the prefix and a number."""

    weight: int
    hostname: str
    os_name: str
    os_version: str
    programs: tuple[str, ...]
    people: bool = True  #: someone sits in front of it


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that is known of one platform."""

    roles: dict[str, Role]
    programs: dict[str, Program]
    signers: dict[str, Signer]
    services: dict[str, Service] = {}
    jobs: dict[str, Job] = {}

    def installed(self, role: str) -> tuple[Program, ...]:
        return tuple(self.programs[key] for key in self.roles[role].programs)


@cache
def profile(platform: str) -> Profile:
    """Raises: msgspec.ValidationError when the platform's TOML file is wrong."""
    document, ports = _file(platform), _file("ports")
    bases = document.pop("like")
    for key, program in document["programs"].items():
        base = bases[program.pop("like")] if "like" in program else {}
        talks = [{**talk, "port": _numbers(talk["port"], ports)} for talk in program.get("talks", ())]
        document["programs"][key] = {"key": key, **base, **program, "talks": talks}
    return msgspec.convert(document, Profile)


def _file(name: str) -> dict[str, Any]:
    return msgspec.toml.decode(files(__package__).joinpath(f"{name}.toml").read_bytes(), type=dict[str, Any])


def _numbers(port: object, named: dict[str, Any]) -> object:
    return named[port] if isinstance(port, str) else port


def platforms() -> tuple[str, ...]:
    return ("windows", "darwin")


def platform_of(role: str) -> str:
    """Raises: KeyError when no platform has the role."""
    for platform in platforms():
        if role in profile(platform).roles:
            return platform
    raise KeyError(role)
