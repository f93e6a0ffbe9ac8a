"""Asks the node behind a finding: chooses the questions, puts in what is known, keeps what is sent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

from app.access.actor import Actor
from app.access.audit.actions import Action
from app.access.audit.deed import Deed
from app.access.audit.record import record
from app.collection.questions import Question
from app.collection.schedule import osquery_name
from app.database import ReadSession, WriteSession
from app.findings import found
from app.findings.investigations import store
from app.findings.investigations.subject import Subject, subject_of
from app.findings.models import Finding
from app.fleet.models import Node
from app.observations.originals import Originals
from app.observations.store import bodies
from app.problems import Conflict, InvalidRequest

#: A laptop that sleeps over night is asked in the morning.
ASKED_FOR = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Question → its statement as it is sent; and those that cannot be asked, each with why."""

    statements: Mapping[str, str]
    left_out: Mapping[str, str]


async def investigate(
    session: WriteSession,
    questions: Sequence[Question],
    actor: Actor,
    finding_id: UUID,
    now: datetime,
    *,
    wanted: Sequence[str] | None = None,
) -> UUID:
    """Ask `wanted`, or all that fit the node. Returns the id of the investigation.

    Raises: NotFound, InvalidRequest naming the field, Conflict when the node cannot be asked or is being asked.
    """
    finding, behaviour, node, *_ = await found.finding(session, actor, finding_id)
    fitting = _fitting(questions, node)
    await _check_reachable(session, node, now)
    subject = await _subject(session, finding, behaviour.unit)
    chosen = choose(_named(fitting, wanted), subject)
    if not chosen.statements:
        raise Conflict("nothing can be asked: the finding's row tells nothing that a question needs", field="queries")
    investigation_id = uuid4()
    values = _investigation(investigation_id, actor, finding, subject, now) | {"left_out": dict(chosen.left_out)}
    answers = [_answer(investigation_id, node.node_id, *each) for each in chosen.statements.items()]
    if not await store.insert_investigation(session, values, answers):
        raise Conflict(
            "this finding is being investigated; wait for the answers, or read what has come",
            investigation_id=str(await store.running_of(session, finding_id)),
        )
    record(session, actor, _deed(finding_id, investigation_id, chosen.statements))
    return investigation_id


def choose(questions: Sequence[Question], subject: Subject) -> Chosen:
    askable = [each for each in questions if each.can_be_asked(subject.values)]
    return Chosen(
        {each.name: each.bound(subject.values) for each in askable},
        {each.name: f"not known: {', '.join(each.parameters)}" for each in questions if each not in askable},
    )


def _fitting(questions: Sequence[Question], node: Node) -> list[Question]:
    """Raises: Conflict."""
    if node.platform == "other":
        raise Conflict("this node is neither Windows nor macOS: no reviewed question fits it")
    return [each for each in questions if each.serves(osquery_name(node.platform))]


async def _check_reachable(session: ReadSession, node: Node, now: datetime) -> None:
    """Raises: Conflict."""
    if node.revoked_at is not None:
        raise Conflict("this node is revoked; it is not spoken to any more")
    if not await store.has_key(session, node.node_id, now):
        raise Conflict("this node reports through another manager, and only that one can ask it")


def _named(fitting: Sequence[Question], wanted: Sequence[str] | None) -> list[Question]:
    """Raises: InvalidRequest."""
    by_name = {each.name: each for each in fitting}
    for name in wanted or ():
        if name not in by_name:
            raise InvalidRequest(f"no question {name!r} for this node; there is {', '.join(by_name)}", field="queries")
    return [each for each in fitting if wanted is None or each.name in wanted]


async def _subject(session: ReadSession, finding: Finding, unit: str) -> Subject:
    rows = Originals(await bodies(session, [finding]))
    original = rows.find(finding.batch_id, finding.line_number, finding.row_number)
    return subject_of(original, known_pid=finding.process_id, known_unit=unit)


def _investigation(
    investigation_id: UUID, actor: Actor, finding: Finding, subject: Subject, now: datetime
) -> dict[str, Any]:
    row = {name: getattr(finding, name) for name in ("batch_day", "batch_id", "line_number", "row_number")}
    return row | {
        "investigation_id": investigation_id,
        "finding_id": finding.finding_id,
        "node_id": finding.node_id,
        "operator_id": actor.operator_id,
        "actor_name": actor.name,
        "asked_at": now,
        "expires_at": now + ASKED_FOR,
        "process_id": subject.pid,
        "process_started": subject.started,
        "path": subject.path,
        "unit": subject.unit,
    }


def _answer(investigation_id: UUID, node_id: int, question: str, statement: str) -> dict[str, Any]:
    return {
        "answer_id": uuid4(),
        "investigation_id": investigation_id,
        "node_id": node_id,
        "question": question,
        "statement": statement,
        "statement_sha256": sha256(statement.encode()).digest(),
    }


def _deed(finding_id: UUID, investigation_id: UUID, statements: Mapping[str, str]) -> Deed:
    sent = "\n".join(statements[name] for name in sorted(statements))
    return Deed(
        Action.INVESTIGATION_ASKED,
        "finding",
        str(finding_id),
        str(investigation_id),
        after_sha256=sha256(sent.encode()).digest(),
        reason=", ".join(sorted(statements)),
    )
