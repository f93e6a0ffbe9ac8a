"""Standings and contexts for judgements, given in the counts that the formula is written in."""

from app.detection.behaviour import Behaviour, Direction, Platform, Program, Transport, port_bucket
from app.detection.context import Context, PeerScope, Signer, Trust
from app.detection.flow_facts import FlowFacts
from app.detection.paths import file_name, normalised
from app.detection.standing import Standing, Tally
from app.detection.surroundings import Surroundings

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


def a_flow(port, *, joined_by="Community ID", skew_seconds=19 * 3600.0, is_firm=True, **facts):
    """Surroundings with one flow of 34 packets, in which a sensor that knows every protocol recognised none."""
    talked = {"packets_out": 14, "packets_in": 20, "bytes_out": 700, "bytes_in": 900}
    sees = {"sees": frozenset({"tls", "http", "ssh", "violations"})}
    given = talked | sees | {"transport": Transport.TCP} | facts
    how = {"joined_by": joined_by, "skew_seconds": skew_seconds, "is_firm": is_firm}
    return Surroundings(flows=(FlowFacts("zeek", "dmz-1", "CwSL8u", port=port, **how, **given),))
