"""Baselines as JSON: versions, drafts, decisions and what they do, differences, proposals, files."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import PlainTextResponse, StreamingResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from app.access.actor import Actor
from app.access.api import Reading, may
from app.access.audit.actions import Action
from app.access.duties import Permission
from app.baselines import answers, decisions, drafts, found, store
from app.baselines.answers import (
    ApprovedOut,
    BaselineOut,
    DifferenceOut,
    EffectOut,
    FileOut,
    VersionOut,
    WholeVersionOut,
)
from app.baselines.applying import Applied, apply_file, compare
from app.baselines.decisions import Decision
from app.baselines.drafts import Draft, Origin
from app.baselines.effects import expectable
from app.baselines.forms import EntryIn
from app.baselines.models import BaselineOfRole, BaselineVersion
from app.baselines.proposals.proposing import Proposed, Wish
from app.baselines.proposals.steps import Step, steps_of
from app.baselines.reviews.schedule import set_interval
from app.baselines.yaml_file import FILE_MAX_BYTES, FileRefused, LineFault, read_file, write_file
from app.clock import utc_now
from app.database import Database
from app.detection.baseline import differences
from app.detection.behaviour import Platform
from app.fleet.models import Role
from app.keyset import Cursor, Limit, Page, Sorting, keyset
from app.problems import Problem
from app.request_body import json_body, read_bytes, read_json

router = APIRouter(prefix="/baselines", tags=["baselines"])

Reader = Annotated[Actor, may(Permission.READ, heeds_roles=True)]
Proposer = Annotated[Actor, may(Permission.PROPOSE, heeds_roles=True)]
Approver = Annotated[Actor, may(Permission.APPROVE, heeds_roles=True)]

SORTS = {"number": Sorting(BaselineVersion.number, BaselineVersion.number, int, int)}
Text = Annotated[str, Field(min_length=1, max_length=found.TEXT_MAX)]
Reference = Annotated[str, Field(max_length=found.TEXT_MAX)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class DraftIn(_Body):
    role: Annotated[str, Field(max_length=300)]
    platform: Platform
    reason: Text
    reference: Reference = ""
    entries: list[EntryIn]
    """All of them: what is not here is not expected."""


class EditIn(_Body):
    content_sha256: Annotated[str, Field(max_length=64)]
    """Of the draft as you saw it: 409 when somebody else changed it."""
    entries: list[EntryIn]


class ReasonIn(_Body):
    reason: Text


class ApproveIn(ReasonIn):
    in_force_from: AwareDatetime | None = None
    """Now, without it."""
    override_reason: Text | None = None
    """Only where you are the only approver there is, and the version is your own work: why it cannot wait."""


class IntervalIn(_Body):
    review_interval_days: Annotated[int, Field(ge=1, le=400)]


class ProposeIn(ReasonIn):
    role: Annotated[str, Field(max_length=300)]
    platform: Platform
    days: Annotated[int, Field(ge=1, le=400)] = 30
    """Whole days up to yesterday."""
    min_days: Annotated[int, Field(ge=1, le=400)] = 14
    min_nodes: Annotated[int, Field(ge=1)] | None = None
    """Without it 3, or a twentieth of the role's nodes that said anything."""
    justification: Annotated[str, Field(max_length=found.TEXT_MAX)] = ""
    owner: Annotated[str, Field(max_length=255)] = ""


@router.get("")
async def list_baselines(
    session: Reading,
    actor: Reader,
    role: Annotated[str | None, Query(max_length=300)] = None,
    platform: Platform | None = None,
) -> list[BaselineOut]:
    """What is in force for whom, what waits for a decision, and when the next review is due."""
    conditions = store.of_roles(actor.roles)
    conditions += [Role.name == role] if role is not None else []
    conditions += [BaselineOfRole.platform == platform] if platform else []
    return await answers.baselines_out(session, await store.list_baselines(session, conditions), utc_now())


@router.post("/drafts", status_code=201, openapi_extra=json_body(DraftIn))
async def post_draft(request: Request, actor: Proposer) -> VersionOut:
    """Write a version, whole; it counts for nothing until somebody else approves it."""
    asked = await read_json(request, DraftIn)
    entries = [each.new(asked.platform) for each in asked.entries]
    wanted = Draft(entries, Origin.EDIT, asked.reason, asked.reference)
    async with _database(request).writing() as session:
        made = await drafts.draft_for(session, actor, asked.role, asked.platform.value, wanted, utc_now())
        return await answers.version_out(session, made)


@router.post("/proposals", openapi_extra=json_body(ProposeIn))
async def post_proposal(request: Request, actor: Proposer) -> StreamingResponse:
    """Draft a version from history. JSON Lines: `days` and `of` while it reads, `proposed` or `problem` at last."""
    asked = await read_json(request, ProposeIn)
    steps = steps_of(_database(request), actor, Wish(**dict(asked)), utc_now())
    first = await anext(steps)  # what is wrong with the request is said by the status
    return StreamingResponse(_lines(_database(request), first, steps), 201, media_type="application/x-ndjson")


async def _lines(database: Database, first: Step, steps: AsyncGenerator[Step, None]) -> AsyncIterator[str]:
    try:
        async with aclosing(steps):
            yield await _line(database, first)
            async for step in steps:
                yield await _line(database, step)
    except Problem as problem:
        yield json.dumps({"problem": problem.document()}) + "\n"


async def _line(database: Database, step: Step) -> str:
    if not isinstance(step, Proposed):
        return json.dumps({"days": step[0], "of": step[1]}) + "\n"
    async with database.reading() as session:
        shown = await answers.proposed_out(session, step)
    return json.dumps({"proposed": shown.model_dump(mode="json")}) + "\n"


@router.post("/files", openapi_extra={"requestBody": {"content": {"application/yaml": {}}, "required": True}})
async def post_file(
    request: Request,
    actor: Proposer,
    reason: Annotated[str, Query(max_length=found.TEXT_MAX)] = "",
    reference: Annotated[str, Query(max_length=found.TEXT_MAX, description="e.g. the commit")] = "",
    dry_run: Annotated[bool, Query(description="say what differs, write nothing")] = False,  # noqa: FBT002
) -> FileOut:
    """Propose what a YAML file says, as a draft. Faults are told with their lines, and then nothing was taken."""
    file, database, now = read_file(await _content(request)), _database(request), utc_now()
    applied = await (
        compare(database, actor, file, now) if dry_run else apply_file(database, actor, file, reason, reference, now)
    )
    async with database.reading() as session:
        return await _file_out(session, applied)


async def _file_out(session: Reading, applied: Applied) -> FileOut:
    return FileOut(
        baseline_id=applied.baseline_id,
        compared_with=applied.compared_with,
        differences=[DifferenceOut.of(each) for each in applied.differences],
        draft=await answers.version_out(session, applied.draft) if applied.draft else None,
    )


async def _content(request: Request) -> bytes:
    refused = FileRefused([LineFault(1, "", f"longer than {FILE_MAX_BYTES:,} bytes")])
    return await read_bytes(request, FILE_MAX_BYTES, refused)


@router.get("/{baseline_id}")
async def get_baseline(session: Reading, actor: Reader, baseline_id: int) -> BaselineOut:
    named = await found.baseline(session, actor, baseline_id)
    return (await answers.baselines_out(session, [named], utc_now()))[0]


@router.put("/{baseline_id}/review-interval", openapi_extra=json_body(IntervalIn))
async def put_interval(request: Request, actor: Approver, baseline_id: int) -> BaselineOut:
    """How often the baseline is reviewed, from the next review on."""
    asked = await read_json(request, IntervalIn)
    await set_interval(_database(request), actor, baseline_id, asked.review_interval_days)
    async with _database(request).reading() as session:
        return await get_baseline(session, actor, baseline_id)


@router.get("/{baseline_id}/versions")
async def list_versions(
    session: Reading,
    actor: Reader,
    baseline_id: int,
    state: answers.State | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[VersionOut]:
    """Every version that was ever written, the newest first."""
    await found.baseline(session, actor, baseline_id)
    conditions = [BaselineVersion.baseline_id == baseline_id]
    conditions += [BaselineVersion.state == state] if state else []
    pages = keyset("-number", cursor, SORTS)
    rows = await store.list_versions(session, conditions + pages.conditions, pages.order, limit + 1)
    following = pages.next(rows, limit, lambda row: (row.number, row.number))
    return Page(items=await answers.versions_out(session, rows[:limit]), next=following)


@router.get("/{baseline_id}/versions/{number}")
async def get_version(session: Reading, actor: Reader, baseline_id: int, number: int) -> WholeVersionOut:
    named = await found.baseline(session, actor, baseline_id)
    return await answers.whole_out(session, named, await found.version(session, baseline_id, number))


@router.get("/{baseline_id}/versions/{number}/file")
async def get_file(request: Request, actor: Reader, baseline_id: int, number: int) -> PlainTextResponse:
    """A version as the YAML file that `POST /baselines/files` takes. An export, so it is logged."""
    async with _database(request).writing() as session:
        named = await found.baseline(session, actor, baseline_id)
        version = await found.version(session, baseline_id, number)
        entries = await store.entries_of(session, baseline_id, number, found.platform(named))
        drafts.note(session, actor, Action.BASELINE_EXPORTED, version)
    of, role = named
    heading = (
        f"Baseline of {found.words(named)}: version {number}, {version.state}\nSHA-256 {version.content_sha256.hex()}"
    )
    return PlainTextResponse(write_file(role, of.platform, entries, heading), media_type="application/yaml")


@router.put("/{baseline_id}/versions/{number}/entries", openapi_extra=json_body(EditIn))
async def put_entries(request: Request, actor: Proposer, baseline_id: int, number: int) -> VersionOut:
    """Put other entries into a draft. Who writes in it cannot approve it."""
    asked = await read_json(request, EditIn)
    async with _database(request).reading() as session:
        platform = found.platform(await found.baseline(session, actor, baseline_id))
    entries = [each.new(platform) for each in asked.entries]
    changed = await drafts.edit(
        _database(request), actor, baseline_id, number, entries, asked.content_sha256, utc_now()
    )
    return await _version(request, changed)


@router.post("/{baseline_id}/versions/{number}/submit")
async def post_submit(request: Request, actor: Proposer, baseline_id: int, number: int) -> VersionOut:
    """Ask for a decision. Every entry needs a justification and an owner by now."""
    return await _version(request, await drafts.submit(_database(request), actor, baseline_id, number, utc_now()))


@router.post("/{baseline_id}/versions/{number}/abandon", openapi_extra=json_body(ReasonIn))
async def post_abandon(request: Request, actor: Proposer, baseline_id: int, number: int) -> VersionOut:
    """Give up a version that nobody has decided on."""
    asked = await read_json(request, ReasonIn)
    return await _version(request, await drafts.abandon(_database(request), actor, baseline_id, number, asked.reason))


@router.get("/{baseline_id}/versions/{number}/effect")
async def get_effect(session: Reading, actor: Reader, baseline_id: int, number: int) -> EffectOut:
    """The open findings that an approval would withdraw now."""
    named = await found.baseline(session, actor, baseline_id)
    await found.version(session, baseline_id, number)
    entries = await store.entries_of(session, baseline_id, number, found.platform(named))
    return answers.effect_out(await expectable(session, named, entries))


@router.post("/{baseline_id}/versions/{number}/approve", openapi_extra=json_body(ApproveIn))
async def post_approve(request: Request, actor: Approver, baseline_id: int, number: int) -> ApprovedOut:
    """Put a version in force, now or later, in the place of the one before; says which open findings that closed."""
    asked = await read_json(request, ApproveIn)
    decision = Decision(asked.reason, asked.in_force_from, asked.override_reason)
    approved = await decisions.approve(_database(request), actor, baseline_id, number, decision, utc_now())
    closed = answers.effect_out(approved.closed) if approved.closed is not None else None
    return ApprovedOut(version=await _version(request, approved.version), closed=closed)


@router.post("/{baseline_id}/versions/{number}/reject", openapi_extra=json_body(ReasonIn))
async def post_reject(request: Request, actor: Approver, baseline_id: int, number: int) -> VersionOut:
    asked = await read_json(request, ReasonIn)
    database = _database(request)
    return await _version(
        request, await decisions.reject(database, actor, baseline_id, number, asked.reason, utc_now())
    )


@router.get("/{baseline_id}/diff")
async def get_diff(
    session: Reading,
    actor: Reader,
    baseline_id: int,
    before: Annotated[int, Query(ge=0, description="0: nothing expected")],
    after: Annotated[int, Query(ge=0)],
) -> list[DifferenceOut]:
    """What the second version expects otherwise than the first, in data and in words."""
    named = await found.baseline(session, actor, baseline_id)
    for number in (before, after):
        if number:
            await found.version(session, baseline_id, number)
    entries = [await store.entries_of(session, baseline_id, each, found.platform(named)) for each in (before, after)]
    return [DifferenceOut.of(each) for each in differences(*entries)]


def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


async def _version(request: Request, version: BaselineVersion) -> VersionOut:
    async with _database(request).reading() as session:
        return await answers.version_out(session, version)
