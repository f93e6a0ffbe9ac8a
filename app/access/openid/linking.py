"""Which operator an identity is. Nobody becomes one by signing in."""

from collections.abc import Sequence

from app.access import store as operators
from app.access.actor import Actor, AuthMethod
from app.access.audit.actions import Action
from app.access.audit.deed import Deed
from app.access.audit.record import record
from app.access.models import Operator
from app.access.openid import store
from app.access.openid.faults import IdentityRefused
from app.access.openid.identity import Identity
from app.access.operator_rules import NAME
from app.access.operators import actor_of
from app.database import Database, WriteSession
from app.problems import NotFound


async def operator_of(session: WriteSession, identity: Identity) -> Operator:
    """Whom the identity is linked with; at the first sign-in, with whom it is linked now.

    Raises: IdentityRefused, saying what an admin must do.
    """
    found = await store.find_linked(session, identity.key) or await _link(session, identity)
    if found.disabled_at:
        raise IdentityRefused(f"the operator {found.name} is disabled; an admin can enable it")
    return found


async def unlink(database: Database, name: str, actor: Actor) -> None:
    """Whoever was linked is nobody from now on, until a first sign-in links anew. Raises: NotFound."""
    async with database.writing() as session:
        named = await store.hold_named(session, [name]) if NAME.fullmatch(name) else []
        linked = [(each.operator_id, each.openid_subject) for each in named if each.openid_subject]
        if not linked:
            raise NotFound(f"no operator named {name!r} is linked with an identity", field="name")
        operator_id, key = linked[0]
        await store.link(session, operator_id, None)
        await operators.delete_sign_ins(session, operator_id)
        record(session, actor, Deed(Action.OPERATOR_UNLINKED, "operator", name, reason=key))


async def _link(session: WriteSession, identity: Identity) -> Operator:
    """Link the one operator of that name whom an admin added without a password and nobody is linked with."""
    named = await store.hold_named(session, identity.names)
    if len(named) != 1:
        raise IdentityRefused(_nobody(identity, named))
    operator = named[0]
    if operator.openid_subject == identity.key:  # a sign-in at the same moment was first
        return operator
    if operator.openid_subject is not None:
        raise IdentityRefused(f"the operator {operator.name} is linked with another identity; an admin can unlink it")
    if operator.password_hash is not None:
        raise IdentityRefused(f"the operator {operator.name} signs in with a password")
    await store.link(session, operator.operator_id, identity.key)
    actor = actor_of(operator, AuthMethod.OPENID)
    record(session, actor, Deed(Action.OPERATOR_LINKED, "operator", operator.name, reason=identity.key))
    return operator


def _nobody(identity: Identity, named: Sequence[Operator]) -> str:
    if named:
        return f"{' and '.join(operator.name for operator in named)} are two operators, and you could be either"
    if not identity.names:
        return "the provider gives neither a verified e-mail address nor a preferred_username, so no operator is found"
    add = f"portbook operator add {identity.names[0]} --no-password"
    return f"no operator is named {' or '.join(identity.names)}; an admin can add one: {add}"
