"""API tokens: random, shown once, kept as hashes."""

from datetime import datetime
from hashlib import sha256
from secrets import token_urlsafe

from app.access import store
from app.database import Database
from app.problems import Conflict, NotFound, NotSignedIn

FIRST_TOKEN_NAME = "first"  # noqa: S105 - a name, not a token
PREFIX = "portbook_"


def token_hash(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


async def add_token(database: Database, name: str, now: datetime) -> str:
    """Returns the token's text, which is not kept.

    Raises: Conflict.
    """
    token = PREFIX + token_urlsafe(32)
    async with database.writing() as session:
        if not await store.insert_token(session, name, token_hash(token), now):
            raise Conflict(f"a token named {name!r} exists already; revoke it or choose another name")
    return token


async def first_token(database: Database, now: datetime) -> str | None:
    """The token of a first start, or None on every later one."""
    try:
        return await add_token(database, FIRST_TOKEN_NAME, now)
    except Conflict:
        return None


async def revoke_token(database: Database, name: str, now: datetime) -> None:
    """Raises: NotFound."""
    async with database.writing() as session:
        if not await store.revoke_token(session, name, now):
            raise NotFound(f"no valid token is named {name!r}")


async def is_valid(database: Database, token: str) -> bool:
    async with database.reading() as session:
        return await store.find_token(session, token_hash(token)) is not None


async def token_name(database: Database, token: str) -> str:
    """Raises: NotSignedIn."""
    async with database.reading() as session:
        found = await store.find_token(session, token_hash(token))
    if found is None:
        raise NotSignedIn("this token was revoked a moment ago")
    return found.name
