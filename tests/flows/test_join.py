from dataclasses import replace

import pytest

from app.detection.behaviour import Transport
from app.flows.connections import Connection, canonical, connection_of
from app.flows.facts import facts_of
from app.flows.join import Earlier, How, join
from app.flows.records import FlowRecord
from tests.flows import recordings

NOON = 1_700_000_000.0
HOUR = 3600.0


def connection(port=50_000, *, at=NOON, node="n1", program="p", local="10.0.0.5", remote=("203.0.113.9", 443), cid=""):
    return Connection(node, program, Transport.TCP, (local, port), remote, cid, at)


def flow(port=50_000, *, at=NOON, uid="C1", origin="10.0.0.5", responder=("203.0.113.9", 443), sensor="dmz-1", **given):
    return FlowRecord("zeek", sensor, uid, at, Transport.TCP, (origin, port), responder, **given)


def joined(connections, flows, earlier=None):
    (result,) = join(connections, flows, earlier)
    return result


@pytest.mark.parametrize("campaign", recordings.NODES)
def test_recorded_connections_are_joined_with_the_flows_that_they_are(campaign):
    found = joined(recordings.connections(campaign), recordings.flows(campaign))
    by_tuple = {each.five_tuple: match for each, match in found.matches.items()}
    expected = recordings.expected(campaign)
    assert expected
    for line in expected:
        local, local_port, remote, remote_port = line["five_tuple"]
        wanted = Connection("", "", Transport.TCP, (local, int(local_port)), (remote, int(remote_port)), "", 0.0)
        match = by_tuple[wanted.five_tuple]
        assert match.connection.community_id == line["community_id"]
        assert (match.flow.flow_id, match.how) == (line["uid"], How.COMMUNITY_ID)
        assert match.skew_seconds == pytest.approx(line["skew_s"], abs=2)
        facts = facts_of(match, found)
        assert facts.tls_version == (line["ssl"] or "")
        said = [each.removeprefix("violation:").replace(":", ": ", 1) for each in line["analyzer"]]
        assert list(facts.violations) == said


def test_a_clock_that_jumps_inside_a_recording_moves_no_other_join():
    found = joined(recordings.connections("03"), recordings.flows("03"))
    firm = {each.local[1]: match.is_firm for each, match in found.matches.items() if each.remote[1] != 53}
    assert [port for port in sorted(firm) if port in range(49604, 49614) and not firm[port]] == [49604]


def test_a_community_id_joins_whichever_way_round_the_sensor_took_the_ends():
    swapped = replace(flow(community_id="1:x"), origin=("203.0.113.9", 443), responder=("10.0.0.5", 50_000))
    (match,) = joined([connection(cid="1:x")], [swapped]).matches.values()
    assert (match.how, match.is_firm, match.skew_seconds) == (How.COMMUNITY_ID, True, 0.0)


def test_ids_made_with_another_seed_leave_the_5_tuple():
    (match,) = joined([connection(cid="1:x")], [flow(community_id="1:y")]).matches.values()
    assert match.how is How.FIVE_TUPLE


def test_flows_that_follow_each_other_are_pieces_of_one_connection():
    pieces = [flow(uid="C2", at=NOON + 90, violations=("HTTP: odd",)), flow(duration=20.0)]
    found = joined([connection(at=NOON + 30)], pieces)
    (match,) = found.matches.values()
    assert (match.flow.flow_id, len(match.pieces.flows)) == ("C1", 2)
    assert facts_of(match, found).violations == ("HTTP: odd",)


def test_a_port_that_was_used_again_is_told_apart_by_time():
    again = [flow(uid="C1"), flow(uid="C2", at=NOON + 4 * HOUR)]
    others = [connection(port, at=NOON + port / 100) for port in range(50_001, 50_006)]
    seen = [flow(port, uid=f"C{port}", at=NOON + port / 100) for port in range(50_001, 50_006)]
    found = joined([connection(at=NOON + 4 * HOUR + 30), *others], [*again, *seen])
    assert found.matches[connection(at=NOON + 4 * HOUR + 30)].flow.flow_id == "C2"


def test_two_flows_between_which_nothing_decides_are_ambiguous():
    found = joined([connection(at=NOON + 2 * HOUR)], [flow(uid="C1"), flow(uid="C2", at=NOON + 4 * HOUR)])
    assert (dict(found.matches), list(found.ambiguous.values())) == ({}, [2])


def test_clocks_that_disagree_are_believed_when_other_joins_show_the_same():
    alone = joined([connection()], [flow(at=NOON + 7 * HOUR)])
    assert [each.is_firm for each in alone.matches.values()] == [False]
    ports = range(50_000, 50_003)
    several = joined(
        [connection(port) for port in ports], [flow(port, uid=f"C{port}", at=NOON + 7 * HOUR) for port in ports]
    )
    assert [each.is_firm for each in several.matches.values()] == [True] * 3


def test_connections_that_were_open_before_the_agent_came_say_nothing_against_the_clocks():
    ports = range(50_000, 50_004)
    open_long = [flow(port, uid=f"C{port}", at=NOON - port % 10 * HOUR - HOUR, duration=9 * HOUR) for port in ports]
    found = joined([connection(port) for port in ports], open_long)
    assert {(each.skew_seconds, each.is_firm) for each in found.matches.values()} == {(0.0, True)}


def test_a_skew_that_was_known_before_is_believed():
    earlier = {("zeek", "dmz-1"): Earlier(skews={"n1": [7 * HOUR] * 5})}
    both = [flow(uid="C1"), flow(uid="C2", at=NOON + 7 * HOUR)]
    (match,) = joined([connection()], both, earlier).matches.values()
    assert (match.flow.flow_id, match.is_firm) == ("C2", True)


def test_a_translated_address_is_joined_by_peer_and_time_and_said_to_be_weaker():
    (match,) = joined([connection()], [flow(61_000, at=NOON - 20, origin="198.51.100.1")]).matches.values()
    assert (match.how, match.is_firm) == (How.TRANSLATED, False)


@pytest.mark.parametrize(
    ("connections", "flows"),
    [
        ([connection(local="192.0.80.5")], [flow(61_000, origin="198.51.100.1")]),  # nothing to translate
        ([connection()], [flow(61_000, origin="198.51.100.1", at=NOON + HOUR)]),  # another time
        ([connection()], [flow(61_000, origin="198.51.100.1", responder=("203.0.113.9", 80))]),  # another port
        ([connection(), connection(node="n2", local="10.0.0.6")], [flow(61_000, origin="198.51.100.1")]),
        ([connection(), connection(50_001, program="q")], [flow(61_000, origin="198.51.100.1")]),
        ([connection()], [flow(61_000 + n, uid=f"C{n}", origin="198.51.100.1") for n in range(2)]),
        ([connection(), connection(5, node="n2", local="10.0.0.6")], [flow(6, origin="10.0.0.6")]),  # another node's
    ],
)
def test_what_could_be_somebody_elses_is_not_joined_by_its_peer(connections, flows):
    assert dict(joined(connections, flows).matches) == {}


def test_connections_of_one_program_share_its_flows():
    ports = (50_000, 50_001)
    seen = [flow(61_000 + n, uid=f"C{n}", origin="198.51.100.1", at=NOON + n) for n in range(2)]
    found = joined([connection(port, at=NOON + port - 50_000) for port in ports], seen)
    assert [match.flow.flow_id for match in found.matches.values()] == ["C0", "C1"]


@pytest.mark.parametrize(("is_attempt", "counted"), [(True, 4), (False, 0)])
def test_attempts_that_nobody_answered_are_counted(is_attempt, counted):
    tries = [flow(port, uid=f"C{port}", state="S0", packets_out=3) for port in range(50_000, 50_004)]
    (match,) = joined([replace(connection(), is_attempt=is_attempt)], tries).matches.values()
    assert match.attempts == counted


def test_a_capture_of_one_side_shows_no_attempts():
    heard = [flow(port, uid=f"C{port}", state="S0", packets_out=30, bytes_out=900) for port in range(50_000, 50_004)]
    (match,) = joined([replace(connection(), is_attempt=True)], heard).matches.values()
    assert match.attempts == 0


def test_each_sensor_is_joined_by_itself():
    results = join([connection()], [flow(), flow(sensor="core", uid="77", at=NOON + 7 * HOUR)])
    assert [(each.sensor[1], [match.flow.flow_id for match in each.matches.values()]) for each in results] == [
        ("core", ["77"]),
        ("dmz-1", ["C1"]),
    ]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0:0:0:0:0:0:0:1", "::1"), ("::ffff:10.0.0.5", "10.0.0.5"), ("FE80::1%12", "fe80::1"), ("", ""), ("x", ""),
        ("1" * 99, ""),
    ],
)  # fmt: skip
def test_addresses_are_written_as_sensors_do(text, address):
    assert canonical(text) == address


@pytest.mark.parametrize(
    "odd", [{"protocol": "1"}, {"remote_port": "x"}, {"remote_address": ""}, {"local_port": "70000"}]
)
def test_a_row_without_a_peer_is_no_connection(odd):
    row = {
        "protocol": "6",
        "local_address": "10.0.0.5",
        "local_port": "1",
        "remote_address": "10.0.0.6",
        "remote_port": "2",
    }
    assert connection_of("n1", "p", row, NOON) is not None
    assert connection_of("n1", "p", row | odd, NOON) is None


@pytest.mark.parametrize("campaign", recordings.NODES)
def test_the_5_tuple_joins_the_same_where_a_sensor_seeds_its_ids(campaign):
    seeded = [replace(each, community_id="1:seeded") for each in recordings.flows(campaign)]
    found = joined(recordings.connections(campaign), seeded)
    wanted = {line["uid"] for line in recordings.expected(campaign)}
    assert wanted <= {match.flow.flow_id for match in found.matches.values() if match.how is How.FIVE_TUPLE}
