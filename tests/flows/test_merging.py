"""Parts of a flow are one record whichever way they come."""

from itertools import permutations
from random import Random

import pytest

from app.detection.behaviour import Transport
from app.flows.merging import MOST_VIOLATIONS, TooManyFlows, merged
from tests.flows.logs import ANALYZER, CONN, DPD, HTTP, SSL, STARTED_AT, an_event, eve, read, recorded, text

LATER = {"ts": str(STARTED_AT + 5)}
LINES = (
    text("conn", CONN), text("ssl", SSL | LATER), text("http", HTTP | LATER), text("analyzer", ANALYZER | LATER),
    text("dpd", DPD | {"failure_reason": "more"} | LATER),
)  # fmt: skip


def test_the_lines_of_a_flow_are_one_record_in_every_order() -> None:
    parts = [read(line)[0][0] for line in LINES]
    records = [tuple(merged(order)) for order in permutations(parts)]
    assert len(set(records)) == 1
    ((record,),) = set(records)
    assert (record.started_at, record.transport, record.state) == (STARTED_AT, Transport.TCP, "SF")
    assert (record.services, record.tls_version, record.server_name) == ({"tls", "http"}, "TLSv12", "c2.example")
    assert record.violations == ("HTTP: more", "HTTP: not a http reply line")
    assert record.community_id == "1:Tc7zlXS4CYRGQX8HT7crX0ryHB0="


def test_the_ends_are_as_the_line_of_the_flow_itself_has_them() -> None:
    """Suricata's alert about a packet back has source and destination the other way round."""
    back = {"src_ip": "10.0.5.13", "src_port": 8080, "dest_ip": "192.168.1.41", "dest_port": 51129}
    alert = an_event("alert", app_proto="http", alert={"signature_id": 2260005}, **back)
    for order in (eve() + alert, alert + eve()):
        (record,) = merged(read(order)[0])
        assert (record.origin, record.started_at) == (("192.168.1.41", 51129), STARTED_AT)
        assert record.violations == ("HTTP: APPLAYER_UNEXPECTED_PROTOCOL",)


def test_contradictions_do_not_depend_on_the_order() -> None:
    parts = [read(text("conn", CONN | {"orig_pkts": str(n), "conn_state": state}))[0][0]
             for n, state in ((1, "S1"), (9, "SF"), (5, "OTH"))]  # fmt: skip
    (record,) = {tuple(merged(order)) for order in permutations(parts)}
    assert (record[0].packets_out, record[0].state, record[0].one_sided) == (9, "SF", True)


def test_violations_do_not_grow_without_end() -> None:
    rows = [ANALYZER | {"failure_reason": f"reason {n:02}"} for n in range(50)]
    (record,) = merged(read(text("analyzer", *rows))[0])
    assert len(record.violations) == MOST_VIOLATIONS


def test_records_come_by_start_and_a_recording_in_any_order_is_the_same() -> None:
    parts, _ = read(recorded("conn", "ssl", "http", "analyzer"))
    expected = list(merged(parts))
    assert len(expected) == 111
    assert [record.started_at for record in expected] == sorted(record.started_at for record in expected)
    Random(1).shuffle(parts)
    assert list(merged(parts)) == expected


def test_flows_of_two_sensors_are_two() -> None:
    parts, _ = read(text("conn", CONN) + eve(flow_id=7))
    assert len(list(merged([*parts, *parts]))) == 2


def test_more_flows_than_memory_shall_hold_are_refused() -> None:
    parts, _ = read(recorded("conn"))
    with pytest.raises(TooManyFlows, match="more than 50 flows"):
        list(merged(parts, most_flows=50))
