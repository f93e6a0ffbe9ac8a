"""Whom a pid belongs to, by /proc and by ps."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from app.postgres.postmaster import _from_proc, _from_ps, _Process, postmaster_of

LOOK_UPS = [_from_proc, *([_from_ps] if Path("/bin/ps").exists() else [])]


@pytest.mark.parametrize("look_up", LOOK_UPS)
def test_a_living_process_is_known_by_its_parent_and_command(look_up: Callable[[int], _Process | None]) -> None:
    command = ["/bin/sh", "-c", "echo begun; read word"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()  # the kernel fills in a command only at the end of its exec
        assert look_up(process.pid) == _Process(os.getpid(), "/bin/sh -c echo begun; read word ")
    assert look_up(process.pid) is None


@pytest.mark.parametrize("look_up", LOOK_UPS)
def test_a_zombie_has_no_command_of_postgres(look_up: Callable[[int], _Process | None]) -> None:
    process = subprocess.Popen(["/bin/true", "/postgres -D"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    found = look_up(process.pid)
    process.wait()
    assert found
    assert "/postgres -D" not in found.command


@pytest.mark.parametrize("text", ["", "\n", "nonsense\n/data\n", "-5\n", "99999999\n/data\n", "\xff\x00\n"])
def test_a_damaged_pid_file_names_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / "postmaster.pid").write_text(text)
    assert postmaster_of(tmp_path) is None
