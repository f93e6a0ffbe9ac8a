"""Makes a new cluster with initdb; an interrupted try is noticed by its name and done again."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import structlog

from app.postgres.account import Account, last_resort
from app.postgres.binaries import Binaries
from app.postgres.errors import PostgresError
from app.postgres.folder import SUPERUSER, Folder, discard, sync_folder, write_secret

#: In order of preference; the second where the system's C library lacks the first.
LOCALES = ("--locale=C.UTF-8", "--no-locale")

PWFILE = "password"

_log = structlog.get_logger()


def ensure_cluster(
    folder: Folder, binaries: Binaries, *, account: Account, lock: int, on_wait: Callable[[str], None]
) -> None:
    """Raises: PostgresError when initdb fails, or what is there cannot be run by these binaries."""
    if os.path.lexists(folder.cluster):
        _check(folder, binaries)
        return
    on_wait("PostgreSQL is making a new cluster")
    for locale in LOCALES:
        staging = _fresh_staging(folder, account)
        try:
            _initdb(staging.resolve(), [binaries["initdb"], locale], account=account, lock=lock)
        except PostgresError as error:
            if "invalid locale name" not in str(error) or locale == LOCALES[-1]:
                raise
        else:
            staging.rename(folder.cluster)
            sync_folder(folder.path)
            return


def _check(folder: Folder, binaries: Binaries) -> None:
    version = folder.pgdata / "PG_VERSION"
    if not version.exists() or not folder.passfile(SUPERUSER).exists():
        raise PostgresError(
            f"{folder.path} lacks {version} or {folder.passfile(SUPERUSER).name}: restore it from a backup,"
            f" or remove {folder.path} to begin anew"
        )
    major = int(version.read_text())
    if major != binaries.major:
        raise PostgresError(
            f"{folder.path} was made by PostgreSQL {major} and {binaries.folder} is {binaries.major}:"
            f" give PostgreSQL {major}'s binaries, or dump with those and restore into a new data folder"
        )


def _fresh_staging(folder: Folder, account: Account) -> Path:
    """An empty directory but for the password, or a link to one when the account cannot come here."""
    staging = folder.staging
    discard(staging)
    if account.reaches(folder.path):
        staging.mkdir()
    else:
        elsewhere = Path(tempfile.mkdtemp(prefix="cluster-", dir=last_resort(account)))
        staging.symlink_to(elsewhere)
        _log.warning("postgres_data_elsewhere", uid=account.uid, unreachable=str(folder.path), place=str(elsewhere))
    account.enclose(staging)
    write_secret(staging / PWFILE, folder.password(SUPERUSER))
    return staging


def _initdb(place: Path, command: list[str], *, account: Account, lock: int) -> None:
    """The child keeps the lock, so that nobody begins again beside an initdb whose parent was killed."""
    pgdata, pwfile = place / "data", place / PWFILE
    pgdata.mkdir(mode=0o700)
    account.hand_over(pgdata)
    account.hand_over(pwfile)
    options = ("--encoding=UTF8", "--auth-local=scram-sha-256", "--auth-host=scram-sha-256", "--data-checksums")
    names = (f"--username={SUPERUSER}", f"--pwfile={pwfile}", f"--pgdata={pgdata}")
    account.output_of([*command, *options, *names], keep=(lock,))
    pwfile.unlink()
