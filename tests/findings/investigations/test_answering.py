"""The whole way of a question: asked, fetched by its node, answered, filed; and everything that can go wrong there."""

from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy.exc import IntegrityError

from app.access.actor import PORTBOOK
from app.clock import utc_now
from app.findings.investigations.answering import SENT_AGAIN_AFTER, SENT_AT_MOST, end_overdue, file_answers, hand_out
from app.findings.investigations.asking import ASKED_FOR
from app.osquery.distributed import decode_answers
from tests.factories import Server, a_node
from tests.findings.investigations.conftest import ALL_OF_WINDOWS, ODD, Case, a_case, encoded
from tests.observations.stored import ask, tell

TREE = [{"depth": "0", "pid": "1234", "path": ODD}]


async def test_a_question_is_asked_fetched_answered_and_filed(case: Case) -> None:
    asked = await case.asks()
    assert (asked["state"], asked["node"]["online"]) == ("waiting", True)
    fetched = await case.fetches()
    assert {name.partition("/")[0] for name in fetched} == ALL_OF_WINDOWS
    assert (await case.reads(asked))["state"] == "sent"
    assert await case.answers(dict.fromkeys(fetched, TREE)) == {}
    filed = await case.reads(asked)
    assert (filed["state"], filed["answer_expected_by"]) == ("answered", None)
    for answer in filed["answers"]:
        assert (answer["status"], answer["message"], answer["rows"], answer["cut"]) == (0, "", TREE, False)
        assert answer["statement"] in fetched.values()
        assert answer["statement_sha256"] == sha256(answer["statement"].encode()).hexdigest()
    assert await case.fetches() == {}


async def test_the_values_are_those_of_the_original_row(case: Case) -> None:
    asked = await case.asks()
    about = {name: asked["about"][name] for name in ("process_id", "path", "unit", "line")}
    assert about == {"process_id": 1234, "path": ODD, "unit": None, "line": 1}
    statements = {each["query"]: each["statement"] for each in asked["answers"]}
    assert f"WHERE h.path = '{ODD}' LIMIT 1" in statements["file_hash"]
    assert "WHERE s.pid = 1234 AND" in statements["sockets_now"]
    assert "s.pid = 1234 OR s.name = NULL" in statements["service"]


async def test_some_errors_are_a_partial_answer_and_nothing_but_errors_a_failed_one(prompt: Server) -> None:
    for failing, state in ((1, "partial"), (2, "failed")):
        case = await a_case(prompt)
        asked = await case.asks(queries=["file_hash", "process_tree"])
        ids = sorted(await case.fetches())
        bad = dict.fromkeys(ids[:failing], 1)
        messages = dict.fromkeys(bad, "distributed query is denylisted")
        rows: dict[str, Any] = {name: [] for name in ids}
        await case.answers(rows, statuses=dict.fromkeys(ids, 0) | bad, messages=messages)
        filed = await case.reads(asked)
        assert filed["state"] == state
        assert filed["answers"][0]["message"] == "distributed query is denylisted"


async def test_answers_may_come_one_by_one(case: Case) -> None:
    asked = await case.asks(queries=["file_hash", "process_tree"])
    first, second = sorted(await case.fetches())
    await case.answers({first: TREE})
    assert (await case.reads(asked))["state"] == "sent"
    await case.answers({second: TREE})
    assert (await case.reads(asked))["state"] == "answered"


async def test_the_same_answer_twice_is_taken_and_the_first_one_stands(case: Case) -> None:
    asked = await case.asks(queries=["file_hash"])
    (name,) = await case.fetches()
    assert await case.answers({name: TREE}) == {}
    assert await case.answers({name: [{"path": "other"}]}) == {}
    assert (await case.answer_named(asked, "file_hash"))["rows"] == TREE


async def test_another_node_cannot_answer(case: Case) -> None:
    asked = await case.asks(queries=["file_hash"])
    (name,) = await case.fetches()
    thief = await a_node(case.server)
    document = {"queries": {name: TREE}, "statuses": {name: 0}, "node_key": thief}
    assert await case.server.say("distributed/write", document) == {}
    assert (await case.answer_named(asked, "file_hash"))["answered_at"] is None
    await case.answers({name: TREE})
    assert (await case.reads(asked))["state"] == "answered"


async def test_an_unknown_id_is_taken_and_dropped(case: Case) -> None:
    asked = await case.asks(queries=["file_hash"])
    for name in ("", "q1", "file_hash/", f"file_hash/{uuid4()}", "file_hash/" + "f" * 5000):
        assert await case.answers({name: TREE}) == {}
    assert (await case.reads(asked))["state"] == "waiting"


async def test_an_unknown_key_hears_that_it_is_invalid(case: Case) -> None:
    document = {"queries": {}, "node_key": "guessed"}
    assert await case.server.say("distributed/write", document) == {"node_invalid": True}
    assert await case.server.say("distributed/read", document) == {"node_invalid": True}


async def test_too_many_rows_are_cut_and_it_is_said(case: Case) -> None:
    asked = await case.asks(queries=["file_hash", "process_tree"])
    first, second = sorted(await case.fetches())
    await case.answers({first: TREE * 2500, second: [{"path": "x" * 100_000}] * 9})
    filed = {each["query"]: each for each in (await case.reads(asked))["answers"]}
    assert [(len(each["rows"]), each["rows_total"], each["cut"]) for each in filed.values()] == [
        (1000, 2500, True),
        (2, 9, True),
    ]


async def test_bytes_that_are_no_text_are_mended(case: Case) -> None:
    asked = await case.asks(queries=["file_hash"])
    (name,) = await case.fetches()
    row = b'[{"path":"caf\xff","a\\u0000":"b\\u0000c","d":"\\ud800","n":7,"x":null,"deep":{"a":[1]}}, "no row"]'
    content = b'{"queries":{"%b":%b},"statuses":{"%b":0},"node_key":"%b"}'
    answer = await case.posts(content % (name.encode(), row, name.encode(), case.key.encode()))
    assert answer.json() == {}
    filed = await case.answer_named(asked, "file_hash")
    assert filed["rows"] == [{"path": "caf\ufffd", "a": "b\ufffdc", "d": "\ufffd", "n": "7", "x": "", "deep": ""}]
    assert (filed["rows_total"], filed["cut"]) == (2, True)


async def test_shapes_that_no_agent_sends_break_nothing(case: Case) -> None:
    for queries in ([], "", None, 7, {"a": 1}):
        document = {"queries": queries, "statuses": queries, "messages": queries, "stats": queries}
        assert await case.server.say("distributed/write", {**document, "node_key": case.key}) == {}


async def test_what_is_no_answer_at_all_is_refused_with_an_error(case: Case) -> None:
    for content in (b"", b"{", b"[]", b'"text"', b'{"node_key":7}', b"[" * 100_000):
        assert "error" in (await case.posts(content)).json()


async def test_an_answer_is_stored_before_it_is_acknowledged(case: Case) -> None:
    asked = await case.asks(queries=["file_hash"])
    (name,) = await case.fetches()
    await tell(
        case.server.database,
        "ALTER TABLE investigation_answers ADD CONSTRAINT broken CHECK (answered_at IS NULL) NOT VALID",
    )
    try:
        assert "error" in await case.answers({name: TREE})
    finally:
        await tell(case.server.database, "ALTER TABLE investigation_answers DROP CONSTRAINT broken")
    assert (await case.answer_named(asked, "file_hash"))["answered_at"] is None
    assert await case.answers({name: TREE}) == {}
    assert (await case.reads(asked))["state"] == "answered"


async def test_a_question_without_an_answer_is_handed_out_again_and_not_for_ever(case: Case) -> None:
    asked = await case.asks(queries=["file_hash"])
    database, now = case.server.database, utc_now()
    for turn in range(SENT_AT_MOST):
        at = now + turn * (SENT_AGAIN_AFTER + timedelta(seconds=1))
        assert len(await hand_out(database, case.node_id, at)) == 1
        assert await hand_out(database, case.node_id, at + timedelta(minutes=4)) == {}
        assert (await case.reads(asked))["state"] == "sent"
    later = now + SENT_AT_MOST * (SENT_AGAIN_AFTER + timedelta(seconds=1))
    assert await hand_out(database, case.node_id, later) == {}
    assert await end_overdue(database, later) >= 1
    assert (await case.reads(asked))["state"] == "failed"


async def test_two_workers_do_not_hand_out_the_same_question(case: Case) -> None:
    await case.asks()
    database, now = case.server.database, utc_now()
    assert len(await hand_out(database, case.node_id, now)) == len(ALL_OF_WINDOWS)
    assert await hand_out(database, case.node_id, now) == {}


async def test_what_nobody_fetches_expires_and_a_late_answer_is_kept_all_the_same(case: Case) -> None:
    asked = await case.asks(queries=["file_hash"])
    (name,) = await case.fetches()
    database, tomorrow = case.server.database, utc_now() + ASKED_FOR + timedelta(minutes=1)
    other = await a_case(case.server)
    never_fetched = await other.asks()
    assert await end_overdue(database, tomorrow) >= 2
    assert (await case.reads(asked))["state"] == "failed"
    expired = await other.reads(never_fetched)
    assert (expired["state"], {each["answered_at"] for each in expired["answers"]}) == ("expired", {None})
    assert await hand_out(database, other.node_id, tomorrow) == {}
    late = decode_answers(encoded({"queries": {name: TREE}, "statuses": {name: 0}}))
    assert await file_answers(database, case.node_id, late, tomorrow) == 1
    assert (await case.reads(asked))["state"] == "answered"


async def test_the_end_is_in_the_audit_log_with_the_hash_of_the_answers(case: Case) -> None:
    asked = await case.asks(queries=["file_hash"])
    (name,) = await case.fetches()
    await case.answers({name: TREE})
    found = await ask(
        case.server.database,
        "SELECT action, actor_name, line::jsonb->>'object_version', line::jsonb->>'after_sha256' FROM audit_events"
        " WHERE object_id = :id ORDER BY seq",
        id=str(case.finding_id),
    )
    filed = await case.reads(asked)
    assert [(action, version) for action, _, version, _ in found] == [
        ("investigation_asked", asked["investigation_id"]),
        ("investigation_ended", asked["investigation_id"]),
    ]
    assert (found[1][1], found[1][3]) == (PORTBOOK.name, filed["answers_sha256"])


async def test_evidence_is_kept_as_it_is(case: Case) -> None:
    await case.asks(queries=["file_hash"])
    (name,) = await case.fetches()
    await case.answers({name: TREE})
    for statement in (
        "UPDATE investigation_answers SET rows = '[]' WHERE answered_at IS NOT NULL",
        "UPDATE investigation_answers SET answered_at = NULL, status = NULL WHERE answered_at IS NOT NULL",
        "DELETE FROM investigation_answers",
        "TRUNCATE investigation_answers, investigations",
        "UPDATE investigations SET path = 'x'",
        "DELETE FROM investigations",
    ):
        with pytest.raises(IntegrityError, match="kept as it is"):
            await tell(case.server.database, statement)


async def test_what_was_asked_cannot_be_changed_even_before_the_answer(case: Case) -> None:
    await case.asks(queries=["file_hash"])
    for change in ("statement = 'SELECT 1', statement_sha256 = sha256('SELECT 1')", "node_id = 1", "question = 'x'"):
        with pytest.raises(IntegrityError, match="kept as it is"):
            await tell(case.server.database, f"UPDATE investigation_answers SET {change} WHERE answered_at IS NULL")


async def test_the_database_checks_that_the_hash_is_that_of_the_statement(case: Case) -> None:
    await case.asks(queries=["file_hash"])
    copied = """
        INSERT INTO investigation_answers (answer_id, investigation_id, node_id, question, statement, statement_sha256)
        SELECT gen_random_uuid(), investigation_id, node_id, 'other', statement || ' ', statement_sha256
        FROM investigation_answers LIMIT 1
    """
    with pytest.raises(IntegrityError, match="statement_sha256"):
        await tell(case.server.database, copied)
