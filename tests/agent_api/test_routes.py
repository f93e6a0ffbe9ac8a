"""Every bad input gets the answer that a real agent handles rightly, and a counter shows it."""

import gzip
import json
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from sqlalchemy.exc import OperationalError

from app.access.actor import PORTBOOK
from app.clock import utc_now
from app.fleet.nodes import KnownNode, NodeKeys, revoke_node
from tests.agent_api.conftest import Post
from tests.agent_api.osqueryd import Verdict, key_in, verdict
from tests.factories import OSQUERY, Server, a_line, a_log, a_node, a_secret, an_enrollment, an_outbound_row
from tests.observations.stored import bodies_of, node_of, ports_of, quarantined_of, sightings_of

AUTHENTICATED = ("config", "log", "distributed/read", "distributed/write")
ENDPOINTS = ("enroll", *AUTHENTICATED)
UNREADABLE = {
    "no body": b"",
    "not JSON": b"hello",
    "HTML": b"<html></html>",
    "half": b'{"node_key":"',
    "array": b"[]",
    "null": b"null",
    "number": b"17",
    "text": b'"text"',
    "NUL": b"\0",
    "bad UTF-8": b"\xff\xfe",
    "two documents": b"{}{}",
    "deep array": b"[" * 100_000,
    "deep object": b'{"a":' * 100_000,
    "deep inside": b'{"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}


def answers(endpoint: str, answer: str) -> float:
    """How often the server says that it answered so."""
    labels = {"endpoint": endpoint, "answer": answer}
    return REGISTRY.get_sample_value("portbook_agent_answers_total", labels) or 0.0


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("what", UNREADABLE)
async def test_a_body_that_no_agent_sends_is_answered_with_an_error_and_counted(
    post: Post, endpoint: str, what: str
) -> None:
    name = f"post_{endpoint.replace('/', '_')}".removeprefix("post_")
    before = answers(name, "unreadable")
    answer = await post(endpoint, UNREADABLE[what])
    assert verdict(answer) is Verdict.KEPT
    assert answers(name, "unreadable") == before + 1


@pytest.mark.parametrize("document", [{}, {"node_key": ""}, {"node_key": "no such key"}, {"node_key": "\ud800\0"}])
@pytest.mark.parametrize("endpoint", AUTHENTICATED)
async def test_a_key_that_is_certainly_unknown_makes_the_agent_enroll_again(
    post: Post, endpoint: str, document: dict[str, str]
) -> None:
    answer = await post(endpoint, json.dumps(document | {"data": [], "log_type": "result"}).encode())
    assert verdict(answer) is Verdict.ENROLLS


@pytest.mark.parametrize("endpoint", AUTHENTICATED)
async def test_a_revoked_key_makes_the_agent_enroll_again_and_its_lines_stay_with_it(
    server: Server, post: Post, endpoint: str
) -> None:
    key = await a_node(server)
    node = await node_of(server.database, key)
    await revoke_node(server.database, node, PORTBOOK, utc_now())
    answer = await post(endpoint, json.dumps(a_log(key, [a_line()])).encode(), key=key)
    assert verdict(answer) is Verdict.ENROLLS
    assert not await bodies_of(server.database, node)


@pytest.mark.parametrize("endpoint", AUTHENTICATED)
async def test_a_database_that_is_away_is_an_error_and_never_an_invalid_key(
    server: Server, post: Post, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await a_node(server)

    async def away(_keys: NodeKeys, _hash: bytes) -> KnownNode | None:
        raise OperationalError("SELECT", {}, ConnectionError("away"))

    monkeypatch.setattr(NodeKeys, "_ask", away)
    answer = await post(endpoint, json.dumps(a_log(key)).encode(), key=key)
    assert verdict(answer) is Verdict.KEPT


@pytest.mark.parametrize("where", ["header", "body", "both"])
@pytest.mark.parametrize("endpoint", AUTHENTICATED)
async def test_the_node_key_is_taken_from_the_header_or_the_body(
    server: Server, post: Post, endpoint: str, where: str
) -> None:
    key = await a_node(server)
    document = a_log(key, [a_line()])
    if where == "header":
        del document["node_key"]
    answer = await post(endpoint, json.dumps(document).encode(), key=key if where != "body" else "")
    assert verdict(answer) is Verdict.DONE


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_a_wrong_method_is_an_error(server: Server, endpoint: str, method: str) -> None:
    answer = await server.agents.request(method, f"{OSQUERY}/{endpoint}")
    assert answer.status_code == 405
    assert method == "HEAD" or verdict(answer) is Verdict.KEPT


@pytest.mark.parametrize(
    "path", ["/", "/api/v1/osquery", f"{OSQUERY}/logs", f"{OSQUERY}/log/", "/carve", "/x/log", "//"]
)
async def test_a_wrong_path_is_an_error(server: Server, path: str) -> None:
    answer = await server.agents.post(path, content=b'{"node_key":"x"}')
    assert answer.status_code in {404, 405}
    assert verdict(answer) is Verdict.KEPT


@pytest.mark.parametrize("prefix", ["/api/v1/osquery", "/api/osquery", "/public/osquery", ""])
async def test_agents_of_other_managers_find_their_paths(server: Server, prefix: str) -> None:
    key = await a_node(server)
    answer = await server.agents.post(f"{prefix}/log?enroll_secret=x", content=json.dumps(a_log(key, [a_line()])))
    assert verdict(answer) is Verdict.DONE


async def test_put_and_a_wrong_content_type_are_read_all_the_same(server: Server) -> None:
    key = await a_node(server)
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        body = json.dumps(a_log(key, [a_line()]))
        answer = await server.agents.put(f"{OSQUERY}/log", content=body, headers={"Content-Type": content_type})
        assert verdict(answer) is Verdict.DONE
    assert len(await bodies_of(server.database, await node_of(server.database, key))) == 4


@pytest.mark.parametrize("change", [{"enroll_secret": "wrong"}, {"enroll_secret": ""}, {"host_identifier": ""}])
async def test_an_enrollment_that_is_refused_carries_no_key(server: Server, post: Post, change: dict[str, str]) -> None:
    before = answers("enroll", "refused")
    answer = await post("enroll", json.dumps(an_enrollment(await a_secret(server.database)) | change).encode())
    assert key_in(answer) == ""
    assert "error" in answer.json()
    assert answers("enroll", "refused") == before + 1


async def test_a_config_request_may_carry_an_etag_or_a_whole_log_body(server: Server) -> None:
    key = await a_node(server)
    plain = await server.say("config", {"node_key": key})
    assert plain["packs"]
    assert await server.say("config", {"node_key": key, "etag": "abc", "more": [1, {"x": None}]}) == plain
    assert await server.say("config", a_log(key, [a_line()] * 50)) == plain
    assert await server.say("distributed/read", a_log(key, [a_line()])) == {"queries": {}}
    assert not await bodies_of(server.database, await node_of(server.database, key))


async def test_a_body_over_the_limit_is_refused_when_declared_and_when_streamed(small: Server) -> None:
    key = await a_node(small)
    body = json.dumps(a_log(key, [a_line()] * 100)).encode()

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 1000):
            yield body[start : start + 1000]

    for content in (body, chunks()):
        before = answers("log", "unreadable")
        answer = await small.agents.post(f"{OSQUERY}/log", content=content)
        assert verdict(answer) is Verdict.KEPT
        assert answers("log", "unreadable") == before + 1
    assert (
        small.app.state.agent_door.budget.free_bytes == small.app.state.agent_door.settings.intake_queue_max_bytes * 2
    )


async def test_a_chunked_body_within_the_limit_is_taken(small: Server) -> None:
    key = await a_node(small)

    async def chunks() -> AsyncIterator[bytes]:
        for byte in json.dumps(a_log(key, [a_line()])).encode():
            yield bytes([byte])

    assert verdict(await small.agents.post(f"{OSQUERY}/log", content=chunks())) is Verdict.DONE


def gzips(body: bytes) -> dict[str, bytes]:
    packed = gzip.compress(body)
    return {
        "bomb": gzip.compress(b" " * 5_000_000),
        "not gzip": body,
        "empty": b"",
        "cut": packed[:-9],
        "cut in its trailer": packed[:-3],
        "wrong checksum": packed[:-8] + b"\0\0\0\0" + packed[-4:],
        "wrong inside": packed[:20] + b"\xff" * 10 + packed[30:],
        "zlib": b"\x78\x9c" + packed[10:],
    }


@pytest.mark.parametrize("what", gzips(b"{}"))
async def test_a_gzip_body_that_is_none_is_refused(small: Server, what: str) -> None:
    key = await a_node(small)
    content = gzips(json.dumps(a_log(key, [a_line()])).encode())[what]
    before = answers("log", "unreadable")
    answer = await small.agents.post(f"{OSQUERY}/log", content=content, headers={"Content-Encoding": "gzip"})
    assert verdict(answer) is Verdict.KEPT
    assert answers("log", "unreadable") == before + 1
    assert not await bodies_of(small.database, await node_of(small.database, key))


async def test_what_stands_behind_a_gzip_body_is_not_lost_silently(small: Server) -> None:
    """Trailing bytes carry nothing; a second member would carry lines, so it is read or refused."""
    key = await a_node(small)
    packed = gzip.compress(json.dumps(a_log(key, [a_line()])).encode())
    headers = {"Content-Encoding": "gzip"}
    assert verdict(await small.agents.post(f"{OSQUERY}/log", content=packed + b"\0\0", headers=headers)) is Verdict.DONE
    text = json.dumps(a_log(key, [a_line()])).encode()
    members = gzip.compress(text[:200]) + gzip.compress(text[200:])
    before = len(await bodies_of(small.database, await node_of(small.database, key)))
    said = verdict(await small.agents.post(f"{OSQUERY}/log", content=members, headers=headers))
    kept = len(await bodies_of(small.database, await node_of(small.database, key))) - before
    assert (said, kept) in {(Verdict.DONE, 1), (Verdict.KEPT, 0)}


async def test_gzip_is_taken_whatever_the_case_of_the_header(server: Server) -> None:
    key = await a_node(server)
    packed = gzip.compress(json.dumps(a_log(key, [a_line()])).encode())
    for coding in ("gzip", "GZIP", "Gzip"):
        answer = await server.agents.post(f"{OSQUERY}/log", content=packed, headers={"Content-Encoding": coding})
        assert verdict(answer) is Verdict.DONE


async def test_bytes_and_escapes_that_are_no_text_are_mended_kept_and_counted(server: Server, post: Post) -> None:
    key = await a_node(server)
    node = await node_of(server.database, key)
    lines = json.dumps([a_line(an_outbound_row(remote_port="8088")), a_line(an_outbound_row(cmdline="@"))])
    for mark in (b"\xff", b"\xc3", b"\\ud800", b"\\udfff", b"\\\\\\ud800"):
        body = b'{"data":%b,"log_type":"result","node_key":"%b"}' % (lines.encode().replace(b"@", mark), key.encode())
        assert verdict(await post("log", body)) is Verdict.DONE
    assert await ports_of(server.database, node) == {"443", "8088"}
    assert len(await bodies_of(server.database, node)) == 5


async def test_unreadable_text_in_a_column_that_counts_is_shown_by_the_quarantine(server: Server, post: Post) -> None:
    key = await a_node(server)
    line = json.dumps(a_line(an_outbound_row(proc_path="C:\\a@.exe", proc_name="a@.exe"))).encode()
    body = b'{"data":[%b],"log_type":"result","node_key":"%b"}' % (line.replace(b"@", b"\xff"), key.encode())
    assert verdict(await post("log", body)) is Verdict.DONE
    node = await node_of(server.database, key)
    assert await quarantined_of(server.database, node) == {"mended_text": 1}
    assert {name for _, name, *_ in await sightings_of(server.database, node)} == {"a\ufffd.exe"}


async def test_valid_surrogate_pairs_stay_untouched(server: Server, post: Post) -> None:
    key = await a_node(server)
    row = an_outbound_row(proc_path="C:\\\U0001f6a2.exe", proc_name="x")
    body = json.dumps(a_log(key, [a_line(row)])).encode()
    assert b"\\ud83d\\udea2" in body
    broken = body.replace(b'"x"', b'"\\ud83d"')
    assert verdict(await post("log", broken)) is Verdict.DONE
    names = {name for _, name, *_ in await sightings_of(server.database, await node_of(server.database, key))}
    assert names == {"\U0001f6a2.exe"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)
names = st.sampled_from(
    ["pack/windows_network/outbound", "pack_windows_context_services", "pack/telemetry/heartbeat", "other", "\0"]
)
odd_lines = st.fixed_dictionaries(
    {},
    optional={
        "name": names | json_values,
        "unixTime": st.integers() | st.just(int(utc_now().timestamp())) | json_values,
        "epoch": st.integers() | json_values,
        "counter": st.integers() | json_values,
        "action": st.sampled_from(["added", "removed", "snapshot"]) | json_values,
        "columns": st.dictionaries(st.sampled_from(sorted(an_outbound_row())), json_values, max_size=12) | json_values,
        "snapshot": st.lists(json_values, max_size=3) | json_values,
        "diffResults": json_values | st.fixed_dictionaries({"added": json_values, "removed": json_values}),
    },
)


@given(document=json_values)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_no_document_at_all_makes_an_endpoint_answer_anything_but_an_object_that_is_no_yes(
    post: Post, endpoint: str, document: object
) -> None:
    assert verdict(await post(endpoint, json.dumps(document).encode())) is not Verdict.DONE


@given(lines=st.lists(odd_lines | json_values, max_size=5), log_type=st.sampled_from(["result", "status", "", "x"]))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_stands_in_a_line_the_batch_is_acknowledged_and_stored(
    server: Server, post: Post, lines: list[object], log_type: str
) -> None:
    """What is never refused cannot block the lines behind it."""
    key = await _the_node(server)
    node = await node_of(server.database, key)
    before = len(await bodies_of(server.database, node))
    body = json.dumps(a_log(key, lines, log_type=log_type)).encode()
    answer = await post("log", body)
    if verdict(answer) is Verdict.KEPT:
        assert any(token in body for token in (b"NaN", b"Infinity")), answer.text  # no JSON at all
        return
    stored = (await bodies_of(server.database, node))[before:]
    assert stored == [body.replace(key.encode(), b"")]


_nodes: dict[str, str] = {}


async def _the_node(server: Server) -> str:
    """One node for all examples of a test."""
    where = str(server.database.engine.url)
    if where not in _nodes:
        _nodes[where] = await a_node(server)
    return _nodes[where]


async def test_a_secret_that_expired_a_moment_ago_enrolls_nobody(server: Server, post: Post) -> None:
    secret = await a_secret(server.database, valid_for=timedelta(microseconds=1))
    assert key_in(await post("enroll", json.dumps(an_enrollment(secret)).encode())) == ""
