"""Operators and API tokens as JSON."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from app.access import operators
from app.access.actor import Actor
from app.access.api import may
from app.access.duties import Duty, Permission
from app.access.operators import Change, Listed, NewOperator
from app.access.passwords import LENGTH_MAX
from app.access.token_shapes import NewTokenOut, OwnTokenIn, TokenOut, token_out
from app.access.tokens import NewToken, add_token, list_tokens, revoke_token
from app.clock import utc_now
from app.request_body import json_body, read_json

router = APIRouter(tags=["operators"])

Admin = Annotated[Actor, may(Permission.ADMINISTER)]
Password = Annotated[str, Field(max_length=4 * LENGTH_MAX)]
Roles = Annotated[list[str] | None, Field(max_length=1000)]


class OperatorIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=127)]
    duties: list[Duty]
    roles: Roles = None
    """Roles of the nodes that they may see; null for every one."""
    password: Password | None = None
    """None: they sign in by OpenID Connect."""


class ChangeIn(BaseModel):
    """What is not named stays."""

    model_config = ConfigDict(extra="forbid")

    duties: list[Duty] | None = None
    roles: Roles = None


class PasswordIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    password: Password


class OperatorOut(BaseModel):
    name: str
    duties: list[Duty]
    roles: list[str] | None
    """Roles of the nodes that they may see; null for every one."""
    created_at: datetime
    disabled_at: datetime | None
    password_changed_at: datetime | None
    """Null: no password."""
    locked_until: datetime | None
    """No sign-in by password before, after too many failed ones."""


@router.get("/operators")
async def get_operators(request: Request, _admin: Admin) -> list[OperatorOut]:
    return [_operator_out(each) for each in await operators.list_all(request.app.state.database, utc_now())]


@router.post("/operators", status_code=201, openapi_extra=json_body(OperatorIn))
async def post_operator(request: Request, admin: Admin) -> OperatorOut:
    asked = await read_json(request, OperatorIn)
    roles = None if asked.roles is None else frozenset(asked.roles)
    wanted = NewOperator(asked.name, frozenset(asked.duties), roles, asked.password)
    return _operator_out(await operators.add(request.app.state.database, wanted, admin, utc_now()))


@router.patch("/operators/{name}", openapi_extra=json_body(ChangeIn))
async def patch_operator(request: Request, admin: Admin, name: str) -> OperatorOut:
    """Change duties, or the roles of the nodes that they may see. In force with their next request."""
    asked = await read_json(request, ChangeIn)
    wanted = Change(
        None if asked.duties is None else frozenset(asked.duties),
        None if asked.roles is None else frozenset(asked.roles),
        every_role="roles" in asked.model_fields_set and asked.roles is None,
    )
    return _operator_out(await operators.change(request.app.state.database, name, wanted, admin, utc_now()))


@router.post("/operators/{name}/disable")
async def post_disable(request: Request, admin: Admin, name: str) -> OperatorOut:
    """Their sign-ins end, and their tokens are refused."""
    return _operator_out(await operators.disable(request.app.state.database, name, admin, utc_now()))


@router.post("/operators/{name}/enable")
async def post_enable(request: Request, admin: Admin, name: str) -> OperatorOut:
    return _operator_out(await operators.enable(request.app.state.database, name, admin, utc_now()))


@router.post("/operators/{name}/unlock")
async def post_unlock(request: Request, admin: Admin, name: str) -> OperatorOut:
    """Let them try again at once after too many failed sign-ins."""
    database = request.app.state.database
    await operators.unlock(database, name, admin)
    return _operator_out(await operators.find(database, name, utc_now()))


@router.put("/operators/{name}/password", status_code=204, openapi_extra=json_body(PasswordIn))
async def put_password(request: Request, admin: Admin, name: str) -> None:
    """Give somebody else a password; their sign-ins end."""
    asked = await read_json(request, PasswordIn)
    await operators.set_password(request.app.state.database, name, asked.password, admin, utc_now())


@router.get("/tokens")
async def get_tokens(request: Request, _admin: Admin) -> list[TokenOut]:
    return [token_out(*each) for each in await list_tokens(request.app.state.database)]


@router.post("/tokens", status_code=201, openapi_extra=json_body(OwnTokenIn))
async def post_token(request: Request, admin: Admin) -> NewTokenOut:
    """Make a program's own token, which may read and import. One that acts for an operator only they can make."""
    asked = await read_json(request, OwnTokenIn)
    wanted = NewToken(asked.name, frozenset(asked.scope), None, timedelta(days=asked.days))
    return NewTokenOut(token=await add_token(request.app.state.database, wanted, admin, utc_now()))


@router.delete("/tokens/{name}", status_code=204)
async def delete_token(request: Request, admin: Admin, name: str) -> None:
    """End any token at once."""
    await revoke_token(request.app.state.database, name, admin, utc_now())


def _operator_out(listed: Listed) -> OperatorOut:
    operator = listed.operator
    named = ("name", "duties", "created_at", "disabled_at", "password_changed_at")
    values = {name: getattr(operator, name) for name in named}
    return OperatorOut(**values, roles=listed.roles, locked_until=listed.blocked_until)
