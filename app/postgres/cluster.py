"""The cluster of a data folder: its one owner starts and stops it, others attach."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from subprocess import Popen

from app.postgres.account import account_for
from app.postgres.binaries import find_binaries
from app.postgres.creation import ensure_cluster
from app.postgres.errors import PostgresError
from app.postgres.folder import ROLE, SUPERUSER, Folder, discard
from app.postgres.postmaster import postmaster_of
from app.postgres.server import command_line, launch, stop, stop_orphan
from app.postgres.store import ensure_database


def say_nothing(_what: str) -> None:
    """For those who need not know why it takes long."""


class Cluster:
    """A PostgreSQL with all that it needs in ``data_dir``, which is made when it is missing.

    ``on_wait`` hears what a start waits for: once a second, and when a new cluster is made.
    """

    def __init__(
        self, data_dir: Path, bin_dir: Path | None = None, *, on_wait: Callable[[str], None] = say_nothing
    ) -> None:
        self._folder = Folder(data_dir.absolute())
        self._bin_dir = bin_dir
        self._on_wait = on_wait
        self._undo = ExitStack()
        self._server: Popen[bytes] | None = None

    @contextmanager
    def running(self) -> Iterator[str]:
        """Yields the URL for SQLAlchemy."""
        url = self.start()
        try:
            yield url
        finally:
            self.stop()

    def start(self) -> str:
        """Make the cluster if need be, start it, and return its URL when it takes connections.

        Raises: ClusterBusy when another process owns it, PostgresError when it cannot be had.
        """
        folder = self._folder
        account = account_for(folder.pgdata)
        folder.open_for(account)
        with ExitStack() as undo:
            lock = undo.enter_context(folder.locked())
            stop_orphan(folder.pgdata, self._on_wait)
            binaries = find_binaries(self._bin_dir, account)
            ensure_cluster(folder, binaries, account=account, lock=lock, on_wait=self._on_wait)
            socket = folder.make_socket_folder(account)
            command = command_line(binaries["postgres"], pgdata=folder.pgdata, socket=socket)
            server = launch(command, pgdata=folder.pgdata, log=folder.log, account=account, on_wait=self._on_wait)
            undo.callback(stop, server)
            ensure_database(socket, passfile=folder.passfile(SUPERUSER), password=folder.password(ROLE))
            self._server, self._undo = server, undo.pop_all()
        return folder.url()

    def stop(self, *, kill_after_seconds: float | None = None) -> None:
        """See ``app.postgres.server.stop``. Then the folder is free for another owner."""
        if self._server:
            stop(self._server, kill_after_seconds=kill_after_seconds)
            self._server = None
        self._undo.close()


def attach(data_dir: Path) -> str | None:
    """The URL of the cluster if a Portbook owns it and it takes connections.

    Raises: PostgresError when the folder is another account's.
    """
    folder = Folder(data_dir.absolute())
    try:
        postmaster = postmaster_of(folder.pgdata)
    except PermissionError as error:
        raise PostgresError(f"{folder.path} belongs to another account; run Portbook as that one") from error
    if postmaster is None or not postmaster.ready or postmaster.parent != folder.owner_pid():
        return None
    return folder.url()


def erase(data_dir: Path) -> None:
    """Remove the cluster and its folder, with what lies elsewhere for it. All its data are lost.

    Raises: ClusterBusy when a process owns it.
    """
    folder = Folder(data_dir.absolute())
    if not folder.lock.exists():
        return
    with folder.locked():
        stop_orphan(folder.pgdata, say_nothing)
        for place in (folder.cluster, folder.staging, folder.socket_link, folder.path):
            discard(place)
