"""What every route demands: who asks, and that they may; and a session whose end comes before the reply."""

from collections.abc import AsyncIterator
from dataclasses import replace
from hmac import compare_digest
from typing import Annotated, Any
from uuid import uuid4

from fastapi import Depends, Request, Response
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from app.access.actor import Actor, AuthMethod
from app.access.audit.actions import Action
from app.access.audit.deed import Deed
from app.access.denials import tell_denial
from app.access.duties import Permission
from app.access.same_origin import SAFE_METHODS, is_from_elsewhere
from app.access.sign_ins import KnownSignIn, find
from app.access.tokens import find_actor, note_refused
from app.clock import utc_now
from app.database import Database, ReadSession
from app.problems import Forbidden, NotSignedIn
from app.request_body import read_form

#: A browser takes a cookie of this name from this host only, over TLS, for every path.
COOKIE = "__Host-portbook"
CSRF_HEADER, CSRF_FIELD = "X-CSRF-Token", "csrf_token"

_bearer = HTTPBearer(auto_error=False, description="`portbook token add` prints one")
_cookie = APIKeyCookie(name=COOKIE, auto_error=False, description="`POST /api/v1/sign-in` sets it")


async def signed_in(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    cookie: Annotated[str | None, Depends(_cookie)],
) -> Actor:
    """By an API token, or by the cookie of a sign-in. Raises: NotSignedIn; Forbidden for a request of another site."""
    database: Database = request.app.state.database
    known = None
    if "authorization" in request.headers:
        actor = await _by_token(request, credentials)
    else:
        known = await find(database, cookie, request.app.state.sign_in_limits, utc_now()) if cookie else None
        if known is None:
            raise NotSignedIn("sign in, or send `Authorization: Bearer <token>` with a valid token")
        actor = known.actor
    actor = replace(actor, source_ip=source_ip(request), request_id=str(uuid4()))
    if known:
        await _refuse_other_sites(request, actor, known)
        request.state.sign_in = known
    return actor


async def _by_token(request: Request, credentials: HTTPAuthorizationCredentials | None) -> Actor:
    database: Database = request.app.state.database
    if credentials:
        if actor := await find_actor(database, credentials.credentials, utc_now()):
            return actor
        await note_refused(database, credentials.credentials, source_ip(request), utc_now())
    raise NotSignedIn("send `Authorization: Bearer <token>` with a valid token, or sign in")


async def _in_person(request: Request, actor: Annotated[Actor, Depends(signed_in)]) -> Actor:
    if actor.method not in {AuthMethod.PASSWORD, AuthMethod.OPENID}:
        await _deny(request, actor, "a person must do this, signed in; a token may not")
    return actor


#: Whoever is signed in, by whatever way.
SignedIn = Annotated[Actor, Depends(signed_in)]
#: Who signed in as a person, with no token.
InPerson = Annotated[Actor, Depends(_in_person)]


def may(permission: Permission, *, heeds_roles: bool = False) -> Any:
    """A dependency that lets in who has the permission, and gives the route its actor.

    `heeds_roles`: the route itself shows no more than `Actor.roles`. On any other, an operator who is limited to some
    roles is denied.
    """

    async def allowed(request: Request, actor: SignedIn) -> Actor:
        if permission not in actor.permissions:
            await _deny(request, actor, f"this needs the permission {permission.value}")
        if actor.roles is not None and not heeds_roles:
            await _deny(request, actor, "this shows nodes of every role, and you may see those of some")
        return actor

    allowed.permission = permission  # type: ignore[attr-defined]
    allowed.heeds_roles = heeds_roles  # type: ignore[attr-defined]
    return Depends(allowed)


def known_sign_in(request: Request) -> KnownSignIn | None:
    """By which cookie the actor of this request came; None for a token."""
    known: KnownSignIn | None = getattr(request.state, "sign_in", None)
    return known


def source_ip(request: Request) -> str:
    return request.client.host if request.client else ""


def set_cookie(response: Response, token: str) -> None:
    """Until the browser is closed, at most; how long the sign-in lasts is the database's business."""
    response.set_cookie(COOKIE, token, secure=True, httponly=True, samesite="lax", path="/")


def drop_cookie(response: Response) -> None:
    response.delete_cookie(COOKIE, secure=True, httponly=True, samesite="lax", path="/")


async def _refuse_other_sites(request: Request, actor: Actor, known: KnownSignIn) -> None:
    """A browser sends the cookie whoever made it send the request. Raises: Forbidden."""
    if request.method in SAFE_METHODS:
        return
    if is_from_elsewhere(request.headers):
        await _deny(request, actor, "this request comes from another site")
    sent = request.headers.get(CSRF_HEADER, "") or (await read_form(request)).get(CSRF_FIELD, "")
    if not compare_digest(sent.encode("utf-8", "surrogatepass"), known.csrf_token.encode()):
        why = f"send the sign-in's CSRF token as {CSRF_HEADER}; GET /api/v1/me has it"
        await _deny(request, actor, why, field=CSRF_FIELD)


async def _deny(request: Request, actor: Actor, why: str, **more: str) -> None:
    """Raises: Forbidden, always."""
    database: Database = request.app.state.database
    what = f"{request.method} {request.url.path}"
    route = f"{request.method} {getattr(request.scope.get('route'), 'path', '')}"
    deed = Deed(Action.REQUEST_DENIED, "route", what, reason=why)
    await tell_denial(database, f"{actor.name} {route}", actor, deed, utc_now())
    raise Forbidden(why, **more)


async def _reading(request: Request) -> AsyncIterator[ReadSession]:
    async with request.app.state.database.reading() as session:
        yield session


#: A read-only session of one request. `scope="function"`: it ends before the reply leaves, not after.
Reading = Annotated[ReadSession, Depends(_reading, scope="function")]
