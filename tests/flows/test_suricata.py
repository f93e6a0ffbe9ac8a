"""Events of Suricata's EVE log."""

from dataclasses import replace
from typing import Any

import pytest

from app.detection.behaviour import Transport
from app.flows.records import FlowRecord
from tests.flows.logs import FLOW_EVENT, STARTED_AT, an_event, eve, one, read

WHOLE = FlowRecord(
    "suricata", "edge", "1155346044137668", STARTED_AT, Transport.TCP, ("192.168.1.41", 51129), ("10.0.5.13", 8080),
    "1:Tc7zlXS4CYRGQX8HT7crX0ryHB0=", 3.516797, services=frozenset({"tls"}), state="closed", packets_out=7,
    packets_in=4,
)  # fmt: skip
BARE = replace(
    WHOLE, started_at=1692162000.0, duration=None, services=frozenset(), state="", packets_out=None, packets_in=None
)
UNEXPECTED = replace(BARE, services=frozenset({"http"}), violations=("HTTP: APPLAYER_UNEXPECTED_PROTOCOL",))


def flow(**fields: Any) -> dict[str, Any]:
    return {"flow": FLOW_EVENT["flow"] | fields}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (eve(), WHOLE),
        (eve(community_id="1:theirs="), replace(WHOLE, community_id="1:theirs=")),
        (eve(app_proto="failed"), replace(WHOLE, services=frozenset(), failed_services=frozenset({"failed"}))),
        (eve(app_proto="tls", app_proto_tc="failed"), WHOLE),
        (eve(app_proto="tls", app_proto_orig="smtp"), replace(WHOLE, services=frozenset({"tls", "smtp"}))),
        (eve(app_proto="unknown"), replace(WHOLE, services=frozenset())),
        (eve(**flow(pkts_toclient=0)), replace(WHOLE, packets_in=0, one_sided=True)),
        (an_event("tls", tls={"version": "TLS 1.2", "sni": "c2.example", "ja3": {}}), replace(
            BARE, services=frozenset({"tls"}), tls_version="TLSv12", server_name="c2.example")),
        (an_event("http", http={"hostname": "x"}), replace(BARE, services=frozenset({"http"}))),
        (an_event("anomaly", app_proto="http", anomaly={
            "type": "applayer", "event": "APPLAYER_UNEXPECTED_PROTOCOL", "layer": "proto_detect"}), UNEXPECTED),
        (an_event("alert", app_proto="http", alert={"signature_id": 2260005, "signature": "…"}), UNEXPECTED),
    ],
)  # fmt: skip
def test_an_event_says_what_it_says_of_its_flow(line: bytes, expected: FlowRecord) -> None:
    assert one(line) == expected


@pytest.mark.parametrize(
    "how",
    [
        {"direction": "to_client"},
        {"flow": {"src_ip": "192.168.1.41", "src_port": 51129, "dest_ip": "10.0.5.13", "dest_port": 8080}},
    ],
)
def test_an_event_of_a_packet_back_has_the_ends_of_its_flow(how: dict[str, Any]) -> None:
    back = {"src_ip": "10.0.5.13", "src_port": 8080, "dest_ip": "192.168.1.41", "dest_port": 51129}
    line = an_event("alert", app_proto="http", alert={"signature_id": 2260005}, **back, **how)
    assert one(line) == UNEXPECTED


def test_other_events_are_counted_by_kind() -> None:
    lines = [
        an_event("dns"), an_event("dns"), eve(proto="ICMP"), an_event("alert", alert={"signature_id": 2001219}),
        an_event("anomaly", anomaly={"type": "decode", "event": "decoder.ipv4.trunc_pkt"}),
    ]  # fmt: skip
    parts, account = read(b"".join(lines))
    assert (parts, account.faults) == ([], {})
    assert account.ignored == {
        "suricata/dns": 2, "suricata/flow: neither TCP nor UDP": 1, "suricata/alert: of another rule": 1,
        "suricata/anomaly: below the application": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("line", "field", "problem"),
    [
        (eve(src_port=70000), "src_port", "not a port from 0 to 65535"),
        (eve(dest_ip="evil.example"), "dest_ip", "not an address"),
        (eve(flow_id=None), "flow_id", "missing"),
        (eve(flow="closed"), "flow", "not an object"),
        (eve(flow={}), "flow.state", "missing"),
        (eve(**flow(pkts_toclient="many")), "flow.pkts_toclient", "not a count"),
        (eve(**flow(start="yesterday")), "flow.start", "not a time"),
        (eve(proto=6), "proto", "not a protocol"),
        (an_event("tls", tls={"sni": ["a"]}), "tls.sni", "not text"),
    ],
)
def test_an_impossible_field_is_named(line: bytes, field: str, problem: str) -> None:
    parts, account = read(eve() + line + eve())
    assert len(parts) == 2
    (fault,) = account.faults.values()
    assert (fault.field, fault.problem, fault.first_line, fault.lines) == (field, problem, 2, 1)
