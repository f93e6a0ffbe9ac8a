"""Lines of Zeek's logs, as text and as JSON, say the same."""

import json
from dataclasses import replace

import pytest

from app.detection.behaviour import Transport
from app.detection.community_id import community_id
from app.flows.records import FlowRecord
from app.flows.zeek import is_one_sided
from tests.flows.logs import ANALYZER, CONN, DPD, HTTP, SSL, STARTED_AT, a_json, one, read, recorded, text

WHOLE = FlowRecord(
    "zeek", "edge", "C6lHTD1NEfitEA9vDc", STARTED_AT, Transport.TCP, ("192.168.1.41", 51129), ("10.0.5.13", 8080),
    "1:Tc7zlXS4CYRGQX8HT7crX0ryHB0=", 3.516797, state="SF", bytes_out=517, bytes_in=1386, packets_out=7, packets_in=4,
)  # fmt: skip
BARE = replace(
    WHOLE, transport=Transport.NONE, community_id="", duration=None, state="", bytes_out=None, bytes_in=None,
    packets_out=None, packets_in=None,
)  # fmt: skip
ENDS = (WHOLE.origin, WHOLE.responder)
AS_TCP = replace(BARE, transport=Transport.TCP, community_id=WHOLE.community_id)
TLS = replace(BARE, services=frozenset({"tls"}), tls_version="TLSv12", server_name="c2.example")
VIOLATED = replace(BARE, violations=("HTTP: not a http reply line",))


@pytest.mark.parametrize(
    ("log", "row", "expected"),
    [
        ("conn", CONN, WHOLE),
        ("conn", CONN | {"duration": "-", "orig_bytes": "-"}, replace(WHOLE, duration=None, bytes_out=None)),
        ("conn", CONN | {"community_id": "1:theirs="}, replace(WHOLE, community_id="1:theirs=")),
        ("conn", CONN | {"service": "ssl,http"}, replace(WHOLE, services=frozenset({"tls", "http"}))),
        ("conn", CONN | {"service": "-ssl,smb"}, replace(
            WHOLE, services=frozenset({"smb"}), failed_services=frozenset({"tls"}))),
        ("conn", CONN | {"failed_service": "ssl"}, replace(WHOLE, failed_services=frozenset({"tls"}))),
        ("conn", CONN | {"history": "^hadf"}, replace(WHOLE, one_sided=True)),
        ("conn", CONN | {"id.orig_h": "::FFFF:192.168.1.41"}, WHOLE),
        ("ssl", SSL, TLS),
        ("ssl", SSL | {"version": "-", "server_name": "-", "cipher": "-"}, BARE),
        ("ssl", SSL | {"version": "DTLSv12"}, replace(
            TLS, tls_version="DTLSv12", transport=Transport.UDP, community_id=community_id("udp", *ENDS))),
        ("http", HTTP, replace(AS_TCP, services=frozenset({"http"}))),
        ("analyzer", ANALYZER, VIOLATED),
        ("analyzer", ANALYZER | {"cause": "disabled"}, replace(VIOLATED, failed_services=frozenset({"http"}))),
        ("dpd", DPD, replace(AS_TCP, violations=VIOLATED.violations)),
    ],
)  # fmt: skip
def test_a_line_says_the_same_as_text_and_as_json(log: str, row: dict[str, str], expected: FlowRecord) -> None:
    assert one(text(log, row)) == expected
    assert one(a_json(row, _path=log, _write_ts=1692161700.0)) == expected
    assert one(a_json(row)) == expected, "without _path the fields tell which log it is"


def test_columns_come_in_any_order_and_unknown_ones_do_no_harm() -> None:
    row = CONN | {"vlan": "7", "new_in_zeek_9": "x"}
    assert one(text("conn", row, names=sorted(row, reverse=True))) == WHOLE


def test_a_header_may_come_again_with_other_columns() -> None:
    content = text("conn", CONN) + text("conn", CONN, names=list(reversed(CONN))) + text("ssl", SSL)
    assert read(content)[0] == [WHOLE, WHOLE, TLS]


def test_a_header_says_its_own_marks() -> None:
    head = "#separator ;\n#set_separator;|\n#unset_field;?\n#path;conn\n"
    names = "#fields;" + ";".join([*CONN, "failed_service"]) + "\n#types;" + ";".join(["string"] * len(CONN))
    row = CONN | {"service": "ssl"}
    content = head + names + ";set[string]\n" + ";".join([*row.values(), "ftp|krb_tcp"]) + "\n"
    assert one(content.encode()).failed_services == {"ftp", "krb5"}


def test_addresses_are_canonical() -> None:
    part = one(text("conn", CONN | {"id.orig_h": "FE80:0:0:0::1%eth0", "id.resp_h": "2001:DB8::0:1"}))
    assert (part.origin[0], part.responder[0]) == ("fe80::1", "2001:db8::1")


@pytest.mark.parametrize(
    "ts", [STARTED_AT, 1692161674550.755, "2023-08-16T04:54:34.550755Z", "2023-08-16T06:54:34.550755+0200"]
)
def test_a_time_is_seconds_milliseconds_or_iso_text(ts: object) -> None:
    assert one(a_json(CONN, ts=ts)).started_at == STARTED_AT


def test_sets_are_lists_in_json() -> None:
    assert one(a_json(CONN, failed_service=["ssl", "ftp"])).failed_services == {"tls", "ftp"}


@pytest.mark.parametrize(
    ("state", "history", "packets", "one_sided"),
    [
        ("SF", "ShADadfF", (7, 4), False),
        ("SHR", "hadf", (0, 4), True),
        ("OTH", "ha", (0, 8), True),
        ("RSTRH", "hdar", (0, 8), True),
        ("S1", "^hADad", (3, 3), True),
        ("SF", "Dd", (1, 1), False),
        ("S0", "D", (1, 0), True),
        ("OTH", "Dd", (1, 1), True),
        ("SF", "", (1, 0), True),
        ("SF", "", (None, None), False),
    ],
)
def test_a_flow_of_which_one_direction_was_seen_is_known_as_such(
    state: str, history: str, packets: tuple[int | None, int | None], one_sided: bool
) -> None:
    assert is_one_sided(state, history, packets) is one_sided


def test_what_is_no_tcp_or_udp_flow_is_left_aside_by_name() -> None:
    rows = [CONN | {"proto": "icmp"}, CONN | {"proto": "unknown_transport"}]
    more = text("analyzer", ANALYZER | {"analyzer_kind": "file"}, ANALYZER | {"uid": "-"}) + text("dns", {"ts": "1"})
    parts, account = read(text("conn", *rows) + more)
    assert (parts, account.faults) == ([], {})
    assert account.ignored == {
        "zeek/conn: neither TCP nor UDP": 2, "zeek/analyzer: not of a protocol analyzer": 1,
        "zeek/analyzer: without a uid": 1, "zeek/dns": 1,
    }  # fmt: skip


def test_a_recording_tells_what_conn_log_alone_does_not() -> None:
    parts, account = read(recorded("conn", "ssl", "http", "analyzer", "weird"))
    assert account.logs == {"zeek/conn": 111, "zeek/ssl": 5, "zeek/http": 3, "zeek/analyzer": 6}
    assert account.ignored == {"zeek/conn: neither TCP nor UDP": 1, "zeek/weird": 22}
    assert account.faults == {}
    tls = {part.flow_id for part in parts if part.tls_version}
    assert {part.responder for part in parts if part.flow_id in tls} == {("10.0.5.13", 8080)}
    conn = {part.flow_id: part for part in parts if part.state}
    assert all(conn[uid].one_sided and not conn[uid].services for uid in tls)


def test_a_name_with_colour_codes_reaches_no_terminal() -> None:
    _, account = read(a_json(CONN, _path="\x1b[31mred") + json.dumps(CONN | {"_path": "é" * 99}).encode() + b"\n")
    assert list(account.ignored) == ["zeek/\\x1b[31mred", "zeek/" + "\\xe9" * 10]
