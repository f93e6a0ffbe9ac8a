import hashlib

import pytest
from fake_portbook import CONFIG, CUT, FakeServer, Reply

from app.simulator.agent import Agent, EnrollmentFailed, Patience
from app.simulator.answers import Verdict
from app.simulator.connection import Connection
from app.simulator.nodes import fleet
from app.simulator.outbox import Line

NODE = fleet("test", 6, 5)[0]
AT_ONCE = Patience(period_seconds=0, attempts=4)


@pytest.fixture
def agent(connection: Connection) -> Agent:
    agent = Agent(NODE.identity, "s3cret", connection, patience=AT_ONCE)
    agent.results.put(Line(100, b'{"name":"a"}'), Line(101, b'{"name":"b"}'))
    return agent


async def test_enrollment_says_who_it_is_in_text_only(agent: Agent, server: FakeServer) -> None:
    await agent.enroll()

    asked = server.to("enroll")[0]
    details = asked.body["host_details"]
    assert list(asked.body) == ["enroll_secret", "host_identifier", "platform_type", "host_details"]
    assert asked.body["enroll_secret"] == "s3cret"
    assert asked.body["platform_type"] == "2"
    assert asked.header("Authorization") is None
    assert isinstance(details, dict)
    assert all(isinstance(value, str) for table in details.values() for value in table.values())


async def test_a_refused_enrollment_is_tried_again_until_patience_ends(agent: Agent, server: FakeServer) -> None:
    server.script["enroll"] = [b'{"node_invalid":true}', b"<html>", CUT, CUT, b'{"id":"old style"}']
    await agent.enroll()
    assert agent.node_key == "old style"

    server.script["enroll"] = [b"{}"] * 4
    with pytest.raises(EnrollmentFailed, match=NODE.identity.hostname):
        await agent.enroll()


async def test_requests_carry_the_headers_of_osqueryd_and_no_others(agent: Agent, server: FakeServer) -> None:
    await agent.fetch_config()
    await agent.deliver()

    config, log = server.to("config")[0], server.to("log")[0]
    assert config.head[0] == "POST /api/v1/osquery/config HTTP/1.1"
    assert [line.replace(config.header("Content-Length") or "", "n") for line in config.head[1:]] == [
        "Content-Type: application/json",
        "Accept: application/json",
        "User-Agent: osquery/5.23.1",
        "Authorization: NodeKey key-1",
        f"Host: {server.url.removeprefix('http://')}",
        "Content-Length: n",
    ]
    assert log.header("Content-Encoding") == "gzip"
    assert len(log.head) == len(config.head) + 1


async def test_a_log_request_has_data_first_and_the_key_last(agent: Agent, server: FakeServer) -> None:
    await agent.deliver()

    raw = server.to("log")[0].raw
    assert raw == b'{"data":[{"name":"a"},{"name":"b"}],"log_type":"result","node_key":"key-1"}'


async def test_only_the_log_is_compressed(agent: Agent, server: FakeServer) -> None:
    await agent.fetch_config()
    await agent.deliver()

    assert {asked.path: asked.header("Content-Encoding") for asked in server.asked} == {
        "enroll": None,
        "config": None,
        "log": "gzip",
    }


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"{}",
        Reply(b"", 500),
        Reply(b'{"detail":"Internal Server Error"}', 500),
        Reply(b"{}", 429),
        Reply(b"", 204),
        b'{"node_invalid":"true"}',
    ],
)
async def test_lines_are_deleted_after_any_answer_that_osqueryd_takes_for_success(
    agent: Agent, server: FakeServer, answer: bytes | Reply
) -> None:
    server.script["log"] = [answer]

    assert await agent.post_results() is Verdict.TAKEN
    assert len(agent.results) == 0
    assert (agent.counts.rows, agent.counts.batches) == (2, 1)


@pytest.mark.parametrize(
    "answer",
    [
        b'{"error":"busy"}',
        Reply(b'{"error":null}', 200),
        Reply(b"OK", 200),
        Reply(b"<html>", 500),
        Reply(b'{"ok":tr', 200),
        Reply(b"", 307, ("Location: https://elsewhere.test/",)),
    ],
)
async def test_lines_are_kept_and_sent_again_after_any_other_answer(
    agent: Agent, server: FakeServer, answer: bytes | Reply
) -> None:
    server.script["log"] = [answer]

    assert await agent.post_results() is Verdict.REFUSED
    assert len(agent.results) == 2

    agent.results.put(Line(102, b'{"name":"c"}'))
    assert await agent.deliver()
    first, second = server.to("log")
    assert second.lines[:2] == first.lines
    assert len(second.lines) == 3
    assert (agent.counts.rows, agent.counts.resent) == (3, 2)


async def test_a_broken_connection_is_tried_once_more_at_once(agent: Agent, server: FakeServer) -> None:
    server.script["log"] = [CUT]

    assert await agent.post_results() is Verdict.TAKEN
    assert len(server.to("log")) == 2


async def test_an_unknown_node_enrolls_again_and_sends_with_the_new_key(agent: Agent, server: FakeServer) -> None:
    server.script["log"] = [b'{"node_invalid":true}']

    assert await agent.deliver()

    first, second = server.to("log")
    assert (first.body["node_key"], second.body["node_key"]) == ("key-1", "key-2")
    assert second.header("Authorization") == "NodeKey key-2"
    assert first.lines == second.lines
    assert agent.counts.enrollments == 2


async def test_a_lost_answer_sends_the_same_lines_twice_and_counts_them_once(agent: Agent, server: FakeServer) -> None:
    await agent.post_results(lose_answer=True)
    await agent.deliver()

    first, second = server.to("log")
    assert first.raw == second.raw
    assert (agent.counts.rows, agent.counts.resent) == (2, 2)


async def test_lines_that_nobody_takes_are_kept_when_patience_ends(agent: Agent, server: FakeServer) -> None:
    server.script["log"] = [b'{"error":"full"}'] * 4

    assert not await agent.deliver()
    assert len(agent.results) == 2


async def test_the_config_hash_is_the_hash_of_the_hash_of_the_body(agent: Agent) -> None:
    assert await agent.fetch_config()

    inner = hashlib.sha1(CONFIG).hexdigest()
    assert agent.config_hash == hashlib.sha1(inner.encode()).hexdigest()


@pytest.mark.parametrize("body", [b"{}", b'{"detail":"Not Found"}', b""])
async def test_an_empty_config_wipes_the_schedule(agent: Agent, server: FakeServer, body: bytes) -> None:
    await agent.fetch_config()
    server.script["config"] = [body]

    assert await agent.fetch_config()
    assert "schedule" not in agent.config


async def test_a_refused_config_leaves_the_schedule_alone(agent: Agent, server: FakeServer) -> None:
    await agent.fetch_config()
    server.script["config"] = [
        b'{"error":"database"}',
        b"<html>",
        CUT,
        CUT,
    ]

    assert not await agent.fetch_config()
    assert "schedule" in agent.config


async def test_distributed_queries_are_answered_with_no_rows(agent: Agent, server: FakeServer) -> None:
    server.script["distributed/read"] = [b'{"queries":{"q1":"SELECT 1"},"accelerate":60}']

    assert await agent.poll_distributed()

    answer = server.to("distributed/write")[0].body
    assert list(answer) == ["queries", "statuses", "messages", "stats", "node_key"]
    assert answer["queries"] == {"q1": []}
    assert answer["statuses"] == {"q1": 0}


async def test_an_undelivered_answer_goes_with_the_next_poll(agent: Agent, server: FakeServer) -> None:
    server.script["distributed/read"] = [b'{"queries":{"q1":"SELECT 1"}}']
    server.script["distributed/write"] = [b'{"error":"busy"}'] * 3

    assert not await agent.poll_distributed()
    assert await agent.poll_distributed()
    assert len(server.to("distributed/read")) == 1
    assert server.to("distributed/write")[-1].body["queries"] == {"q1": []}


async def test_status_lines_go_in_requests_of_their_own(agent: Agent, server: FakeServer) -> None:
    agent.statuses.put(Line(99, b'{"severity":1}'))

    await agent.deliver()

    assert [asked.body["log_type"] for asked in server.to("log")] == ["result", "status"]
    assert (agent.counts.rows, agent.counts.batches) == (2, 2)
