import json
from pathlib import Path

import pytest

from app.osquery.distributed import BYTES_MAX, IDS_MAX, ROWS_MAX, decode_answers, queries_document
from app.osquery.protocol import UnreadableBody

CAPTURES = Path(__file__).parents[1] / "captures"


@pytest.mark.parametrize(
    ("status", "kept"),
    [(0, 0), (1, 1), (True, 1), ("0", 1), (None, 1), (-5, 1), (10**30, 1), ({"a": 1}, 1), (17, 17), (0.5, 1)],
)
def test_a_status_that_is_none_is_an_error(status: object, kept: int) -> None:
    said = decode_answers(json.dumps({"queries": {"q": []}, "statuses": {"q": status}}).encode()).answer("q")
    assert said.status == kept


def test_rows_are_bounded_in_number_and_in_bytes_and_counted_all_the_same() -> None:
    many = decode_answers(json.dumps({"queries": {"q": [{"a": "b"}] * (ROWS_MAX + 5)}}).encode()).answer("q")
    assert (len(many.rows), many.rows_total) == (ROWS_MAX, ROWS_MAX + 5)
    long = decode_answers(json.dumps({"queries": {"q": [{"a": "b" * BYTES_MAX}, {"a": "b"}]}}).encode()).answer("q")
    assert (long.rows, long.rows_total) == ([], 2)


def test_columns_and_ids_are_bounded() -> None:
    wide = decode_answers(json.dumps({"queries": {"q": [{f"c{n}" * 200: n for n in range(500)}]}}).encode())
    (row,) = wide.answer("q").rows
    assert (len(row), {len(name) for name in row}) == (64, {100})
    assert len(decode_answers(json.dumps({"queries": {str(n): [] for n in range(999)}}).encode()).ids) == IDS_MAX


def test_cells_are_texts_that_a_database_can_hold() -> None:
    body = b'{"queries":{"q":[{"a":"x\\u0000y","b":"\\ud800","c":"\xff","d":1.5,"e":null,"f":[1],"g":true}, 7, null]}}'
    answer = decode_answers(body).answer("q")
    assert answer.rows == [{"a": "x\ufffdy", "b": "\ufffd", "c": "\ufffd", "d": "1.5", "e": "", "f": "", "g": "True"}]
    assert answer.rows_total == 3


def test_a_message_and_stats_are_kept_as_far_as_they_are_some() -> None:
    document = {
        "queries": {"q": ""},
        "statuses": {"q": 1},
        "messages": {"q": "no such column: x" + "y" * 5000},
        "stats": {"q": {"wall_time_ms": 12, "user_time": "3", "memory": -1, "system_time": 2**60, "other": 5}},
    }
    answer = decode_answers(json.dumps(document).encode()).answer("q")
    assert (answer.rows, len(answer.message), answer.stats) == ([], 1000, {"wall_time_ms": 12})


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"text"', b'{"node_key":7}', b"[" * 100_000])
def test_what_is_no_object_is_unreadable(content: bytes) -> None:
    with pytest.raises(UnreadableBody):
        decode_answers(content)


def test_every_answer_that_a_real_agent_sent_is_understood() -> None:
    understood = 0
    for path in CAPTURES.glob("*.jsonl"):
        for line in path.read_text("utf-8").splitlines():
            request = json.loads(line)
            if request["path"] != "/distributed/write":
                continue
            sent = json.loads(request["body"])
            answers = decode_answers(request["body"].encode())
            assert answers.node_key == sent["node_key"]
            for name in answers.ids:
                answer = answers.answer(name)
                assert (answer.status, answer.message) == (sent["statuses"][name], sent["messages"][name])
                assert (answer.rows, answer.rows_total) == (sent["queries"][name], len(sent["queries"][name]))
                assert answer.stats == sent["stats"][name]
                understood += 1
    assert understood >= 7


def test_what_is_asked_is_one_compact_object() -> None:
    assert queries_document({"file_hash/1": "SELECT '\"'"}) == b'{"queries":{"file_hash/1":"SELECT \'\\"\'"}}'
