"""What is hidden in a fleet to be found: stories from plants.toml become rows of one node's last day."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec

from app.simulator.chance import chance
from app.simulator.lines import Execution
from app.simulator.nodes import Node
from app.simulator.processes import Bound, Day, Link, Process, bound_ports, start, talking
from app.simulator.profiles import Listen, Program, Talk, Transport, platform_of, profile
from app.simulator.rows import rows_of

Direction = Literal["outbound", "listening"]

#: The planted part of the last day, in seconds before its end.
EARLIEST_SECONDS, LATEST_SECONDS = 4 * 3600, 900


class Story(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`uses` names an installed program, of which the other fields say what is different; `program` is a new one."""

    role: str
    analytic: Literal["AN0633", "AN0635"]
    title: str
    why: str
    uses: str = ""
    program: Program | None = None
    cmdline: str = ""
    parent: str = ""
    user: str = ""
    signer: str = ""
    talks: tuple[Talk, ...] = ()
    listens: tuple[Listen, ...] = ()
    moves: bool = False  #: the program gives up the ports that it listens on otherwise


@dataclass(frozen=True, slots=True)
class Plant:
    """One thing to find. `node` is the host's name, `program` the process's."""

    name: str
    node: str
    host_identifier: str
    role: str
    analytic: str
    title: str
    program: str
    direction: Direction
    transport: Transport
    port: int
    why: str
    story: Story = field(repr=False)


@cache
def stories() -> dict[str, Story]:
    """Raises: msgspec.ValidationError when plants.toml is wrong."""
    return msgspec.toml.decode(files(__package__).joinpath("plants.toml").read_bytes(), type=dict[str, Story])


def placed(seed: str, names: Sequence[str], nodes: Sequence[Node]) -> tuple[Plant, ...]:
    """Each plant on a node of its role, on different nodes while there are enough; not where no node has the role."""
    taken: set[int] = set()
    plants = []
    for name in names:
        fitting = [node for node in nodes if _fits(stories()[name], node)]
        if fitting:
            free = [node for node in fitting if node.number not in taken]
            node = chance(seed, "plant", name).choice(free or fitting)
            taken.add(node.number)
            plants.append(_plant(name, stories()[name], node))
    return tuple(plants)


def executions_of(plant: Plant, node: Node, day: Day) -> Iterator[Execution]:
    """The changed executions of the last day that show the plant, each row once."""
    story, rows, dice = plant.story, rows_of(node), node.dice(plant.name)
    at = day.until - dice.randint(LATEST_SECONDS, EARLIEST_SECONDS)
    process = start(_program(story, plant.name), node, day)
    if story.moves:
        given_up = [bound for _, bound in bound_ports(_ordinary(story, node, day), node, dice)]
        yield Execution(rows.LISTENING, at - 300, removed=tuple(rows.listening(bound) for bound in given_up))
    listened = [bound for _, bound in bound_ports(process, node, dice)]
    if listened:
        yield Execution(rows.LISTENING, at, tuple(rows.listening(bound) for bound in listened))
    if talked := list(_links(process, node, plant)):
        yield Execution(rows.OUTBOUND, at + 30, tuple(rows.outbound(link) for link in talked))
    if story.program or story.signer:
        signer = rows.signer_named(process.program.signer)
        yield Execution(rows.SIGNATURES, at + 60, (rows.signature(process, signer, day=day),))
    if story.program and (jobs := tuple(rows.installation(node, process))):
        yield Execution(rows.INVENTORY, at + 90, jobs)


def seen_now(plant: Plant, node: Node, day: Day) -> tuple[Process, list[Link], list[Bound]]:
    """The planted process with the connections and ports that its rows of that day show."""
    process = start(_program(plant.story, plant.name), node, day)
    ports = [bound for _, bound in bound_ports(process, node, node.dice(plant.name))]
    return process, list(_links(process, node, plant)), ports


def _links(process: Process, node: Node, plant: Plant) -> Iterator[Link]:
    dice = node.dice(plant.name, "links")
    for talk in process.program.talks:
        yield from talking(process, node, talk, dice)


def _plant(name: str, story: Story, node: Node) -> Plant:
    program, seen = _program(story, name), _first(story)
    separator = "\\" if node.identity.platform == "windows" else "/"
    return Plant(
        name=name,
        node=node.identity.hostname,
        host_identifier=node.identity.host_identifier,
        role=story.role,
        analytic=story.analytic,
        title=story.title,
        program=program.name or program.path.rpartition(separator)[2],
        direction="outbound" if story.talks else "listening",
        transport=seen.transport,
        port=seen.port if isinstance(seen.port, int) else seen.port[0],
        why=story.why,
        story=story,
    )


def _first(story: Story) -> Talk | Listen:
    return story.talks[0] if story.talks else story.listens[0]


def _program(story: Story, name: str) -> Program:
    """With another command line, parent or person it is another process of the same program."""
    known = story.program or profile(platform_of(story.role)).programs[story.uses]
    changes = {key: value for key in ("cmdline", "parent", "user", "signer") if (value := getattr(story, key))}
    key = name if story.program or set(changes) - {"signer"} else known.key
    return msgspec.structs.replace(known, key=key, talks=story.talks, listens=story.listens, **changes)


def _ordinary(story: Story, node: Node, day: Day) -> Process:
    return start(profile(platform_of(story.role)).programs[story.uses], node, day)


def _fits(story: Story, node: Node) -> bool:
    installed = {program.key for program in node.programs}
    return node.role == story.role and node.habits.ordinary and (not story.uses or story.uses in installed)
