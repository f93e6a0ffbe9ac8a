"""Nodes and their keys, put straight into the database: enrolling is not what is measured."""

import secrets
from hashlib import sha256

import psycopg
from psycopg.conninfo import make_conninfo
from sqlalchemy.engine import make_url

_NODES = """
INSERT INTO nodes (host_identifier, hardware, hostname, platform, role_id, osquery_version, details, enrolled_at)
SELECT key, '', left(key, 12), 'windows', 1, '5.23.1', '{}', now() FROM unnest(%s::text[]) AS key
RETURNING node_id
"""
_KEYS = """
INSERT INTO node_keys (key_sha256, node_id, created_at)
SELECT hash, node_id, now() FROM unnest(%s::bytea[], %s::bigint[]) AS new(hash, node_id)
"""


def conninfo(url: str) -> str:
    """For psycopg, of a URL for SQLAlchemy."""
    parsed = make_url(url)
    plain = {name: str(value) for name, value in parsed.query.items()}
    return make_conninfo(user=parsed.username, dbname=parsed.database, **plain)


def connect(url: str) -> psycopg.Connection:
    return psycopg.connect(conninfo(url), autocommit=True)


def enrolled(connection: psycopg.Connection, total: int) -> list[str]:
    """The keys of so many new nodes."""
    connection.execute("INSERT INTO roles (name) VALUES ('office-laptop') ON CONFLICT DO NOTHING")
    keys = [secrets.token_urlsafe(32) for _ in range(total)]
    node_ids = [row[0] for row in connection.execute(_NODES, [keys])]
    connection.execute(_KEYS, [[sha256(key.encode()).digest() for key in keys], node_ids])
    return keys
