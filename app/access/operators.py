"""Operators: who they are, what they may do, and what they prove themselves with.

Nobody changes what they may do themselves, and there is always an admin who can sign in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

from app.access import attempts, passwords, store
from app.access.actor import PORTBOOK, Actor, AuthMethod
from app.access.audit.actions import Action
from app.access.audit.deed import Deed
from app.access.audit.record import record
from app.access.duties import Duty, permissions_of
from app.access.models import Operator
from app.access.operator_rules import (
    NAME,
    check_duties,
    check_name,
    duties_of,
    form_of,
    keep_an_admin,
    not_own,
    role_ids_of,
    words_of,
)
from app.database import Database, ReadSession, WriteSession
from app.problems import Conflict, NotFound

FIRST_ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class NewOperator:
    """`roles`: names of the nodes' roles that they may see, None for every one. Without a password: OpenID Connect."""

    name: str
    duties: frozenset[Duty]
    roles: frozenset[str] | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Change:
    """What shall be otherwise; None stays. `every_role` takes the limit to some roles away."""

    duties: frozenset[Duty] | None = None
    roles: frozenset[str] | None = None
    every_role: bool = False


@dataclass(frozen=True, slots=True)
class Listed:
    operator: Operator
    roles: list[str] | None
    blocked_until: datetime | None


def actor_of(operator: Operator, method: AuthMethod) -> Actor:
    """An operator as they act by now."""
    duties = duties_of(operator)
    roles = frozenset(operator.role_ids) if operator.role_ids is not None else None
    return Actor(operator.name, method, operator.operator_id, duties, permissions_of(duties), roles)


async def add(database: Database, wanted: NewOperator, actor: Actor, now: datetime) -> Listed:
    """Raises: InvalidRequest, naming the field; Conflict, Busy."""
    password_hash = await _checked(wanted)
    async with database.writing() as session:
        await store.hold_operators(session)
        added = await store.insert_operator(
            session,
            name=wanted.name,
            duties=sorted(wanted.duties),
            role_ids=await role_ids_of(session, wanted.roles),
            created_at=now,
            password_hash=password_hash,
            password_changed_at=now if password_hash else None,
        )
        if added is None:
            raise Conflict(f"an operator named {wanted.name!r} exists already", field="name")
        made = await _found(session, wanted.name)
        duties = ", ".join(made.duties)
        record(session, actor, _deed(Action.OPERATOR_ADDED, made.name, after=form_of(made), reason=duties))
    return await find(database, wanted.name, now)


async def add_first(database: Database, now: datetime) -> str | None:
    """The password of the admin that the very first start makes, or None when there are operators already."""
    password = passwords.a_password()
    wanted = NewOperator(FIRST_ADMIN, frozenset({Duty.ADMIN}), password=password)
    async with database.reading() as session:
        if await store.has_operators(session):
            return None
    try:
        await add(database, wanted, PORTBOOK, now)
    except Conflict:  # another server that starts just now was faster
        return None
    return password


async def change(database: Database, name: str, wanted: Change, actor: Actor, now: datetime) -> Listed:
    """Raises: InvalidRequest, NotFound, Conflict; each names the field."""
    if wanted.duties is not None:
        check_duties(wanted.duties)
    async with database.writing() as session:
        operator = await _held(session, name)
        before = form_of(operator)
        values: dict[str, object] = {}
        if wanted.duties is not None:
            not_own(actor, operator, "duties")
            if Duty.ADMIN not in wanted.duties:
                await keep_an_admin(session, operator, "duties")
            values["duties"] = sorted(wanted.duties)
        if wanted.roles is not None or wanted.every_role:
            not_own(actor, operator, "roles")
            values["role_ids"] = await role_ids_of(session, wanted.roles)
        after = form_of(operator, **values)
        if before != after:
            await store.update_operator(session, operator.operator_id, **values)
            reason = words_of(before, after)
            record(session, actor, _deed(Action.OPERATOR_CHANGED, name, before=before, after=after, reason=reason))
    return await find(database, name, now)


async def disable(database: Database, name: str, actor: Actor, now: datetime) -> Listed:
    """From now on they are nobody: their sign-ins end, and their tokens are refused. Raises: NotFound, Conflict."""
    async with database.writing() as session:
        operator = await _held(session, name)
        not_own(actor, operator, "disabled")
        await keep_an_admin(session, operator, "disabled")
        if not operator.disabled_at:
            before, after = form_of(operator), form_of(operator, disabled_at=now)
            await store.update_operator(session, operator.operator_id, disabled_at=now)
            await store.delete_sign_ins(session, operator.operator_id)
            record(session, actor, _deed(Action.OPERATOR_DISABLED, name, before=before, after=after))
    return await find(database, name, now)


async def enable(database: Database, name: str, actor: Actor, now: datetime) -> Listed:
    """Raises: NotFound."""
    async with database.writing() as session:
        operator = await _held(session, name)
        if operator.disabled_at:
            before, after = form_of(operator), form_of(operator, disabled_at=None)
            await store.update_operator(session, operator.operator_id, disabled_at=None)
            record(session, actor, _deed(Action.OPERATOR_ENABLED, name, before=before, after=after))
    return await find(database, name, now)


async def set_password(database: Database, name: str, password: str, actor: Actor, now: datetime) -> None:
    """Somebody else's; one's own needs the old one. Raises: InvalidRequest, NotFound, Conflict, Busy."""
    passwords.check_new(password, name)
    password_hash = await passwords.hashed(password)
    async with database.writing() as session:
        operator = await _held(session, name)
        not_own(actor, operator, "name", "change your own password with the old one, by /api/v1/me/password")
        await put_password(session, operator, password_hash, actor, now)


async def put_password(
    session: WriteSession, operator: Operator, password_hash: str, actor: Actor, now: datetime
) -> None:
    """What was begun with the old password ends, and so does a lock."""
    await store.update_operator(session, operator.operator_id, password_hash=password_hash, password_changed_at=now)
    await store.delete_sign_ins(session, operator.operator_id)
    await attempts.forget(session, attempts.OF_NAME, operator.name)
    record(session, actor, _deed(Action.PASSWORD_CHANGED, operator.name))


async def unlock(database: Database, name: str, actor: Actor) -> None:
    """Raises: NotFound."""
    async with database.writing() as session:
        operator = await _found(session, name)
        await attempts.forget(session, attempts.OF_NAME, operator.name)
        record(session, actor, _deed(Action.OPERATOR_UNLOCKED, name))


async def list_all(database: Database, now: datetime) -> list[Listed]:
    async with database.reading() as session:
        return await _listed(session, await store.list_operators(session), now)


async def roles_of(database: Database, actor: Actor) -> list[str] | None:
    """Names of the roles whose nodes an actor may see; None for every one."""
    if actor.roles is None:
        return None
    async with database.reading() as session:
        return _names(await store.role_names(session), sorted(actor.roles))


async def find(database: Database, name: str, now: datetime) -> Listed:
    """Raises: NotFound."""
    async with database.reading() as session:
        (listed,) = await _listed(session, [await _found(session, name)], now)
    return listed


def _deed(
    action: Action, name: str, *, before: bytes | None = None, after: bytes | None = None, reason: str = ""
) -> Deed:
    hashes = [sha256(form).digest() if form else None for form in (before, after)]
    return Deed(action, "operator", name, before_sha256=hashes[0], after_sha256=hashes[1], reason=reason)


async def _checked(wanted: NewOperator) -> str | None:
    """The hash of the password. Raises: InvalidRequest, Busy."""
    check_name(wanted.name)
    check_duties(wanted.duties)
    if wanted.password is None:
        return None
    passwords.check_new(wanted.password, wanted.name)
    return await passwords.hashed(wanted.password)


async def _found(session: ReadSession, name: str) -> Operator:
    found = await store.find_operator(session, name) if NAME.fullmatch(name) else None
    if found is None:
        raise NotFound(f"no operator is named {name!r}", field="name")
    return found


async def _held(session: WriteSession, name: str) -> Operator:
    """As it is, with nobody else changing operators."""
    await store.hold_operators(session)
    return await store.read_operator(session, (await _found(session, name)).operator_id)


async def _listed(session: ReadSession, operators: Sequence[Operator], now: datetime) -> list[Listed]:
    names = await store.role_names(session)
    keys = {each.name: attempts.key_of(attempts.OF_NAME, each.name) for each in operators}
    counted = await store.find_attempts(session, list(keys.values()))
    found = []
    for each in operators:
        there = counted.get(keys[each.name])
        until = there.blocked_until if there and there.blocked_until and there.blocked_until > now else None
        found.append(Listed(each, None if each.role_ids is None else _names(names, each.role_ids), until))
    return found


def _names(names: Mapping[int, str], role_ids: Sequence[int]) -> list[str]:
    return sorted(names.get(role_id, "?") for role_id in role_ids)
