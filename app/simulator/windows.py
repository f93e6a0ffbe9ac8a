"""The columns of the Windows packs."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from zlib import crc32

from app.detection.community_id import PROTOCOL_NUMBERS, community_id
from app.simulator.lines import Columns
from app.simulator.nodes import Node
from app.simulator.processes import Bound, Day, Link, Process
from app.simulator.profiles import Service, Signer, profile

OUTBOUND = "pack/windows_network/outbound"
LISTENING = "pack/windows_network/listening"
SIGNATURES = "pack/windows_context/signatures"
INVENTORY = "pack/windows_context/services"

_SYSTEM_USERS = {"SYSTEM": "18", "LOCAL SERVICE": "19", "NETWORK SERVICE": "20"}
_HINT = re.compile(r"-s ([A-Za-z0-9_.]+)")
_LAST_SYSTEM_PID = 4
_OF_FILE = ("path", "size", "mtime", "file_version", "product_version", "original_filename")
_OF_SIGNATURE = ("path", "subject_name", "issuer_name", "serial_number", "original_program_name")


@lru_cache(maxsize=256)
def process_columns(process: Process) -> dict[str, str]:
    return _of_the_system(process) if process.pid == _LAST_SYSTEM_PID else _of_a_program(process)


def _of_the_system(process: Process) -> dict[str, str]:
    """The kernel's process: osquery can open it for nothing but its name."""
    columns = dict.fromkeys(_of_a_program(process), "")
    unknown = dict.fromkeys(("proc_start", "on_disk", "uid", "elevated_token"), "-1")
    known = {"pid": str(process.pid), "proc_name": process.name, "parent_pid": "0", "parent_name": "[System Process]"}
    return columns | unknown | known


def _of_a_program(process: Process) -> dict[str, str]:
    return {
        "pid": str(process.pid),
        "proc_start": str(process.started),
        "proc_name": process.name,
        "proc_path": process.path,
        "cmdline": process.cmdline,
        "on_disk": "1",
        "uid": _SYSTEM_USERS.get(process.username) or str(1100 + crc32(process.username.encode()) % 900),
        "elevated_token": "1" if process.username in _SYSTEM_USERS else "0",
        "protection_type": "",
        "username": process.username,
        "username_matches": "1",
        "parent_pid": str(process.parent_pid),
        "parent_name": process.parent_path.rpartition("\\")[2],
        "parent_path": process.parent_path,
    }


def outbound(link: Link) -> Columns:
    hint = _HINT.search(link.process.cmdline)
    return {
        **process_columns(link.process),
        "svchost_hint": hint[1] if hint else "",
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
    services = bound.process.program.services
    return {
        **process_columns(bound.process),
        "service_names": ",".join(services),
        "service_count": str(len(services)) if services else "",
        "ip_version": "6" if ":" in bound.address else "4",
        "protocol": str(PROTOCOL_NUMBERS[bound.transport]),
        "local_address": bound.address,
        "local_port": str(bound.port),
        "bind_scope": bound.scope,
    }


def signatures(processes: Iterable[Process], *, day: Day) -> Iterator[Columns]:
    """One row a file; the system process has none."""
    by_path = {process.path: process for process in processes if process.path and process.pid > _LAST_SYSTEM_PID}
    for process in by_path.values():
        yield signature(process, _signer(process), day=day)


def signature(process: Process, signer: Signer | None, *, day: Day) -> Columns:
    number = crc32(process.path.encode())
    return {
        "path": process.path,
        "sign_status": signer.status if signer else "missing",
        "subject_name": signer.subject if signer else "",
        "issuer_name": signer.issuer if signer else "",
        "serial_number": f"3300{crc32(signer.subject.encode()):032x}" if signer else "",
        "original_program_name": signer.subject if signer else "",
        "size": str(40_000 + number % 9_000_000),
        "mtime": str(day.until - day.until % 1_209_600 - number % 86_400),
        "file_version": f"10.0.{number % 30_000}.{number % 97}",
        "product_version": f"10.0.{number % 30_000}.{number % 97}",
        "original_filename": process.name,
    }


def inventory(_node: Node, processes: Iterable[Process]) -> Iterator[Columns]:
    """The configuration of the services that the processes run."""
    for process in processes:
        for name in process.program.services:
            yield _service(name, profile("windows").services[name], process)


def installation(node: Node, process: Process) -> Iterator[Columns]:
    """The services that a newly installed program brings along, often none."""
    yield from inventory(node, [process])


def tables(node: Node, process: Process, *, day: Day) -> Iterator[tuple[str, Columns]]:
    """Rows of osquery's own tables that tell of one process's file and services."""
    if process.pid > _LAST_SYSTEM_PID:
        said = signature(process, _signer(process), day=day)
        yield "file", {name: said[name] for name in _OF_FILE}
        yield "authenticode", {name: said[name] for name in _OF_SIGNATURE} | {"result": said["sign_status"]}
    for configured in inventory(node, [process]):
        yield "services", {**configured, "pid": str(process.pid), "status": "RUNNING"}


def signer_named(key: str) -> Signer | None:
    return profile("windows").signers.get(key)


def _signer(process: Process) -> Signer | None:
    return signer_named(process.program.signer)


def _service(name: str, service: Service, process: Process) -> Columns:
    svchost = rf"C:\Windows\system32\svchost.exe -k {service.group} -p"
    return {
        "name": name,
        "display_name": service.display,
        "service_type": "SHARE_PROCESS" if service.group else "OWN_PROCESS",
        "start_type": service.start,
        "path": svchost if service.group else service.path or f'"{process.path}"',
        "module_path": rf"C:\Windows\System32\{service.dll}" if service.dll else "",
        "user_account": service.account,
    }
