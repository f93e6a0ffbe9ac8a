"""Sign in and out, who I am, my password, my API tokens, as JSON."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from app.access import by_password, sign_ins
from app.access.actor import Actor, AuthMethod
from app.access.api import (
    COOKIE,
    InPerson,
    SignedIn,
    drop_cookie,
    known_sign_in,
    set_cookie,
    source_ip,
)
from app.access.duties import Duty, Permission
from app.access.operators import actor_of, roles_of
from app.access.passwords import LENGTH_MAX
from app.access.same_origin import is_from_elsewhere
from app.access.token_shapes import NewTokenOut, OwnTokenIn, TokenOut, token_out
from app.access.tokens import NewToken, add_token, list_tokens, revoke_token
from app.clock import utc_now
from app.problems import Forbidden
from app.request_body import json_body, read_json

router = APIRouter(tags=["sign-in"])

#: Longer than any new one may be, for its normal form may be shorter.
Password = Annotated[str, Field(max_length=4 * LENGTH_MAX)]


class SignInIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=200)]
    password: Password


class PasswordIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    old: Password
    new: Password


class MeOut(BaseModel):
    name: str
    operator: str | None
    """The operator; null for a program with a token of its own."""
    duties: list[Duty]
    permissions: list[Permission]
    roles: list[str] | None
    """Roles of the nodes that you may see; null for every one."""
    method: AuthMethod
    csrf_token: str | None
    """What to send as `X-CSRF-Token` with POST, PUT, PATCH and DELETE; null for a token, which needs none."""


@router.post("/sign-in", openapi_extra=json_body(SignInIn))
async def post_sign_in(request: Request, response: Response) -> MeOut:
    """Sign in with a password. The answer sets a cookie; the sign-in that the browser had ends."""
    if is_from_elsewhere(request.headers):
        raise Forbidden("this request comes from another site")
    asked = await read_json(request, SignInIn)
    database = request.app.state.database
    claim = by_password.Claim(asked.name, asked.password, source_ip(request))
    operator, begun = await by_password.sign_in(database, claim, utc_now())
    actor = actor_of(operator, AuthMethod.PASSWORD)
    if before := request.cookies.get(COOKIE):
        await sign_ins.end(database, before, actor)
    set_cookie(response, begun.token)
    return await _me(request, actor, begun.csrf_token)


@router.delete("/sign-in", status_code=204)
async def delete_sign_in(request: Request, response: Response, actor: InPerson) -> None:
    """Sign out: the cookie is worth nothing from now on."""
    await sign_ins.end(request.app.state.database, request.cookies[COOKIE], actor)
    drop_cookie(response)


@router.get("/me")
async def get_me(request: Request, actor: SignedIn) -> MeOut:
    """Who asks, and what they may."""
    known = known_sign_in(request)
    return await _me(request, actor, known.csrf_token if known else None)


@router.post("/me/password", openapi_extra=json_body(PasswordIn))
async def post_password(request: Request, response: Response, actor: InPerson) -> MeOut:
    """Change your password. All your sign-ins end; the answer sets the cookie of a new one."""
    asked = await read_json(request, PasswordIn)
    begun = await by_password.change_own(request.app.state.database, actor, asked.old, asked.new, utc_now())
    set_cookie(response, begun.token)
    return await _me(request, actor, begun.csrf_token)


@router.get("/me/tokens")
async def get_tokens(request: Request, actor: InPerson) -> list[TokenOut]:
    """The API tokens that act for you."""
    return [token_out(*each) for each in await list_tokens(request.app.state.database, actor.operator_id)]


@router.post("/me/tokens", status_code=201, openapi_extra=json_body(OwnTokenIn))
async def post_token(request: Request, actor: InPerson) -> NewTokenOut:
    """Make a token that may at most what you may. Its text is told this once."""
    asked = await read_json(request, OwnTokenIn)
    wanted = NewToken(asked.name, frozenset(asked.scope), actor.name, timedelta(days=asked.days))
    return NewTokenOut(token=await add_token(request.app.state.database, wanted, actor, utc_now()))


@router.delete("/me/tokens/{name}", status_code=204)
async def delete_token(request: Request, actor: InPerson, name: str) -> None:
    """End a token of yours at once."""
    await revoke_token(request.app.state.database, name, actor, utc_now(), operator_id=actor.operator_id)


async def _me(request: Request, actor: Actor, csrf_token: str | None) -> MeOut:
    return MeOut(
        name=actor.name,
        operator=actor.name if actor.operator_id else None,
        duties=sorted(actor.duties),
        permissions=sorted(actor.permissions),
        roles=await roles_of(request.app.state.database, actor),
        method=actor.method,
        csrf_token=csrf_token,
    )
