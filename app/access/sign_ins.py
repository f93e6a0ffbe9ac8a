"""Sign-ins: from the proof of who somebody is until they sign out, are away too long, or too much time has passed.

The token is random, stands in the browser's cookie and is kept as a hash. What a form or a script must send beside the
cookie, its CSRF token, is derived from it, so that nothing else need be kept.
"""

import hmac
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from secrets import token_urlsafe

from app.access import store
from app.access.actor import Actor, AuthMethod
from app.access.audit.actions import Action
from app.access.audit.deed import Deed
from app.access.audit.record import record
from app.access.models import Operator, SignIn
from app.access.operators import actor_of
from app.database import Database, ReadSession, WriteSession
from app.problems import NotSignedIn

#: What no setting allows to be passed; rows that are older go.
LONGEST = timedelta(days=7)
#: Sign-ins of one operator at once; the oldest ends when another begins.
MOST = 20


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a sign-in lasts: without a request, and in all."""

    idle: timedelta
    in_all: timedelta


@dataclass(frozen=True, slots=True)
class NewSignIn:
    """What is told once: the cookie's token. `csrf_token` can be derived from it again."""

    token: str = field(repr=False)
    csrf_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class KnownSignIn:
    actor: Actor
    sign_in: SignIn
    csrf_token: str = field(repr=False)


async def begin(
    session: WriteSession, operator: Operator, method: AuthMethod, source_ip: str, now: datetime
) -> NewSignIn:
    """Sign an operator in who has proved by `method` who they are. Raises: NotSignedIn when they are disabled."""
    by_now = await store.read_operator(session, operator.operator_id)
    if by_now.disabled_at:
        raise NotSignedIn("this operator is disabled")
    token = token_urlsafe(32)
    await store.delete_old_sign_ins(session, now - LONGEST)
    await store.delete_sign_ins(session, by_now.operator_id, but_newest=MOST - 1)
    await store.insert_sign_in(
        session,
        token_sha256=_hash(token),
        operator_id=by_now.operator_id,
        method=method,
        source_ip=source_ip,
        created_at=now,
        last_seen_at=now,
    )
    actor = replace(actor_of(by_now, method), source_ip=source_ip)
    record(session, actor, Deed(Action.SIGNED_IN, "operator", by_now.name))
    return NewSignIn(token, csrf_token_of(token))


async def find(database: Database, token: str, limits: Limits, now: datetime) -> KnownSignIn | None:
    """Whom a cookie lets in, with the duties that they have by now; None for a sign-in that has ended."""
    async with database.reading() as session:
        found = await store.find_sign_in(
            session, _hash(token), began_after=now - limits.in_all, seen_after=now - limits.idle
        )
    if found is None:
        return None
    sign_in, operator = found
    if now - sign_in.last_seen_at >= store.USE_KEPT_TO:
        async with database.writing() as session:
            await store.note_seen(session, sign_in.sign_in_id, now)
    return KnownSignIn(actor_of(operator, AuthMethod(sign_in.method)), sign_in, csrf_token_of(token))


async def end(database: Database, token: str, actor: Actor) -> None:
    """Sign out; a token that is none any more is no error."""
    async with database.writing() as session:
        if await store.delete_sign_in(session, _hash(token)):
            record(session, actor, Deed(Action.SIGNED_OUT, "operator", actor.name))


async def of_operator(session: ReadSession, operator_id: int, limits: Limits, now: datetime) -> list[SignIn]:
    """Those that last, the latest first."""
    began_after, seen_after = now - limits.in_all, now - limits.idle
    return list(await store.list_sign_ins(session, operator_id, began_after=began_after, seen_after=seen_after))


def csrf_token_of(token: str) -> str:
    return hmac.new(token.encode("utf-8", "surrogatepass"), b"csrf", sha256).hexdigest()


def _hash(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()
