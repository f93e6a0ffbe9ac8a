"""Hands questions out to the node that fetches them, files what it answers, and ends what nobody answers any more."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import msgspec

from app.access.actor import PORTBOOK
from app.access.audit.actions import Action
from app.access.audit.deed import Deed
from app.access.audit.record import record
from app.database import Database, WriteSession
from app.findings.investigations import store
from app.findings.investigations.models import Investigation, InvestigationAnswer
from app.findings.investigations.states import RUNNING, InvestigationState, Standing, state_of
from app.osquery.distributed import Answer, Answers

#: An agent that was stopped between fetching and answering has forgotten the question.
SENT_AGAIN_AFTER = timedelta(minutes=5)
SENT_AT_MOST = 3
#: Investigations whose questions one poll takes along.
INVESTIGATIONS_A_POLL = 4
ENDED_AT_ONCE = 100


async def hand_out(database: Database, node_id: int, now: datetime) -> Mapping[str, str]:
    """Query id → statement for a node that polls; noted before it is said."""
    async with database.writing() as session:
        running = await store.lock_running(session, store.of_node(node_id, now), limit=INVESTIGATIONS_A_POLL)
        due = store.due(now - SENT_AGAIN_AFTER, SENT_AT_MOST)
        asked = await store.answers_of(session, [each.investigation_id for each in running], due)
        await store.mark_sent(session, [each.answer_id for each in asked], now)
        for each in running:
            if each.state == InvestigationState.WAITING:
                await store.set_state(session, each.investigation_id, InvestigationState.SENT, None)
        return {query_id(each): each.statement for each in asked}


async def file_answers(database: Database, node_id: int, answers: Answers, now: datetime) -> int:
    """Keep what answers a question of ours to this node and was not answered before. Returns how many.

    A late answer is kept too: an agent may have held it while it could not reach us.
    """
    sent = {answer_id: name for name in answers.ids if (answer_id := answer_id_of(name))}
    if not sent:
        return 0
    async with database.writing() as session:
        investigations = await store.lock_asked(session, node_id, sent)
        open_ones = await store.answers_of(
            session, [each.investigation_id for each in investigations], store.unanswered(), store.named(sent)
        )
        for each in open_ones:
            answer = answers.answer(sent[each.answer_id])
            await store.file_answer(session, each.answer_id, _filed(answer, now))
        changed = {each.investigation_id for each in open_ones}
        await _settle(session, [each for each in investigations if each.investigation_id in changed], now)
    return len(open_ones)


async def end_overdue(database: Database, now: datetime) -> int:
    """End what expired, and what a node fetched often enough without an answer. Returns how many."""
    async with database.writing() as session:
        overdue = store.overdue(now, now - SENT_AGAIN_AFTER, SENT_AT_MOST)
        running = await store.lock_running(session, overdue, limit=ENDED_AT_ONCE)
        await _settle(session, running, now, is_over=True)
    return len(running)


def query_id(answer: InvestigationAnswer) -> str:
    """The agent's log names it, so it says what it is; the random part cannot be guessed."""
    return f"{answer.question}/{answer.answer_id}"


def answer_id_of(name: str) -> UUID | None:
    try:
        return UUID(name.rpartition("/")[2])
    except ValueError:
        return None


def answers_sha256(answers: Iterable[InvestigationAnswer]) -> bytes:
    """Of all that was asked and answered, as canonical JSON: names sorted, compact, in UTF-8, answers by question."""
    said = [
        {
            "question": each.question,
            "statement": each.statement,
            "answered_at": each.answered_at.isoformat() if each.answered_at else None,
            "status": each.status,
            "message": each.message,
            "rows": each.rows,
            "rows_total": each.rows_total,
        }
        for each in sorted(answers, key=lambda each: each.question)
    ]
    return sha256(msgspec.json.encode(said, order="deterministic")).digest()


def _filed(answer: Answer, now: datetime) -> dict[str, Any]:
    values = {name: getattr(answer, name) for name in ("status", "message", "rows", "rows_total", "stats")}
    return values | {"answered_at": now}


async def _settle(
    session: WriteSession, investigations: Sequence[Investigation], now: datetime, *, is_over: bool = False
) -> None:
    """Bring the state of each up to its answers; the end is logged with what proves the answers."""
    answers = await store.answers_of(session, [each.investigation_id for each in investigations])
    for each in investigations:
        mine = [answer for answer in answers if answer.investigation_id == each.investigation_id]
        standings = [Standing(answer.times_sent > 0, answer.status) for answer in mine]
        state = state_of(standings, is_over=is_over or each.ended_at is not None)
        ended_at = None if state in RUNNING else now
        await store.set_state(session, each.investigation_id, state, ended_at)
        if ended_at:
            record(session, PORTBOOK, _deed(each, state, answers_sha256(mine)))


def _deed(ended: Investigation, state: InvestigationState, sha: bytes) -> Deed:
    found, key = str(ended.finding_id), str(ended.investigation_id)
    return Deed(Action.INVESTIGATION_ENDED, "finding", found, key, after_sha256=sha, reason=state.value)
