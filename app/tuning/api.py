"""The knobs as JSON: those in force with where each comes from, their versions, what differs, changes; and ATT&CK."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from app.access.actor import Actor
from app.access.api import Reading, may
from app.access.duties import Permission
from app.clock import utc_now
from app.database import Database
from app.detection.attack import attack
from app.detection.knob_changes import changes
from app.detection.knobs import KnobsProblem
from app.detection.scopes import ROLE_MAX, Scope, scope_from
from app.keyset import Cursor, Limit, Page, Sorting, keyset
from app.problems import InvalidRequest
from app.request_body import json_body, read_json
from app.tuning import store
from app.tuning.changes import TEXT_MAX, Why, change_one, found_version, revert
from app.tuning.in_force import applying, origins_of
from app.tuning.models import KnobVersion

router = APIRouter(dependencies=[may(Permission.READ)])
knobs = APIRouter(prefix="/knobs", tags=["knobs"])

SORTS = {"version": Sorting(KnobVersion.version, KnobVersion.version, int, int)}
Text = Annotated[str, Field(min_length=1, max_length=TEXT_MAX)]


class ValueOut(BaseModel):
    field: str
    value: Any
    scope: str
    """`default`, or the scope that sets it."""
    version: int | None


class VersionOut(BaseModel):
    version: int
    scope: str
    document: dict[str, Any]
    document_sha256: str
    created_at: datetime
    """In force from then on."""
    created_by: str
    reason: str
    backtest_id: UUID | None
    forced_reason: str | None
    """Why it was applied without a backtest; null where there is one."""
    superseded_at: datetime | None


class KnobsOut(BaseModel):
    role: str
    platform: str
    version: int
    """The newest of the versions that went into it, as findings name it; 0 where all are defaults."""
    values: list[ValueOut]
    versions: list[VersionOut]
    """All that went into it, the widest scope first: who, why, and whether one was forced."""


class KnobChangeOut(BaseModel):
    field: str
    before: Any
    after: Any
    words: str


class WhyIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: Text
    backtest_id: UUID | None = None
    """A finished backtest of exactly these settings; without one the newest is looked up."""
    forced_reason: Text | None = None
    """Applies the change although no backtest shows what it does, and says why."""

    def why(self, actor: Actor) -> Why:
        return Why(actor, self.reason, self.backtest_id, self.forced_reason)


class ChangeIn(WhyIn):
    scope: str
    """`every`, `platform.windows`, `role.laptop.macos`."""
    document: dict[str, Any]
    """All that the scope shall set; what it does not name comes from the wider scopes."""
    replaces: Annotated[int, Field(ge=0)] | None = None
    """The version that you saw in force for the scope, 0 for none: 409 when another one is by now."""


@knobs.get("")
async def get_knobs(
    session: Reading,
    platform: Literal["windows", "macos"],
    role: Annotated[str, Query(max_length=ROLE_MAX, description="none: nodes of any role without settings")] = "",
    version: Annotated[int | None, Query(ge=0, description="as they were when this version had just been made")] = None,
) -> KnobsOut:
    """Every value for nodes of a role and platform, and where it comes from."""
    if version:
        await found_version(session, version)
    there = await (store.in_force(session) if version is None else store.in_force_at(session, version))
    versions = applying(there, role, platform)
    values = [
        ValueOut(field=each.field, value=each.value, scope=str(each.scope or "default"), version=number)
        for each, number in origins_of(versions)
    ]
    return KnobsOut(
        role=role,
        platform=platform,
        version=max((each.version for each in versions), default=0),
        values=values,
        versions=[version_out(each) for each in versions],
    )


@knobs.get("/versions")
async def list_versions(  # noqa: PLR0913, PLR0917 - filters of a list
    session: Reading,
    scope: Annotated[str | None, Query(max_length=ROLE_MAX + 20)] = None,
    in_force: bool | None = None,  # noqa: FBT001 - a filter
    forced: bool | None = None,  # noqa: FBT001 - a filter
    sort: str = "-version",
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[VersionOut]:
    """Every change that was ever made, the newest first."""
    conditions: list[Any] = [KnobVersion.scope == scope] if scope is not None else []
    if in_force is not None:
        conditions.append(KnobVersion.superseded_at.is_(None) == in_force)
    if forced is not None:
        conditions.append(KnobVersion.forced_reason.is_not(None) == forced)
    pages = keyset(sort, cursor, SORTS)
    rows = await store.list_versions(session, conditions + pages.conditions, pages.order, limit + 1)
    following = pages.next(rows, limit, lambda row: (row.version, row.version))
    return Page(items=[version_out(row) for row in rows[:limit]], next=following)


@knobs.post("/versions", status_code=201, openapi_extra=json_body(ChangeIn))
async def post_version(request: Request, actor: Annotated[Actor, may(Permission.TUNE)]) -> VersionOut:
    """Change what one scope sets. All of it is in force when you read the answer, or nothing changed."""
    asked = await read_json(request, ChangeIn)
    database: Database = request.app.state.database
    made = await change_one(
        database, _scope(asked.scope), asked.document, asked.why(actor), utc_now(), replaces=asked.replaces
    )
    return version_out(made)


@knobs.get("/versions/{version}")
async def get_version(session: Reading, version: int) -> VersionOut:
    return version_out(await found_version(session, version))


@knobs.post("/versions/{version}/revert", status_code=201, openapi_extra=json_body(WhyIn))
async def post_revert(request: Request, version: int, actor: Annotated[Actor, may(Permission.TUNE)]) -> VersionOut:
    """Make what an earlier version said the newest version of its scope."""
    asked = await read_json(request, WhyIn)
    return version_out(await revert(request.app.state.database, version, asked.why(actor), utc_now()))


@knobs.get("/diff")
async def get_diff(
    session: Reading,
    before: Annotated[int, Query(ge=0, description="0: nothing set")],
    after: Annotated[int, Query(ge=0)],
) -> list[KnobChangeOut]:
    """What the second version sets otherwise than the first, in data and in words."""
    documents = [(await found_version(session, each)).document if each else {} for each in (before, after)]
    return [
        KnobChangeOut(field=each.field, before=each.before, after=each.after, words=each.words)
        for each in changes(*documents)
    ]


@router.get("/attack", tags=["attack"])
async def get_attack() -> dict[str, Any]:
    """What MITRE ATT&CK says of the technique, as it was pinned: release, analytics, log sources, mutable elements."""
    found: dict[str, Any] = msgspec.to_builtins(attack())
    return found


router.include_router(knobs)


def version_out(version: KnobVersion) -> VersionOut:
    named = {name: getattr(version, name) for name in VersionOut.model_fields if name != "document_sha256"}
    return VersionOut(**named, document_sha256=version.document_sha256.hex())


def _scope(text: str) -> Scope:
    try:
        return scope_from(text)
    except KnobsProblem as problem:
        raise InvalidRequest(str(problem), field="scope") from None
