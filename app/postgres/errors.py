"""Why the private PostgreSQL cannot be had, in sentences that say what to do."""

from pathlib import Path


class PostgresError(Exception):
    """The message is for the person at the command line."""


class ClusterBusy(PostgresError):
    """Another process owns the cluster; ``pid`` is None while that owner has not written it down yet."""

    def __init__(self, data_dir: Path, pid: int | None) -> None:
        owner = "another process" if pid is None else f"process {pid}"
        super().__init__(f"{data_dir} is in use by {owner}; stop it, or choose another data folder")
        self.pid = pid
