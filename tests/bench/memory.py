"""A worker's memory with a million sightings known, in a process of its own."""

import json
import resource
import subprocess
import sys
from dataclasses import asdict, dataclass

from app.detection.behaviour import Behaviour, Direction, Platform, Program, Transport
from app.observations.known import KnownSightings

NODES, EACH = 5_000, 200
BEHAVIOURS = 4_000
KIB = 1024


@dataclass(frozen=True, slots=True)
class Memory:
    """Of a process that has loaded all that a worker has."""

    nodes: int
    sightings: int
    empty_rss_bytes: int
    full_rss_bytes: int


def measure_memory() -> Memory:
    return Memory(**json.loads(subprocess.check_output([sys.executable, "-m", "tests.bench.memory"])))


def main() -> None:
    import app.main  # noqa: F401 - a worker has all of it loaded

    empty = _resident_bytes()
    ids = [_behaviour(number).behaviour_id.bytes for number in range(BEHAVIOURS)]
    known = KnownSightings(NODES * EACH * 2)
    for node in range(NODES):
        known.add(20_000, node, [ids[(node * 37 + place) % BEHAVIOURS] for place in range(EACH)])
    print(json.dumps(asdict(Memory(NODES, len(known), empty, _resident_bytes()))))


def _behaviour(number: int) -> Behaviour:
    program = Program(Platform.WINDOWS, rf"c:\program files\maker\{number // 10}.exe", f"{number // 10}.exe")
    return Behaviour(program, Direction.OUTBOUND, Transport.TCP, str(number % 10))


def _resident_bytes() -> int:
    """The most that this process has had; it only grows here."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB


if __name__ == "__main__":
    main()
