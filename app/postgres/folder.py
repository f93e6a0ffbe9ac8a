"""What lies in a cluster's data folder, who may own it, and where its socket can live."""

import fcntl
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL

from app.postgres.account import Account
from app.postgres.errors import ClusterBusy, PostgresError

#: Names the socket; with no TCP it cannot clash with another server's.
PORT = 5432
#: Longest path of a Unix socket on macOS; Linux allows 107.
SOCKET_PATH_MAX_BYTES = 103
ROLE = DATABASE = "portbook"
SUPERUSER = "postgres"


@dataclass(frozen=True, slots=True)
class Folder:
    """The layout:

    portbook.lock     locked by the owner, holds its pid
    superuser.pgpass  portbook.pgpass   libpq password files, 0600
    server.log
    cluster/          data/ and socket/; a link when PostgreSQL's account cannot reach this folder
    socket            only if cluster/socket is too long a path: a link to a short directory
    """

    path: Path

    @property
    def lock(self) -> Path:
        return self.path / "portbook.lock"

    @property
    def log(self) -> Path:
        return self.path / "server.log"

    @property
    def cluster(self) -> Path:
        return self.path / "cluster"

    @property
    def staging(self) -> Path:
        """Where a new cluster is made before it gets its name."""
        return self.path / "cluster.partial"

    @property
    def pgdata(self) -> Path:
        return self.cluster.resolve() / "data"

    @property
    def socket_link(self) -> Path:
        return self.path / "socket"

    @property
    def socket(self) -> Path:
        place = self.cluster.resolve() / "socket"
        return place if _fits_socket(place) else self.socket_link.readlink()

    def passfile(self, role: str) -> Path:
        return self.path / ("superuser.pgpass" if role == SUPERUSER else f"{role}.pgpass")

    def url(self) -> str:
        """For SQLAlchemy. It holds no password, only the name of the file that does."""
        query = {"host": str(self.socket), "port": str(PORT), "passfile": str(self.passfile(ROLE))}
        return URL.create("postgresql+psycopg", username=ROLE, database=DATABASE, query=query).render_as_string()

    def open_for(self, account: Account) -> None:
        """Raises: PostgresError when the folder is another account's or holds other things."""
        try:
            self.path.mkdir(mode=0o700, parents=True)
        except FileExistsError:
            if self.path.stat().st_uid != os.geteuid():
                raise PostgresError(f"{self.path} belongs to another account; run Portbook as that one") from None
            if not self.lock.exists() and any(self.path.iterdir()):
                raise PostgresError(f"{self.path} is not empty and no cluster of Portbook; choose another") from None
        account.enclose(self.path)

    @contextmanager
    def locked(self) -> Iterator[int]:
        """Own the cluster while the block runs; yields the lock's descriptor.

        Raises: ClusterBusy when another process does.
        """
        lock = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._take(lock)
            yield lock
        finally:
            os.close(lock)

    def _take(self, lock: int) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ClusterBusy(self.path, self.owner_pid()) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)

    def owner_pid(self) -> int | None:
        """The last owner, which may have ended since."""
        try:
            return int(self.lock.read_text())
        except (FileNotFoundError, ValueError):
            return None

    def password(self, role: str) -> str:
        """Read from the role's password file, which is made when there is none."""
        passfile = self.passfile(role)
        if not passfile.exists():
            write_secret(passfile, f"*:*:*:{role}:{secrets.token_urlsafe(32)}\n")
        return passfile.read_text().strip().rpartition(":")[2]

    def make_socket_folder(self, account: Account) -> Path:
        """An empty directory of mode 0700 that belongs to the account, on a path short enough."""
        place = self.cluster.resolve() / "socket"
        if _fits_socket(place):
            place.mkdir(mode=0o700, exist_ok=True)
            account.hand_over(place)
        elif not _belongs_to(account, self.socket_link):  # a temporary directory may be lost at a reboot
            self.socket_link.unlink(missing_ok=True)
            self.socket_link.symlink_to(_short_folder(account))
        for left_over in (f".s.PGSQL.{PORT}", f".s.PGSQL.{PORT}.lock"):
            (self.socket / left_over).unlink(missing_ok=True)
        return self.socket


def write_secret(path: Path, text: str) -> None:
    """Write whole or not at all, readable by nobody else, and on the disk when this returns."""
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def discard(folder: Path) -> None:
    """Remove a directory with all in it, or a link to one together with that one."""
    if folder.is_symlink():
        discard(folder.readlink())
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


def _fits_socket(folder: Path) -> bool:
    # A comma separates hosts for libpq, and a quote would end the server's setting.
    return len(os.fsencode(folder / f".s.PGSQL.{PORT}")) <= SOCKET_PATH_MAX_BYTES and not {",", '"'} & set(str(folder))


def _belongs_to(account: Account, link: Path) -> bool:
    try:
        status = link.readlink().lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == account.uid and not stat.S_IMODE(status.st_mode) & 0o077


def _short_folder(account: Account) -> Path:
    for parent in ("/run", tempfile.gettempdir(), "/tmp"):  # noqa: S108 - mkdtemp's are safe there
        try:
            made = Path(tempfile.mkdtemp(prefix="portbook-", dir=parent))
        except OSError:
            continue
        account.hand_over(made)
        if _fits_socket(made) and account.reaches(made):
            return made
        made.rmdir()
    raise PostgresError(
        "found no directory with a path short enough for PostgreSQL's socket; choose a shorter data folder"
    )
