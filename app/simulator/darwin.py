"""The columns of the macOS packs."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from zlib import crc32

from app.detection.community_id import PROTOCOL_NUMBERS, community_id
from app.simulator.lines import Columns
from app.simulator.nodes import Node
from app.simulator.processes import Bound, Day, Link, Process
from app.simulator.profiles import Job, Signer, profile

OUTBOUND = "pack/macos_network/outbound"
LISTENING = "pack/macos_network/listening"
SIGNATURES = "pack/macos_context/signatures"
INVENTORY = "pack/macos_context/launchd"

_SYSTEM_USERS = {"root": "0", "_mdnsresponder": "65", "_timed": "266"}
_OF_FILE = ("path", "size", "mtime", "mode")
_OF_SIGNATURE = ("path", "signed", "identifier", "team_identifier", "authority", "cdhash")
_SYSTEM_FOLDERS = ("/System/", "/Library/Apple/")


@lru_cache(maxsize=256)
def process_columns(process: Process) -> dict[str, str]:
    uid = _SYSTEM_USERS.get(process.username, "501")
    return {
        "pid": str(process.pid),
        "upid": str(process.pid * 37 + process.started % 1000),
        "proc_start": str(process.started),
        "proc_name": process.name,
        "proc_path": process.path,
        "cmdline": process.cmdline,
        "on_disk": "1",
        "uid": uid,
        "euid": uid,
        "username": process.username,
        "username_matches": "1",
        "parent_pid": str(process.parent_pid),
        "parent_name": process.parent_path.rpartition("/")[2] or "kernel_task",
        "parent_path": process.parent_path,
    }


def outbound(link: Link) -> Columns:
    return {
        **process_columns(link.process),
        "translated": "0",
        "ip_version": "6" if ":" in link.there[0] else "4",
        "protocol": str(PROTOCOL_NUMBERS[link.transport]),
        "local_address": link.here[0],
        "local_port": str(link.here[1]),
        "remote_address": link.there[0],
        "remote_port": str(link.there[1]),
        "conn_state": link.state,
        "local_port_listening": "1" if link.accepted else "0",
        "community_id": community_id(link.transport, link.here, link.there),
    }


def listening(bound: Bound) -> Columns:
    label = bound.process.program.label
    return {
        **process_columns(bound.process),
        "launchd_labels": label,
        "launchd_label_count": "1" if label else "",
        "launchd_match_rank": "3" if label else "",
        "held_by_launchd": "1" if bound.process.pid == 1 else "0",
        "ip_version": "6" if ":" in bound.address else "4",
        "protocol": str(PROTOCOL_NUMBERS[bound.transport]),
        "local_address": bound.address,
        "local_port": str(bound.port),
        "bind_scope": bound.scope,
    }


def signatures(processes: Iterable[Process], *, day: Day) -> Iterator[Columns]:
    """One row a file."""
    by_path = {process.path: process for process in processes}
    for process in by_path.values():
        yield signature(process, signer_named(process.program.signer), day=day)


def signature(process: Process, signer: Signer | None, *, day: Day) -> Columns:
    number = crc32(process.path.encode())
    return {
        "path": process.path,
        "signed": "1" if signer else "0",
        "identifier": process.program.identifier if signer else "",
        "team_identifier": signer.team if signer else "",
        "authority": signer.subject if signer else "",
        "cdhash": f"{number:08x}{number ^ 0x5A5A5A5A:08x}{crc32(process.name.encode()):08x}{number:016x}"
        if signer
        else "",
        "size": str(60_000 + number % 9_000_000),
        "mtime": str(day.until - day.until % 1_209_600 - number % 86_400),
        "file_uid": "0" if process.path.startswith(("/System/", "/usr/", "/sbin/", "/Library/")) else "501",
        "mode": "0755",
    }


def inventory(node: Node, processes: Iterable[Process]) -> Iterator[Columns]:
    """Every Mac has the system's jobs; those of other makers where their program is installed."""
    by_label = {process.program.label: process for process in processes}
    for label, job in profile("darwin").jobs.items():
        if label in by_label or job.arguments:
            yield _job(node, label, job, by_label[label].cmdline if label in by_label else job.arguments)


def installation(node: Node, process: Process) -> Iterator[Columns]:
    """The job that a newly installed program with a label brings along."""
    if process.program.label:
        folder = (
            "/Library/LaunchDaemons" if process.username == "root" else f"/Users/{node.person}/Library/LaunchAgents"
        )
        yield _job(node, process.program.label, Job(folder=folder, keep_alive="1"), process.cmdline)


def tables(node: Node, process: Process, *, day: Day) -> Iterator[tuple[str, Columns]]:
    """Rows of osquery's own tables that tell of one process's file and job."""
    said = signature(process, signer_named(process.program.signer), day=day)
    yield "file", {name: said[name] for name in _OF_FILE}
    whole = {"hash_resources": "0", "hash_executable": "1", "arch": ""}
    yield "signature", {name: said[name] for name in _OF_SIGNATURE} | whole
    job = profile("darwin").jobs.get(process.program.label)
    jobs = [_job(node, process.program.label, job, process.cmdline)] if job else installation(node, process)
    for row in jobs:
        configured = {name: value for name, value in row.items() if name not in {"plist_path", "plist_name", "scope"}}
        yield "launchd", {**configured, "path": row["plist_path"], "name": row["plist_name"]}


def signer_named(key: str) -> Signer | None:
    return profile("darwin").signers.get(key)


def _job(node: Node, label: str, job: Job, command: str) -> Columns:
    folder = job.folder.format(user=node.person)
    return {
        "plist_path": f"{folder}/{label}.plist",
        "plist_name": f"{label}.plist",
        "label": label,
        "program": "",
        "program_arguments": command,
        "run_at_load": job.run_at_load,
        "keep_alive": job.keep_alive,
        "on_demand": "",
        "disabled": "",
        "username": job.username,
        "groupname": "",
        "start_interval": "",
        "watch_paths": "",
        "queue_directories": "",
        "start_on_mount": "",
        "inetd_compatibility": "",
        "root_directory": "",
        "working_directory": "",
        "process_type": "",
        "scope": _scope(folder),
    }


def _scope(folder: str) -> str:
    if folder.startswith(_SYSTEM_FOLDERS):
        return "apple"
    return {"/Library/LaunchDaemons": "system_daemon", "/Library/LaunchAgents": "system_agent"}.get(
        folder, "user_agent"
    )
