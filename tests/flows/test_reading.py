"""Streams as they come: recognised by content, in any pieces, compressed or not, cut, broken, hostile."""

import gzip
from collections import deque
from itertools import chain
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.flows import lines
from app.flows.fields import BadField
from app.flows.lines import UnreadableStream
from app.flows.reading import NAMES_MAX, STRANGE_LINES_MAX, Account, FlowReader, NotAFlowLog, Span
from tests.flows.logs import CONN, FLOW_EVENT, STARTED_AT, a_json, eve, read, recorded, text

FORMATS = {"text": text("conn", CONN), "json": a_json(CONN, _path="conn"), "eve": eve()}


@pytest.mark.parametrize("content", FORMATS.values(), ids=FORMATS)
def test_a_kind_is_recognised_by_content_plain_and_compressed(content: bytes) -> None:
    plain, _ = read(content)
    assert len(plain) == 1
    assert read(gzip.compress(content))[0] == plain
    assert read(gzip.compress(content) + gzip.compress(content))[0] == plain * 2


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
@given(size=st.integers(1, 3000))
def test_the_pieces_in_which_a_stream_comes_make_no_difference(compress: Any, size: int) -> None:
    content = compress(recorded("conn", "ssl"))
    assert read(content, chunk_bytes=size) == read(content)


def test_one_stream_may_hold_several_logs_of_both_tools() -> None:
    parts, account = read(b"".join(FORMATS.values()))
    assert [part.tool for part in parts] == ["zeek", "zeek", "suricata"]
    assert account.logs == {"zeek/conn": 2, "suricata/flow": 1}


def test_the_lines_of_another_tool_are_left_aside_when_one_was_asked_for() -> None:
    _, account = read(b"".join(FORMATS.values()), tool="suricata")
    assert (account.logs, account.ignored) == ({"suricata/flow": 1}, {"zeek/conn": 2})
    _, account = read(b"".join(FORMATS.values()), tool="zeek")
    assert (account.logs, account.ignored) == ({"zeek/conn": 2}, {"suricata/flow": 1})


STRANGERS = {
    "text": b"listening on eth0\n",
    "text-without-end": b"no end of line",
    "other-json": b'{"level": "info"}\n',
    "cut-json": b'{"unfinished": ',
    "list": b"[1, 2]\n",
    "comments": b"# a comment\n# another\nvalue = 1\n",
    "program": b"\x7fELF" + bytes(range(256)) * 10,
    "one-long-line": b"x" * (lines.LINE_MAX_BYTES * 3),
    "compressed": gzip.compress(b"listening on eth0\n"),
    "utf-16": "ts\tuid\n1\t2\n".encode("utf-16"),
}


@pytest.mark.parametrize("content", STRANGERS.values(), ids=STRANGERS)
def test_what_is_no_flow_log_is_said_to_be_none(content: bytes) -> None:
    with pytest.raises(NotAFlowLog, match="not a Zeek log"):
        read(content)


def test_a_stranger_is_not_read_to_its_end() -> None:
    reader = FlowReader("edge")
    with pytest.raises(NotAFlowLog):
        list(reader.read(b"stranger\n" * (STRANGE_LINES_MAX + 1)))


EMPTY = {
    "nothing": b"", "blank": b"\n\n", "compressed": gzip.compress(b""),
    "header": text("conn", CONN).partition(b"#types")[0],
}  # fmt: skip


@pytest.mark.parametrize("content", EMPTY.values(), ids=EMPTY)
def test_an_empty_log_is_none_the_worse(content: bytes) -> None:
    assert read(content) == ([], Account())


@pytest.mark.parametrize(
    ("wrong", "field", "problem", "sample"),
    [
        ({"id.resp_p": "70000"}, "id.resp_p", "not a port from 0 to 65535", "'70000'"),
        ({"id.orig_p": "http"}, "id.orig_p", "not a port from 0 to 65535", "'http'"),
        ({"id.orig_h": "10.0.0.256"}, "id.orig_h", "not an address", "'10.0.0.256'"),
        ({"id.resp_h": "-"}, "id.resp_h", "missing", ""),
        ({"uid": "-"}, "uid", "missing", ""),
        ({"uid": "\x1b[31m"}, "uid", "not an identifier", "'\\x1b[31m'"),
        ({"ts": "noon"}, "ts", "not a time", "'noon'"),
        ({"ts": "nan"}, "ts", "not a time", "'nan'"),
        ({"ts": "12"}, "ts", "not a credible time", "'12'"),
        ({"ts": "9" * 400}, "ts", "not a time", "'" + "9" * 39),
        ({"proto": "-"}, "proto", "missing", ""),
        ({"duration": "-3"}, "duration", "not a duration", "'-3'"),
        ({"resp_pkts": "1e3"}, "resp_pkts", "not a count", "'1e3'"),
        ({"orig_bytes": "9" * 19}, "orig_bytes", "not a count", "'" + "9" * 19 + "'"),
        ({"conn_state": "-"}, "conn_state", "missing", ""),
    ],
)
def test_a_field_that_cannot_be_is_named_and_its_line_left_out(
    wrong: dict[str, str], field: str, problem: str, sample: str
) -> None:
    parts, account = read(text("conn", CONN, CONN | wrong, CONN))
    assert len(parts) == 2
    (fault,) = account.faults.values()
    assert (fault.field, fault.problem, fault.sample, fault.first_line) == (field, problem, sample, 10)


@pytest.mark.parametrize(
    "value", [True, [1], {"a": 1}, -1, 70000, 1.5, "1.5", "", None, 2**70], ids=repr
)  # fmt: skip
def test_json_of_a_wrong_type_is_named_too(value: object) -> None:
    parts, account = read(a_json(CONN, **{"id.resp_p": value}) + a_json(CONN))
    assert len(parts) == 1
    assert [fault.field for fault in account.faults.values()] == ["id.resp_p"]


def test_equal_faults_are_one_with_the_first_line() -> None:
    _, account = read(text("conn", *[CONN, CONN | {"id.orig_p": "x"}, CONN | {"id.orig_p": "y"}]))
    assert [(fault.lines, fault.first_line, fault.sample) for fault in account.faults.values()] == [(2, 10, "'x'")]


def test_faults_and_names_from_the_input_do_not_grow_without_end() -> None:
    account = Account()
    for number in range(NAMES_MAX * 2):
        account.ignore(f"zeek/{number}")
        account.reject(number, BadField("", f"not {number} columns"))
    assert len(account.ignored) == len(account.faults) == NAMES_MAX + 1
    assert sum(account.ignored.values()) == account.faulty == NAMES_MAX * 2


def test_a_line_cut_in_the_middle_is_left_out_and_the_rest_goes_on() -> None:
    whole = text("conn", CONN, CONN, CONN)
    first, second, third = (line for line in whole.splitlines(keepends=True) if not line.startswith(b"#"))
    head = whole.partition(first)[0]
    parts, account = read(head + first + second[:40] + third + first)
    assert len(parts) == 2
    assert [fault.problem for fault in account.faults.values()] == [
        "not 15 columns: the line was cut or run together"
    ]  # fmt: skip
    parts, account = read(a_json(CONN) + a_json(CONN)[:50] + b"\n" + eve()[50:] + eve())
    assert len(parts) == 2
    assert [fault.problem for fault in account.faults.values()] == [
        "not JSON: cut or broken", "not a line of a flow log",
    ]  # fmt: skip


def test_a_last_line_that_is_still_being_written_waits_for_its_end() -> None:
    whole = text("conn", CONN).partition(b"#close")[0]
    parts, account = read(whole[:-2])
    assert parts == []
    assert [fault.problem for fault in account.faults.values()] == [
        "no end of line: it was cut, or is still being written"
    ]
    assert len(read(eve()[:-1])[0]) == 1, "JSON shows its end itself"


def test_bytes_that_are_no_text_spoil_only_what_is_kept() -> None:
    row = CONN | {"note": "caf\xe9"}
    assert len(read(text("conn", row).decode().encode("latin-1"))[0]) == 1
    _, account = read(text("conn", CONN | {"service": "caf\xe9"}).decode().encode("latin-1"))
    assert [(fault.field, fault.problem) for fault in account.faults.values()] == [("service", "not UTF-8")]
    _, account = read(a_json(CONN) + b'{"_path":"conn","service":"\xff"}\n')
    assert [fault.problem for fault in account.faults.values()] == ["not UTF-8"]


def test_text_that_no_database_holds_is_mended() -> None:
    (part,), _ = read(text("ssl", CONN | {"server_name": "a\0b", "version": "x" * 99}))
    assert (part.server_name, len(part.tls_version)) == ("a�b", 20)


def test_json_as_deep_as_it_likes_is_left_out() -> None:
    parts, account = read(eve() + b'{"a":' * 100_000 + b"\n" + eve())
    assert (len(parts), account.faulty) == (2, 1)


def test_flows_out_of_the_span_are_left_out_with_the_reason() -> None:
    span = Span(STARTED_AT, STARTED_AT + 10, "older than it may be", "in the future")
    rows = [CONN, CONN | {"ts": str(STARTED_AT - 1)}, CONN | {"ts": str(STARTED_AT + 10)}]
    parts, account = read(text("conn", *rows), span=span)
    assert len(parts) == 1
    assert [(fault.field, fault.problem) for fault in account.faults.values()] == [
        ("ts", "older than it may be"), ("ts", "in the future"),
    ]  # fmt: skip
    flow = FLOW_EVENT["flow"] | {"start": "2020-01-01T00:00:00Z"}
    _, account = read(eve(flow=flow), span=span)
    assert [fault.field for fault in account.faults.values()] == ["timestamp"]


def test_a_line_longer_than_any_is_left_out_without_being_held() -> None:
    parts, account = read(eve() + b'{"a":"' + b"x" * (2 * lines.LINE_MAX_BYTES) + b'"}\n' + eve(), chunk_bytes=65536)
    assert (len(parts), account.lines) == (2, 3)
    assert [fault.problem for fault in account.faults.values()] == ["longer than any line of a log"]


def test_a_line_without_end_ends_the_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "ENDLESS_BYTES", 3 * lines.LINE_MAX_BYTES)
    reader = FlowReader("edge")
    list(reader.read(eve()))
    with pytest.raises(UnreadableStream, match="a line of more than"):
        deque(chain.from_iterable(reader.read(b"x" * 65536) for _ in range(100)))


def test_a_gzip_bomb_is_stopped_long_before_it_is_inflated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "RATIO_GRACE_BYTES", 1 << 20)
    reader = FlowReader("edge")
    with pytest.raises(UnreadableStream, match="more than 250 times its size"):
        list(reader.read(gzip.compress(eve() + b"%1023b\n" % b"" * (128 << 10))))
    assert reader.line < 64 << 10


def test_a_stream_may_be_no_longer_than_it_was_told() -> None:
    reader = FlowReader("edge", max_bytes=1000)
    with pytest.raises(UnreadableStream, match="more than 1,000 bytes"):
        list(reader.read(gzip.compress(eve() * 10)))


def cut(whole: bytes) -> bytes:
    return whole[:-20]


def wrong_checksum(whole: bytes) -> bytes:
    return whole[:-8] + bytes(8)


def rubbish_in_the_middle(whole: bytes) -> bytes:
    return whole[:100] + b"\xff" * 30 + whole[130:]


def rubbish_behind(whole: bytes) -> bytes:
    return whole + b"rubbish"


@pytest.mark.parametrize("spoil", [cut, wrong_checksum, rubbish_in_the_middle, rubbish_behind])
def test_gzip_that_is_cut_or_broken_is_said_to_be(spoil: Any) -> None:
    with pytest.raises(UnreadableStream, match=r"gzip data is .*broken"):
        read(spoil(gzip.compress(recorded("conn"))))


@given(st.binary(max_size=200), st.sampled_from([*FORMATS.values()]), st.integers(0, 400))
def test_rubbish_in_the_middle_is_counted_and_never_fatal(rubbish: bytes, content: bytes, at: int) -> None:
    parts, _ = read(b"".join([content, content[:at], rubbish, b"\n", content]))
    assert len(parts) >= 1
