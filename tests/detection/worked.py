"""Standings and contexts for judgements, given in the counts that the formula is written in."""

from app.detection.behaviour import Behaviour, Direction, Platform, Program, Transport, port_bucket
from app.detection.context import Context, PeerScope, Signer, Trust
from app.detection.paths import file_name, normalised
from app.detection.standing import Standing, Tally

MICROSOFT = Signer(Trust.TRUSTED, "Microsoft Windows")
UNSIGNED = Signer(Trust.UNSIGNED)
SVCHOST = r"C:\Windows\System32\svchost.exe"
CHROME = r"C:\Program Files\Google\Chrome\Application\chrome.exe"
GOOGLE = Signer(Trust.TRUSTED, "Google LLC")


def behaviour(path, port, *, direction=Direction.OUTBOUND, transport=Transport.TCP, unit="", platform=None):
    platform = platform or (Platform.MACOS if path.startswith("/") else Platform.WINDOWS)
    known_as = normalised(platform, path)
    return Behaviour(
        Program(platform, known_as, file_name(platform, known_as), unit), direction, transport, port_bucket(port)
    )


def context(signer=MICROSOFT, **facts):
    return Context(**{"node": "PRD01", "peer_scope": PeerScope.PRIVATE, "signer": signer} | facts)


def standing(**counts):
    """`seen`, `program`, `port`, `everything` are (node-days, nodes); `once` of the `ports` were seen once."""
    ports, once = counts.pop("ports", 0), counts.pop("once", 0)
    units = {name: Tally(*counts.pop(name, (0, 0))) for name in ("seen", "program", "port", "everything")}
    used = tuple((str(port), 1 if port < once else 9) for port in range(ports))
    return Standing(
        peers=counts.pop("peers", "workstation"),
        behaviour=units["seen"],
        program=units["program"],
        port=units["port"],
        everything=units["everything"],
        program_ports=tuple(sorted(used, key=lambda each: -each[1])),
        days=counts.pop("days", 30),
        **counts,
    )
