"""Connections that Windows logged are the behaviours that a poll would have shown."""

import json
from pathlib import Path

import pytest

from app.collection.packs import PACKS_DIR
from app.detection.behaviour import Behaviour
from app.detection.blind_spots import blind_spots
from app.detection.connection_events import as_socket_row
from app.detection.context import PeerScope, Signer, context_of
from app.detection.evidence import Case
from app.detection.knobs import Knobs
from app.detection.recognition import RejectedRow, recognise
from tests.detection.events import (
    DEVICE_SVCHOST,
    EXCEL,
    SVCHOST,
    SYSMON_NET,
    WFP,
    sysmon_connection,
    wfp_bind,
    wfp_connection,
)
from tests.detection.rows import WINDOWS_LISTEN, WINDOWS_OUT, socket
from tests.detection.worked import standing


def recognised(query: str, row: dict[str, object]) -> Behaviour:
    found = recognise(query, row)
    assert found is not None
    return found


def shown(query: str, row: dict[str, object]) -> tuple[str, str, str]:
    found = recognised(query, row)
    return found.direction, found.transport, found.bucket


def test_an_event_and_a_poll_show_one_behaviour() -> None:
    polled = recognise(WINDOWS_OUT, socket(EXCEL, remote_port="8443"))
    assert recognise(SYSMON_NET, sysmon_connection()) == polled
    assert recognise(WFP, wfp_connection(DestPort="443")) == recognise(WINDOWS_OUT, socket(SVCHOST))


@pytest.mark.parametrize(
    ("query", "row", "behaviour"),
    [
        (SYSMON_NET, sysmon_connection(), ("outbound", "tcp", "8443")),
        (SYSMON_NET, sysmon_connection(SourcePort=445, DestinationPort=50000), ("outbound", "tcp", "dynamic")),
        (SYSMON_NET, sysmon_connection(Protocol="udp", DestinationPort="53"), ("outbound", "udp", "53")),
        (SYSMON_NET, sysmon_connection(Protocol="udp", SourcePort="123", DestinationPort="123"),
         ("listening", "udp", "123")),
        (SYSMON_NET, sysmon_connection(Initiated="false", SourcePort="3389", DestinationPort="51000"),
         ("listening", "tcp", "3389")),
        (SYSMON_NET, sysmon_connection(Initiated="false", SourcePort="51000", DestinationPort="3389"),
         ("listening", "tcp", "3389")),
        (WFP, wfp_connection(), ("outbound", "tcp", "7680")),
        (WFP, wfp_connection(Direction="Inbound", SourcePort="7680", DestPort="50112"), ("listening", "tcp", "7680")),
        (WFP, wfp_connection(Direction="%%14592", SourcePort="68", DestPort="67", Protocol="17"),
         ("listening", "udp", "67")),
        (WFP, wfp_bind(), ("listening", "tcp", "5432")),
    ],
)  # fmt: skip
def test_who_opened_it_decides_and_not_its_ports(query: str, row: dict[str, object], behaviour: object) -> None:
    assert shown(query, row) == behaviour


@pytest.mark.parametrize(
    ("query", "row"),
    [
        (SYSMON_NET, sysmon_connection(DestinationIp="127.0.0.1")),
        (SYSMON_NET, sysmon_connection(SourceIp="::1", DestinationIp="::1")),
        (SYSMON_NET, sysmon_connection(Protocol="udp", DestinationIp="239.255.255.250", DestinationPort="1900")),
        (SYSMON_NET, sysmon_connection(DestinationIp="ff02::fb")),
        (SYSMON_NET, sysmon_connection(DestinationIp="255.255.255.255")),
        (SYSMON_NET, sysmon_connection(DestinationIp="not an address")),
        (SYSMON_NET, sysmon_connection(DestinationPort="0")),
        (SYSMON_NET, sysmon_connection() | {"eventid": "22"}),
        (SYSMON_NET, sysmon_connection(Protocol="icmp")),
        (WFP, wfp_connection(Protocol="1")),
        (WFP, wfp_connection(DestAddress="127.0.0.1")),
        (WFP, wfp_bind(SourcePort="50000")),
        (WFP, wfp_bind(SourcePort="0")),
    ],
)
def test_the_host_itself_groups_and_clients_own_binds_are_no_behaviour(query: str, row: dict[str, object]) -> None:
    assert recognise(query, row) is None


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"eventid": "3"}, "missing_column"),
        (sysmon_connection() | {"data": "{"}, "event_unreadable"),
        (sysmon_connection(DestinationPort="65536"), "port_out_of_range"),
        (sysmon_connection(DestinationPort="x"), "not_a_number"),
        (sysmon_connection(DestinationPort=None), "not_a_number"),
        (sysmon_connection(Initiated="perhaps"), "direction_unknown"),
    ],
)
def test_what_cannot_be_understood_is_refused_by_name(row: dict[str, object], reason: str) -> None:
    with pytest.raises(RejectedRow) as refused:
        recognise(SYSMON_NET, row)
    assert refused.value.reason == reason
    context_of(SYSMON_NET, row, node="n", signer=Signer())


def test_the_kernel_and_what_sysmon_cannot_name_have_names() -> None:
    assert recognised(WFP, wfp_connection(Application="System")).program.name == "system"
    assert recognised(SYSMON_NET, sysmon_connection(Image="<unknown process>")).program.name == "unknown"


def test_the_context_speaks_of_the_event() -> None:
    found = context_of(SYSMON_NET, sysmon_connection(), node="n", signer=Signer())
    assert (found.path, found.user, found.process_id, found.process_guid) == (EXCEL, r"CORP\mwebb", "11764", "{g-1}")
    assert (found.peer_address, found.peer_scope, found.event_time) == (
        "203.0.113.57", PeerScope.PRIVATE, "1598961600.123",
    )  # fmt: skip
    audited = context_of(WFP, wfp_connection(), node="n", signer=Signer())
    assert (audited.path, audited.process_id, audited.event_time) == (DEVICE_SVCHOST, "3180", "1598961600.500")
    assert context_of(WFP, wfp_bind(SourceAddress="127.0.0.1"), node="n", signer=Signer()).bind_scope == "loopback"
    assert context_of(WFP, wfp_bind(), node="n", signer=Signer()).bind_scope == "any"


def test_an_event_shows_the_peer_of_udp() -> None:
    row = sysmon_connection(Protocol="udp", DestinationPort="53")
    context = context_of(SYSMON_NET, row, node="n", signer=Signer())
    case = Case(recognised(SYSMON_NET, row), context, standing(), Knobs())
    assert "UDP" not in " ".join(each.text for each in blind_spots(case))


def test_rows_of_other_queries_stay_as_they_are() -> None:
    row = socket(SVCHOST)
    assert as_socket_row(WINDOWS_OUT, row) == (WINDOWS_OUT, row)


@pytest.mark.parametrize(("query", "directions"), [(SYSMON_NET, ["outbound"] * 2), (WFP, ["outbound", "listening"])])
def test_the_examples_of_the_packs_are_understood(query: str, directions: list[str]) -> None:
    path = Path(PACKS_DIR, *query.split("/")[1:]).with_suffix(".examples.jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [shown(query, row)[0] for row in rows] == directions
    assert {as_socket_row(query, row)[0] for row in rows} <= {WINDOWS_OUT, WINDOWS_LISTEN}  # type: ignore[index]
