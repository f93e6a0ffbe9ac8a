"""The SQL that makes Portbook's role and database in a cluster."""

from pathlib import Path

import psycopg
from psycopg import sql

from app.postgres.errors import PostgresError
from app.postgres.folder import DATABASE, PORT, ROLE, SUPERUSER


def ensure_database(socket: Path, *, passfile: Path, password: str) -> None:
    """Make the role, which is no superuser, and the database it owns; set the role's password to what its file holds.

    Raises: PostgresError when the superuser of ``passfile`` is not let in.
    """
    try:
        # Without the empty password a PGPASSWORD of the person's environment would win over the file.
        connection = psycopg.connect(
            host=str(socket),
            port=PORT,
            user=SUPERUSER,
            dbname=SUPERUSER,
            passfile=str(passfile),
            password="",
            autocommit=True,
        )
    except psycopg.OperationalError as error:
        raise PostgresError(f"the password in {passfile} does not open the cluster: {error}") from error
    with connection:
        _ensure_role(connection, password)
        _ensure_owned_database(connection)


def _ensure_role(connection: psycopg.Connection, password: str) -> None:
    known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone()
    # Hashed here, so that the password can never show in the server's log.
    verifier = connection.pgconn.encrypt_password(password.encode(), ROLE.encode(), b"scram-sha-256").decode()
    statement = sql.SQL("{verb} ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {verifier}")
    verb = sql.SQL("ALTER" if known else "CREATE")
    connection.execute(statement.format(verb=verb, role=sql.Identifier(ROLE), verifier=sql.Literal(verifier)))


def _ensure_owned_database(connection: psycopg.Connection) -> None:
    known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
    if not known:
        statement = sql.SQL("CREATE DATABASE {database} OWNER {role}")
        connection.execute(statement.format(database=sql.Identifier(DATABASE), role=sql.Identifier(ROLE)))
