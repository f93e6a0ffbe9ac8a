"""Long paths, lost temporary folders, and folders that are not ours."""

import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import make_url

from app.postgres import Cluster, PostgresError, attach, erase

Rows = list[tuple[object, ...]]
Query = Callable[[str, str], Rows]


def socket_of(url: str) -> Path:
    return Path(str(make_url(url).query["host"]))


@pytest.mark.parametrize("name", ["long" * 30, "a,comma", 'sp ace"quote%25'])
def test_a_cluster_runs_wherever_it_is_moved(ground: Path, restarted: Path, query: Query, name: str) -> None:
    data_dir = restarted.rename(ground / name)
    try:
        with Cluster(data_dir).running() as url:
            assert query(url, "SELECT 1") == [(1,)]
            assert attach(data_dir) == url
            short = socket_of(url)
            assert stat.S_IMODE(short.stat().st_mode) == 0o700
            assert len(str(short)) < 50
        with Cluster(data_dir).running() as again:
            assert again == url
        shutil.rmtree(short)  # as at a reboot
        with Cluster(data_dir).running() as url:
            assert query(url, "SELECT 1") == [(1,)]
            assert socket_of(url) != short
    finally:
        data_dir.rename(restarted)


def test_erasing_removes_also_what_lies_elsewhere(ground: Path) -> None:
    data_dir, elsewhere, short = (ground / f"erased{part}" for part in ("", "-cluster", "-socket"))
    for folder in (data_dir, elsewhere / "data", short, data_dir / "cluster.partial"):
        folder.mkdir(parents=True)
    (data_dir / "portbook.lock").touch()
    (data_dir / "cluster").symlink_to(elsewhere)
    (data_dir / "socket").symlink_to(short)
    erase(data_dir)
    assert [place for place in (data_dir, elsewhere, short) if place.exists()] == []


def what_a_change_shows(path: Path) -> tuple[int, ...]:
    """All but the time of the last look, which is no change."""
    status = path.stat()
    return status.st_mode, status.st_uid, status.st_gid, status.st_nlink, status.st_mtime_ns


def test_a_folder_with_other_things_is_refused_and_left_as_it_was(ground: Path) -> None:
    data_dir = ground / "other-things"
    data_dir.mkdir(mode=0o755)
    (data_dir / "letter.txt").touch()
    before = what_a_change_shows(data_dir)
    with pytest.raises(PostgresError, match="is not empty"):
        Cluster(data_dir).start()
    assert what_a_change_shows(data_dir) == before
    erase(data_dir)
    assert (data_dir / "letter.txt").exists()


def test_nothing_is_attached_where_nothing_is(ground: Path) -> None:
    assert attach(ground / "nowhere") is None
