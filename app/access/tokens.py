"""API tokens: random, shown once, kept as hashes; with a scope, an end, and perhaps an operator for whom they act."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from secrets import token_urlsafe

from app.access import store
from app.access.actor import Actor, AuthMethod, nobody
from app.access.attempts import network_of
from app.access.audit.actions import Action
from app.access.audit.deed import Deed
from app.access.audit.record import record
from app.access.denials import tell_denial
from app.access.duties import FOR_PROGRAMS, Permission, permissions_of
from app.access.models import ApiToken, Operator
from app.access.operator_rules import duties_of
from app.access.operators import actor_of
from app.database import Database, WriteSession
from app.problems import Conflict, InvalidRequest, NotFound

PREFIX = "portbook_"
LONGEST_LIFE = timedelta(days=365)
DEFAULT_LIFE = timedelta(days=90)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+ -]{0,99}")


@dataclass(frozen=True, slots=True)
class NewToken:
    """`operator`: the name of whom it acts for; without one it is a program's own, which may read and import."""

    name: str
    scope: frozenset[Permission]
    operator: str | None = None
    valid_for: timedelta = DEFAULT_LIFE


def token_hash(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


async def add_token(database: Database, wanted: NewToken, actor: Actor, now: datetime) -> str:
    """Returns the token's text, which is not kept.

    Raises: InvalidRequest, naming the field; NotFound for an unknown operator; Conflict.
    """
    _check(wanted)
    token = PREFIX + token_urlsafe(32)
    async with database.writing() as session:
        operator = await _operator(session, wanted)
        added = await store.insert_token(
            session,
            name=wanted.name,
            token_sha256=token_hash(token),
            scope=sorted(wanted.scope),
            operator_id=operator.operator_id if operator else None,
            created_at=now,
            expires_at=now + wanted.valid_for,
        )
        if not added:
            raise Conflict(f"a token named {wanted.name!r} exists already; choose another name", field="name")
        record(session, actor, Deed(Action.TOKEN_ADDED, "token", wanted.name, reason=", ".join(sorted(wanted.scope))))
    return token


def scope_from(text: str) -> frozenset[Permission]:
    """Reads e.g. `read,import`. Raises: InvalidRequest."""
    known = {each.value: each for each in Permission}
    names = [name.strip() for name in text.split(",") if name.strip()]
    if unknown := [name for name in names if name not in known]:
        raise InvalidRequest(f"no permission {unknown[0]!r}; there is {', '.join(sorted(known))}", field="scope")
    return frozenset(known[name] for name in names)


def _check(wanted: NewToken) -> None:
    if not NAME.fullmatch(wanted.name):
        raise InvalidRequest("a name has letters, digits, spaces and . _ @ + - only, at most 100", field="name")
    if not wanted.scope:
        raise InvalidRequest("a token that may do nothing is of no use", field="scope")
    if wanted.operator is None and not wanted.scope <= FOR_PROGRAMS:
        beyond = ", ".join(sorted(wanted.scope - FOR_PROGRAMS))
        raise InvalidRequest(f"{beyond}: only an operator's token may; name the operator", field="scope")
    if not timedelta(0) < wanted.valid_for <= LONGEST_LIFE:
        raise InvalidRequest(f"a token is valid for 1 to {LONGEST_LIFE.days} days", field="days")


async def _operator(session: WriteSession, wanted: NewToken) -> Operator | None:
    """Raises: NotFound, InvalidRequest for a scope beyond what the operator may."""
    if wanted.operator is None:
        return None
    found = await store.find_operator(session, wanted.operator)
    if found is None or found.disabled_at:
        raise NotFound(f"no active operator is named {wanted.operator!r}", field="operator")
    if beyond := wanted.scope - permissions_of(duties_of(found)):
        text = f"{', '.join(sorted(beyond))}: more than the duties of {found.name} allow"
        raise InvalidRequest(text, field="scope")
    return found


async def revoke_token(
    database: Database, name: str, actor: Actor, now: datetime, *, operator_id: int | None = None
) -> None:
    """`operator_id`: only if it acts for this one. Raises: NotFound."""
    async with database.writing() as session:
        if not await store.revoke_token(session, name, now, operator_id):
            raise NotFound(f"no valid token is named {name!r}")
        record(session, actor, Deed(Action.TOKEN_REVOKED, "token", name))


async def list_tokens(database: Database, operator_id: int | None = None) -> Sequence[tuple[ApiToken, str | None]]:
    """Each with the name of the operator for whom it acts; of one operator where one is named."""
    async with database.reading() as session:
        return [(token, operator) for token, operator in await store.list_tokens(session, operator_id)]


async def find_actor(database: Database, token: str, now: datetime) -> Actor | None:
    """Whom a valid token lets in. An operator who lost a duty cannot do by token what it gave."""
    async with database.reading() as session:
        found = await store.find_token(session, token_hash(token), now)
    if found is None:
        return None
    known, operator = found
    if known.last_used_at is None or now - known.last_used_at >= store.USE_KEPT_TO:
        async with database.writing() as session:
            await store.note_use(session, known.name, now)
    scope = frozenset(map(Permission, known.scope))
    if operator is None:
        return Actor(f"token {known.name}", AuthMethod.TOKEN, permissions=scope & FOR_PROGRAMS)
    actor = actor_of(operator, AuthMethod.TOKEN)
    return replace(actor, permissions=scope & actor.permissions)


async def note_refused(database: Database, token: str, source_ip: str, now: datetime) -> None:
    """Log who sent a token that lets nobody in."""
    async with database.reading() as session:
        name = await store.find_token_name(session, token_hash(token)) or "unknown"
    stranger = nobody(f"token {name}", source_ip)
    whose = f"{stranger.name} from {network_of(source_ip)}"
    await tell_denial(database, whose, stranger, Deed(Action.TOKEN_REFUSED, "token", name), now)
