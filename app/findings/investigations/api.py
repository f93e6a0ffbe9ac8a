"""Investigations as JSON: what can be asked, ask the node of a finding, and what it answered."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from app.access.actor import Actor
from app.access.api import Reading, may
from app.access.duties import Permission
from app.clock import utc_now
from app.collection.questions import Parameter, Question
from app.database import Database, ReadSession
from app.findings import store as findings
from app.findings.investigations import store
from app.findings.investigations.answering import answers_sha256
from app.findings.investigations.asking import investigate
from app.findings.investigations.models import Investigation, InvestigationAnswer
from app.findings.investigations.states import RUNNING, InvestigationState
from app.findings.investigations.store import Listed
from app.findings.investigations.waiting import REFRESH_SECONDS
from app.fleet.presence import presence_of
from app.keyset import Cursor, Limit, Page, Sorting, instant, keyset, uuid
from app.osquery.configuration import OPTIONS
from app.problems import NotFound
from app.request_body import json_body, read_json

router = APIRouter(tags=["investigations"])

Reader = Annotated[Actor, may(Permission.READ, heeds_roles=True)]
Asker = Annotated[Actor, may(Permission.INVESTIGATE, heeds_roles=True)]

SORTS = {"asked_at": Sorting(Investigation.asked_at, Investigation.investigation_id, instant, uuid)}
#: Until an agent that is there has answered: its next poll, our own delay, and its work.
ANSWERED_WITHIN = timedelta(seconds=int(OPTIONS["distributed_interval"]) + REFRESH_SECONDS + 30)


class QuestionOut(BaseModel):
    name: str
    title: str
    platform: str
    """`windows`, `darwin` or `any`."""
    parameters: list[Parameter]
    needs: str
    noise: str
    statement: str
    """With its parameters, as `:pid`; sent with their values in their place."""
    statement_sha256: str


class AskIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    queries: Annotated[list[str], Field(min_length=1, max_length=50)] | None = None
    """Names of `/api/v1/investigation-queries`; all that fit the node without it."""


class NodeOut(BaseModel):
    node_id: int
    hostname: str
    online: bool
    """Heard within the last five minutes."""
    last_heard_at: datetime


class AboutOut(BaseModel):
    """What the row behind the finding says, as the node said it; null where it does not."""

    process_id: int | None
    process_started: int | None
    """Unix seconds: another start under the same id is another process."""
    path: str | None
    unit: str | None
    batch_id: UUID
    line: int
    """1-based line of that batch."""


class AnswerOut(BaseModel):
    query: str
    statement: str
    """Exactly as sent."""
    statement_sha256: str
    sent_at: datetime | None
    """When the node last fetched it."""
    times_sent: int
    answered_at: datetime | None
    status: int | None
    """osquery's own: 0 is good."""
    message: str | None
    rows: list[dict[str, str]] | None
    rows_total: int | None
    cut: bool
    """More rows came than are kept."""
    stats: dict[str, Any] | None


class InvestigationOut(BaseModel):
    investigation_id: UUID
    finding_id: UUID
    node: NodeOut
    state: InvestigationState
    asked_by: str
    asked_at: datetime
    expires_at: datetime
    """The node is not asked any more."""
    ended_at: datetime | None
    answer_expected_by: datetime | None
    """Null when it is over, and while the node is not there."""
    about: AboutOut
    left_out: dict[str, str]
    """Queries that could not be asked, and why."""


class WholeInvestigationOut(InvestigationOut):
    answers: list[AnswerOut]
    answers_sha256: str
    """Of all that was asked and answered, as the audit log has it from the end on; docs/investigate.md has the form."""


@router.get("/investigation-queries", dependencies=[may(Permission.READ, heeds_roles=True)])
async def list_questions(request: Request) -> list[QuestionOut]:
    """The reviewed queries that may be asked. There are no others."""
    return [_question_out(each) for each in _questions(request)]


@router.post("/findings/{finding_id}/investigations", status_code=201, openapi_extra=json_body(AskIn, required=False))
async def post_investigation(request: Request, finding_id: UUID, actor: Asker) -> WholeInvestigationOut:
    """Ask the node behind a finding. It is asked when it polls next, for 24 hours."""
    asked = await read_json(request, AskIn)
    database: Database = request.app.state.database
    now = utc_now()
    async with database.writing() as session:
        made = await investigate(session, _questions(request), actor, finding_id, now, wanted=asked.queries)
    async with database.reading() as session:
        return await _whole(session, actor, made, now)


@router.get("/findings/{finding_id}/investigations")
async def list_investigations(
    session: Reading, actor: Reader, finding_id: UUID, cursor: Cursor = None, limit: Limit = 50
) -> Page[InvestigationOut]:
    """What was asked about a finding, the newest first."""
    if await findings.find_finding(session, finding_id, actor.roles) is None:
        raise NotFound(f"no finding {finding_id}")
    pages = keyset("-asked_at", cursor, SORTS)
    conditions = [Investigation.finding_id == finding_id, *pages.conditions]
    rows = await store.list_investigations(session, conditions, pages.order, limit + 1, actor.roles)
    following = pages.next(rows, limit, lambda row: (row[0].asked_at, row[0].investigation_id))
    now = utc_now()
    return Page(items=[InvestigationOut(**_out(row, (), now)) for row in rows[:limit]], next=following)


@router.get("/investigations/{investigation_id}")
async def get_investigation(session: Reading, actor: Reader, investigation_id: UUID) -> WholeInvestigationOut:
    """One with the statements as sent, the answers, and whether the node is there."""
    return await _whole(session, actor, investigation_id, utc_now())


async def _whole(session: ReadSession, actor: Actor, investigation_id: UUID, now: datetime) -> WholeInvestigationOut:
    wanted = [Investigation.investigation_id == investigation_id]
    rows = await store.list_investigations(session, wanted, [], 1, actor.roles)
    if not rows:
        raise NotFound(f"no investigation {investigation_id}")
    answers = await store.answers_of(session, [investigation_id])
    return WholeInvestigationOut(
        **_out(rows[0], answers, now),
        answers=[_answer_out(each) for each in answers],
        answers_sha256=answers_sha256(answers).hex(),
    )


def _out(row: Listed, answers: Sequence[InvestigationAnswer], now: datetime) -> dict[str, Any]:
    found, node = row
    names = ("investigation_id", "finding_id", "asked_at", "expires_at", "ended_at", "left_out")
    presence = presence_of(node, now, *(at for each in answers for at in (each.sent_at, each.answered_at)))
    about = {name: getattr(found, name) for name in ("process_id", "process_started", "path", "unit", "batch_id")}
    waited_for = presence.online and found.state in RUNNING
    return {name: getattr(found, name) for name in names} | {
        "state": found.state,
        "asked_by": found.actor_name,
        "node": NodeOut(
            node_id=node.node_id,
            hostname=node.hostname,
            online=presence.online,
            last_heard_at=presence.last_heard_at,
        ),
        "about": AboutOut(**about, line=found.line_number + 1),
        "answer_expected_by": _expected(found.asked_at, now) if waited_for else None,
    }


def _expected(asked_at: datetime, now: datetime) -> datetime:
    """A node that came back since it was asked answers its next poll."""
    first = asked_at + ANSWERED_WITHIN
    return first if first > now else now + ANSWERED_WITHIN


def _answer_out(answer: InvestigationAnswer) -> AnswerOut:
    kept = len(answer.rows) if answer.rows is not None else 0
    named = {name: getattr(answer, name) for name in AnswerOut.model_fields if name not in _OTHERWISE}
    return AnswerOut(
        **named,
        query=answer.question,
        statement_sha256=answer.statement_sha256.hex(),
        cut=kept < (answer.rows_total or 0),
    )


_OTHERWISE = frozenset({"query", "statement_sha256", "cut"})


def _question_out(question: Question) -> QuestionOut:
    names = ("name", "title", "platform", "needs", "noise", "statement")
    return QuestionOut(
        **{name: getattr(question, name) for name in names},
        parameters=list(question.parameters),
        statement_sha256=sha256(question.statement.encode()).hexdigest(),
    )


def _questions(request: Request) -> Sequence[Question]:
    questions: Sequence[Question] = request.app.state.questions
    return questions
