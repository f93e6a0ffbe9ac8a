"""What every route demands: who asks, and that they may; and a session whose end comes before the reply."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Any
from uuid import uuid4

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from app.access.actor import Actor
from app.access.audit.actions import Action
from app.access.audit.deed import Deed, Outcome
from app.access.audit.record import record_alone
from app.access.duties import Permission
from app.access.tokens import find_actor
from app.clock import utc_now
from app.database import Database, ReadSession
from app.problems import Forbidden, NotSignedIn

_bearer = HTTPBearer(auto_error=False, description="`portbook token add` prints one")


async def signed_in(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Actor:
    """Raises: NotSignedIn."""
    database: Database = request.app.state.database
    actor = await find_actor(database, credentials.credentials, utc_now()) if credentials else None
    if actor is None:
        raise NotSignedIn("send `Authorization: Bearer <token>` with a valid token")
    return replace(actor, source_ip=request.client.host if request.client else "", request_id=str(uuid4()))


def may(permission: Permission, *, heeds_roles: bool = False) -> Any:
    """A dependency that lets in who has the permission, and gives the route its actor.

    `heeds_roles`: the route itself shows no more than `Actor.roles`. On any other, an operator who is limited to some
    roles is denied.
    """

    async def allowed(request: Request, actor: Annotated[Actor, Depends(signed_in)]) -> Actor:
        if permission not in actor.permissions:
            await _deny(request, actor, f"this needs the permission {permission.value}")
        if actor.roles is not None and not heeds_roles:
            await _deny(request, actor, "this shows nodes of every role, and you may see those of some")
        return actor

    allowed.permission = permission  # type: ignore[attr-defined]
    return Depends(allowed)


async def _deny(request: Request, actor: Actor, why: str) -> None:
    """Raises: Forbidden, always."""
    database: Database = request.app.state.database
    what = f"{request.method} {request.url.path}"
    deed = Deed(Action.REQUEST_DENIED, "route", what, outcome=Outcome.DENIED, reason=why)
    await record_alone(database, actor, deed)
    raise Forbidden(why)


async def _reading(request: Request) -> AsyncIterator[ReadSession]:
    async with request.app.state.database.reading() as session:
        yield session


#: A read-only session of one request. `scope="function"`: it ends before the reply leaves, not after.
Reading = Annotated[ReadSession, Depends(_reading, scope="function")]
