"""What the history says of one behaviour, in sentences."""

from app.detection.behaviour import DYNAMIC, Direction
from app.detection.evidence import Case, counted, percent
from app.detection.score import Statistics
from app.detection.standing import Standing

_NAMED_PORTS = 4
_DOES = {
    Direction.OUTBOUND: ("connected out", "used"),
    Direction.LISTENING: ("listened", "listened on"),
    Direction.LOOPBACK: ("connected to its own host", "used"),
}
_JOBS = {Direction.SERVICE: "service", Direction.LAUNCHD: "launchd job"}


def peers(standing: Standing) -> str:
    """The peer group, e.g. `laptop nodes`, `windows nodes`."""
    group = standing.peers.removeprefix("all ")
    return group if group.endswith("nodes") else f"{group} nodes"


def new_program(case: Case, standing: Standing) -> str:
    job = _JOBS.get(case.behaviour.direction)
    if job:
        return f"New {job}: none of the other {peers(standing)} has {case.name} running {case.behaviour.program.path}."
    does, _ = _DOES[case.behaviour.direction]
    how = case.behaviour.transport.value
    return (
        f"Program is new: none of the other {peers(standing)} ever {does} by {how} with {case.name}; {case.port} by "
        f"any program is on {standing.port.units:,} of {counted(standing.everything.units, 'node-day')}."
    )


def new_port(case: Case, standing: Standing) -> str:
    units = counted(standing.program.units, "node-day")
    if case.behaviour.direction is Direction.SIGNATURE:
        return f"On {units} {case.name} was {_buckets(standing)}, never {case.behaviour.bucket}."
    if case.behaviour.direction in _JOBS:
        return f"Configuration is new: on {units} {case.name} was never configured as {case.behaviour.bucket}."
    ports = counted(len(standing.program_ports), "port")
    _, how = _DOES[case.behaviour.direction]
    return (
        f"Port is new for this program: on {units} {case.name} {how} {ports} ({_buckets(standing)}), "
        f"never {spoken(case.behaviour.bucket)}."
    )


def known_port(case: Case, standing: Standing, statistics: Statistics) -> str:
    what = "Port" if case.networked else "This"
    says = "is rare" if statistics.novelty_points else "is usual"
    units = f"{standing.behaviour.units:,} of {counted(standing.program.units, 'node-day')}"
    shown = f"{units} of {case.name} on other {peers(standing)} show {spoken(case.behaviour.bucket)}"
    return f"{what} {says} for this program: {shown}."


def share(standing: Standing, statistics: Statistics) -> str:
    running = " that run it" if standing.program.nodes else ""
    return (
        f"{statistics.peers_showing:,} of {statistics.peers:,} other {peers(standing)}{running} show this; with 95 % "
        f"confidence at most {percent(statistics.upper_share)} do"
    )


def spoken(bucket: str) -> str:
    return "49152-65535" if bucket == DYNAMIC else bucket


def _buckets(standing: Standing) -> str:
    named = [spoken(bucket) for bucket, _ in standing.program_ports[:_NAMED_PORTS]]
    return ", ".join(named + ["…"] * (len(standing.program_ports) > _NAMED_PORTS))
