"""Answers distributed queries as osquery does: runs them in SQLite, over tables of what the simulated node has now."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from hashlib import md5, sha1, sha256

from app.collection.tables import known_tables
from app.detection.community_id import PROTOCOL_NUMBERS
from app.simulator.life import sockets_of
from app.simulator.lines import Columns
from app.simulator.nodes import Node
from app.simulator.plants import Plant, seen_now
from app.simulator.processes import Bound, Day, Link, Process, running
from app.simulator.rows import rows_of

_STEPS = 5_000_000
_FAMILY6 = {"windows": "23", "darwin": "30"}
_STATES = {"open": "ESTABLISHED", "attempt": "SYN_SENT", "udp_connected": ""}
_STATS = {"wall_time_ms": 1, "user_time": 0, "system_time": 0, "memory": 4096}

Owner = tuple[Process, list[Link], list[Bound]]


def replies(node: Node, day: Day, plants: Iterable[Plant], queries: Mapping[str, object]) -> dict[str, object]:
    """What the node's agent posts to the write endpoint. A query that fails is answered with SQLite's own words."""
    with closing(_agent(node, day, plants)) as database:
        told = {name: _run(database, str(statement)) for name, statement in queries.items()}
    return {
        "queries": {name: rows for name, (rows, _) in told.items()},
        "statuses": {name: int(bool(message)) for name, (_, message) in told.items()},
        "messages": {name: message for name, (_, message) in told.items()},
        "stats": dict.fromkeys(told, _STATS),
    }


def _run(database: sqlite3.Connection, statement: str) -> tuple[list[dict[str, str]], str]:
    try:
        cursor = database.execute(statement)
        names = [name for name, *_ in cursor.description or ()]
        return [dict(zip(names, map(_cell, row), strict=True)) for row in cursor], ""
    except sqlite3.Error as error:
        return [], str(error)


def _cell(value: object) -> str:
    return "" if value is None else str(value)


def _agent(node: Node, day: Day, plants: Iterable[Plant]) -> sqlite3.Connection:
    system = node.identity.platform
    database = sqlite3.connect(":memory:")
    for name, table in known_tables().items():
        if system in table.systems:
            database.execute(table.ddl(name, system))
    for name, row in _rows(node, day, plants):
        columns = ", ".join(f'"{column}"' for column in row)
        marks = ", ".join("?" * len(row))
        database.execute(f'INSERT INTO "{name}" ({columns}) VALUES ({marks})', [*row.values()])  # noqa: S608 - our own names
    database.execute("PRAGMA query_only = ON")
    database.set_progress_handler(lambda: 1, _STEPS)
    return database


def _rows(node: Node, day: Day, plants: Iterable[Plant]) -> Iterator[tuple[str, Columns]]:
    """(table, row) of all that the node has."""
    owners = [*_ordinary(node, day), *(seen_now(plant, node, day) for plant in plants)]
    processes = {process.pid: process for process, *_ in owners}
    yield from (("processes", _process(node, process)) for process in processes.values())
    yield from (("processes", row) for row in _parents(processes, day))
    yield from (("users", row) for row in _users(node, processes.values()))
    yield from _files_and_jobs(node, processes.values(), day)
    for _, links, ports in owners:
        yield from (("process_open_sockets", _link(node, link)) for link in links)
        yield from (("process_open_sockets", _bound(node, bound)) for bound in ports)


def _files_and_jobs(node: Node, processes: Iterable[Process], day: Day) -> Iterator[tuple[str, Columns]]:
    """What processes share, e.g. the file of every svchost, is there once."""
    told: set[tuple[str, ...]] = set()
    for process in processes:
        for name, row in rows_of(node).tables(node, process, day=day):
            if (name, *row.values()) not in told:
                told.add((name, *row.values()))
                yield name, row
                if name == "file":
                    yield "hash", _hashes(row)


def _ordinary(node: Node, day: Day) -> Iterator[Owner]:
    for process in running(node, day):
        yield process, *sockets_of(process, node, node.dice(day.index, process.program.key, "sockets"))


def _process(node: Node, process: Process) -> Columns:
    said = rows_of(node).process_columns(process)
    renamed = {"start_time": "proc_start", "name": "proc_name", "path": "proc_path", "parent": "parent_pid"}
    same = ("pid", "cmdline", "on_disk", "uid")
    return {name: said[name] for name in same} | {name: said[column] for name, column in renamed.items()}


def _parents(processes: Mapping[int, Process], day: Day) -> Iterator[Columns]:
    """Those that started a process and are no program of the profile."""
    parents = {process.parent_pid: process.parent_path for process in processes.values()}
    for pid, path in parents.items():
        if pid not in processes and path:
            name = path.replace("\\", "/").rpartition("/")[2]
            start = {"start_time": str(day.since - 86_400), "parent": "1", "on_disk": "1", "uid": "0"}
            yield {"pid": str(pid), "name": name, "path": path, "cmdline": path, **start}


def _users(node: Node, processes: Iterable[Process]) -> Iterator[Columns]:
    said = (rows_of(node).process_columns(process) for process in processes)
    names = {each["uid"]: each["username"] for each in said if each["username"]}
    return ({"uid": uid, "username": name} for uid, name in names.items())


def _hashes(file: Columns) -> Columns:
    """Of what the simulator knows of the file: the same file has the same hashes."""
    content = "|".join(file.values()).encode()
    return {
        "path": file["path"],
        "md5": md5(content, usedforsecurity=False).hexdigest(),
        "sha1": sha1(content, usedforsecurity=False).hexdigest(),
        "sha256": sha256(content).hexdigest(),
    }


def _link(node: Node, link: Link) -> Columns:
    return _socket(node, link.process, link.transport, link.here, link.there) | {"state": _STATES[link.state]}


def _bound(node: Node, bound: Bound) -> Columns:
    nobody = ("::" if ":" in bound.address else "0.0.0.0", 0)  # noqa: S104 - what a row says
    here = (bound.address, bound.port)
    state = "LISTEN" if bound.transport == "tcp" else ""
    return _socket(node, bound.process, bound.transport, here, nobody) | {"state": state}


def _socket(
    node: Node, process: Process, transport: str, here: tuple[str, int], there: tuple[str, int]
) -> dict[str, str]:
    return {
        "pid": str(process.pid),
        "family": _FAMILY6[node.identity.platform] if ":" in here[0] else "2",
        "protocol": str(PROTOCOL_NUMBERS[transport]),
        "local_address": here[0],
        "local_port": str(here[1]),
        "remote_address": there[0],
        "remote_port": str(there[1]),
    }
