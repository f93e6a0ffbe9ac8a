"""A running PostgreSQL seen from outside, through the pid file in its data and the system's list of processes."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

#: The eighth line of postmaster.pid says how far the server is. Source: PostgreSQL's src/include/utils/pidfile.h.
STATUS_LINE = 7


@dataclass(frozen=True, slots=True)
class Postmaster:
    pid: int
    parent: int
    ready: bool


@dataclass(frozen=True, slots=True)
class _Process:
    parent: int
    #: The arguments joined by blanks, empty for a zombie.
    command: str


def postmaster_of(pgdata: Path) -> Postmaster | None:
    """None when nothing runs there, also if the pid in its file has died or is now some other program's."""
    pid, status = _pid_file(pgdata)
    process = _look_up(pid) if pid else None
    if pid is None or process is None or f"/postgres -D {pgdata} " not in process.command:
        return None
    return Postmaster(pid, process.parent, ready=status == "ready")


def forget_foreign_pid(pgdata: Path) -> None:
    """Remove a pid file that names some other program: PostgreSQL would take that for a server and refuse to start.

    A dead process' file is left to PostgreSQL, which also learns from it whether that one's children still live.
    """
    pid, _ = _pid_file(pgdata)
    if pid and _look_up(pid) and postmaster_of(pgdata) is None:
        (pgdata / "postmaster.pid").unlink()


def _pid_file(pgdata: Path) -> tuple[int | None, str]:
    try:
        lines = (pgdata / "postmaster.pid").read_text(errors="replace").splitlines()
        return int(lines[0]), "".join(lines[STATUS_LINE : STATUS_LINE + 1]).strip()
    except (FileNotFoundError, ValueError, IndexError):
        return None, ""


def _look_up(pid: int) -> _Process | None:
    return _from_proc(pid) if Path("/proc/self/stat").exists() else _from_ps(pid)


def _from_proc(pid: int) -> _Process | None:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="surrogateescape")
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    except PermissionError:  # a /proc with hidepid: certainly not ours
        return _Process(0, "")
    return _Process(int(stat.rpartition(")")[2].split()[1]), command)


def _from_ps(pid: int) -> _Process | None:
    """For macOS, which has no /proc."""
    command = ["/bin/ps", "-ww", "-o", "ppid=,command=", "-p", str(pid)]
    line = subprocess.run(command, capture_output=True, check=False).stdout.decode(errors="surrogateescape")  # noqa: S603
    parent, _, arguments = line.strip().partition(" ")
    return _Process(int(parent), f"{arguments} ") if parent else None
