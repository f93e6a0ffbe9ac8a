"""Who proves by a password who they are. Unknown, disabled and without a password: the same answer, as late."""

from dataclasses import dataclass, field
from datetime import datetime
from math import ceil

from app.access import attempts, passwords, store
from app.access.actor import Actor, AuthMethod, nobody
from app.access.attempts import FROM_ADDRESS, OF_NAME, Counted, network_of
from app.access.audit.actions import Action
from app.access.audit.deed import Deed, Outcome
from app.access.audit.record import record
from app.access.models import Operator
from app.access.operator_rules import NAME
from app.access.operators import put_password
from app.access.sign_ins import NewSignIn, begin
from app.database import Database, WriteSession
from app.problems import InvalidRequest, NotSignedIn, TooManyAttempts


@dataclass(frozen=True, slots=True)
class Claim:
    """Who somebody says to be, and how they would prove it."""

    name: str
    password: str = field(repr=False)
    source_ip: str = ""


async def sign_in(database: Database, claim: Claim, now: datetime) -> tuple[Operator, NewSignIn]:
    """Raises: NotSignedIn, TooManyAttempts, Busy."""
    name = claim.name.strip().lower()
    operator, counted = await _counted(database, name, claim.source_ip, now)
    match = await passwords.match(claim.password, _hash_of(operator))
    if operator is None or not match.holds:
        await _failed(database, operator, claim.source_ip, counted)
        raise NotSignedIn("the name or the password is wrong")
    async with database.writing() as session:
        by_now = await store.read_operator(session, operator.operator_id)
        if by_now.password_hash != operator.password_hash:
            raise NotSignedIn("the name or the password is wrong")
        begun = await begin(session, by_now, AuthMethod.PASSWORD, claim.source_ip, now)
        if match.renewed:
            await store.update_operator(session, by_now.operator_id, password_hash=match.renewed)
        await attempts.take_back(session, FROM_ADDRESS, network_of(claim.source_ip), now)
        await attempts.forget(session, OF_NAME, name)
    return by_now, begun


async def change_own(database: Database, actor: Actor, old: str, new: str, now: datetime) -> NewSignIn:
    """Every sign-in of the operator ends, and another one begins.

    Raises: InvalidRequest, naming the field; TooManyAttempts, Busy.
    """
    passwords.check_new(new, actor.name, "new")
    operator, counted = await _counted(database, actor.name, actor.source_ip, now)
    if operator is None or not (await passwords.match(old, _hash_of(operator))).holds:
        await _failed(database, operator, actor.source_ip, counted)
        raise InvalidRequest("this is not your password", field="old")
    if old == new:
        raise InvalidRequest("the new password is the old one", field="new")
    new_hash = await passwords.hashed(new)
    async with database.writing() as session:
        by_now = await store.read_operator(session, operator.operator_id)
        await put_password(session, by_now, new_hash, actor, now)
        await attempts.take_back(session, FROM_ADDRESS, network_of(actor.source_ip), now)
        return await begin(session, by_now, AuthMethod.PASSWORD, actor.source_ip, now)


async def _counted(
    database: Database, name: str, source_ip: str, now: datetime
) -> tuple[Operator | None, datetime | None]:
    """Whom a name means, and until when this attempt, should it fail, is the last one. Raises: TooManyAttempts."""
    async with database.writing() as session:
        found = await _count(session, name, source_ip, now)
        operator = await store.find_operator(session, name) if NAME.fullmatch(name) else None
    if found.is_refused:
        assert found.blocked_until is not None
        seconds = ceil((found.blocked_until - now).total_seconds())
        raise TooManyAttempts(f"too many failed sign-ins; try again in {seconds} s", retry_after_seconds=seconds)
    return operator, found.blocked_until


async def _count(session: WriteSession, name: str, source_ip: str, now: datetime) -> Counted:
    """The address first: it bounds how many names can be tried."""
    by_address = await attempts.count(session, FROM_ADDRESS, network_of(source_ip), now)
    if by_address.is_refused:
        return by_address
    by_name = await attempts.count(session, OF_NAME, name, now)
    if by_name.is_refused:
        return by_name
    until = [each.blocked_until for each in (by_address, by_name) if each.blocked_until]
    return Counted(is_refused=False, blocked_until=max(until, default=None))


def _hash_of(operator: Operator | None) -> str | None:
    return operator.password_hash if operator and not operator.disabled_at else None


async def _failed(
    database: Database, operator: Operator | None, source_ip: str, blocked_until: datetime | None
) -> None:
    """Names that nobody has are not kept: they may be passwords."""
    stranger = nobody(operator.name if operator else "unknown", source_ip)
    async with database.writing() as session:
        deed = Deed(Action.SIGN_IN_FAILED, "operator", stranger.name, outcome=Outcome.DENIED)
        record(session, stranger, deed)
        if blocked_until:
            why = f"no further attempt before {blocked_until:%Y-%m-%d %H:%M:%S} UTC"
            blocked = Deed(Action.SIGN_IN_BLOCKED, "operator", stranger.name, outcome=Outcome.DENIED, reason=why)
            record(session, stranger, blocked)
