"""The account PostgreSQL runs under: our own or, since PostgreSQL refuses root, an unprivileged one."""

import os
import pwd
import stat
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from app.postgres.errors import PostgresError

#: The first that exists; an account of its own keeps two services apart, `nobody` is shared.
PREFERRED = ("portbook", "postgres", "nobody")
#: Where root keeps what the account cannot reach elsewhere, say below a /root of mode 0700.
LAST_RESORT = Path("/var/lib/portbook-postgres")
#: All that PostgreSQL sees of an environment: PGPORT, PGOPTIONS or a person's locale would change the cluster.
ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/local/bin:/usr/bin:/bin", "TZ": "UTC"}


@dataclass(frozen=True, slots=True)
class Account:
    uid: int
    gid: int
    #: Not the account that we run under ourselves.
    borrowed: bool

    def spawn(
        self, command: Sequence[str], *, output: int | IO[bytes], keep: Sequence[int] = ()
    ) -> subprocess.Popen[bytes]:
        """Start a child in a session of its own, so that the terminal's Ctrl-C reaches us and not it."""
        try:
            return subprocess.Popen(  # noqa: S603 - our own argument lists, never a shell's
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=ENVIRONMENT,
                cwd="/",
                start_new_session=True,
                pass_fds=keep,
                umask=0o077,
                user=self.uid if self.borrowed else None,
                group=self.gid if self.borrowed else None,
                extra_groups=[] if self.borrowed else None,
            )
        except OSError as error:
            raise PostgresError(f"cannot run {command[0]} as uid {self.uid}: {error.strerror}") from error

    def output_of(self, command: Sequence[str], *, keep: Sequence[int] = ()) -> str:
        """Raises: PostgresError with the output when the command fails."""
        with self.spawn(command, output=subprocess.PIPE, keep=keep) as child:
            output = child.communicate()[0].decode(errors="replace").strip()
        if child.returncode:
            raise PostgresError(f"{command[0]} failed with status {child.returncode}:\n{output}")
        return output

    def reaches(self, folder: Path) -> bool:
        """Ask by trying: modes, ACLs and mount options all have a say."""
        with self.spawn(["/bin/sh", "-c", 'cd -- "$0"', str(folder)], output=subprocess.DEVNULL) as child:
            return child.wait() == 0

    def enclose(self, folder: Path) -> None:
        """Let only us change the folder, and the account pass through it to what is its own."""
        if self.borrowed:
            os.chown(folder, -1, self.gid)
        folder.chmod(0o710 if self.borrowed else 0o700)

    def hand_over(self, path: Path) -> None:
        if self.borrowed:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


def account_for(pgdata: Path) -> Account:
    """Whom to run as: ourselves; as root the owner of an existing ``pgdata``, else the first of PREFERRED."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), borrowed=False)
    account = _owner_of(pgdata) or _preferred()
    try:
        account.reaches(Path("/"))
    except PostgresError as error:  # a container's root may lack the right, or know no other account
        raise PostgresError(
            f"PostgreSQL refuses root, and this root cannot lend it uid {account.uid}: run Portbook as an ordinary"
            " account, or give the address of a server with --database-url"
        ) from error
    return account


def last_resort(account: Account) -> Path:
    """A root-owned folder that the account can pass through and nobody else can change."""
    try:
        LAST_RESORT.mkdir(parents=True)
        LAST_RESORT.chmod(0o755)  # whatever our umask
    except FileExistsError:
        pass
    except OSError as error:
        raise PostgresError(
            f"uid {account.uid}, as which PostgreSQL runs, cannot reach what it needs, and {LAST_RESORT} cannot be made"
            f" for it ({error.strerror}); choose a data folder that it can reach, or run as an ordinary account"
        ) from error
    status = LAST_RESORT.lstat()
    safe = stat.S_ISDIR(status.st_mode) and status.st_uid == 0 and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if not (safe and account.reaches(LAST_RESORT)):
        raise PostgresError(f"{LAST_RESORT} must be a directory of root, mode 0755, that uid {account.uid} can reach")
    return LAST_RESORT


def _owner_of(pgdata: Path) -> Account | None:
    try:
        status = pgdata.stat()
    except FileNotFoundError:
        return None
    return Account(status.st_uid, status.st_gid, borrowed=True) if status.st_uid else None


def _preferred() -> Account:
    for name in PREFERRED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid, borrowed=True)
    raise PostgresError(f"PostgreSQL refuses root; make a system account named {PREFERRED[0]} for it")
