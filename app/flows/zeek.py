"""Zeek's logs of flows, a line at a time → what that log says of the flow.

Source: Zeek's base/protocols/{conn,ssl,http}/main.zeek, base/frameworks/analyzer/logging.zeek, base/frameworks/dpd.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from app.detection.behaviour import Transport
from app.detection.community_id import community_id
from app.flows import fields
from app.flows.fields import BadField
from app.flows.records import Address, FlowRecord

#: Of a line, in the order of its log's fields; None where unset or not in this log.
Values = Sequence[object]
FLOW = ("uid", "ts", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p")
FIELDS: Mapping[str, tuple[str, ...]] = {
    "conn": (
        *FLOW, "proto", "service", "failed_service", "duration", "orig_bytes", "resp_bytes", "conn_state", "history",
        "orig_pkts", "resp_pkts", "community_id",
    ),
    "ssl": (*FLOW, "version", "server_name", "cipher"),
    "http": (*FLOW, "version", "method", "status_code"),
    "analyzer": (*FLOW, "proto", "analyzer_kind", "analyzer_name", "failure_reason", "cause"),
    "dpd": (*FLOW, "proto", "analyzer", "failure_reason"),
}  # fmt: skip
#: States in which Zeek saw packets of one end only, or joined in the middle.
#: Source: the table of conn_state in base/protocols/conn/main.zeek.
ONE_SIDED_STATES = frozenset({"OTH", "SH", "SHR", "RSTOS0", "RSTRH"})
#: Reason for which a line about no TCP or UDP flow is left aside.
NO_TRANSPORT = "neither TCP nor UDP"


class NotOfAFlow(Exception):
    """Nothing is wrong with the line, but it tells nothing of a TCP or UDP flow."""


def log_of(names: Collection[str]) -> str:
    """Which log has these fields, for lines that bear no `_path`; empty when it is none of ours.

    Source: fields that the logs always write.
    """
    if "conn_state" in names:
        return "conn"
    if "trans_depth" in names:
        return "http"
    if "resumed" in names and "established" in names:
        return "ssl"
    if "analyzer_kind" in names:
        return "analyzer"
    return "dpd" if "analyzer" in names and "failure_reason" in names else ""


def part_of(log: str, sensor: str, values: Values) -> FlowRecord:
    """Raises: BadField; NotOfAFlow."""
    return _PARTS[log](sensor, values)


def is_one_sided(state: str, history: str, packets: Sequence[int | None]) -> bool:
    """Letters of the origin's packets are capitals; `^` says that Zeek took the ends the other way round."""
    letters = history.lstrip("^")
    return (
        state in ONE_SIDED_STATES
        or history.startswith("^")
        or (bool(letters) and (letters.islower() or letters.isupper()))
        or (not letters and 0 in packets)
    )


def _conn(sensor: str, values: Values) -> FlowRecord:
    uid, ts, origin, responder = _flow(values[:6])
    transport = fields.transport("proto", values[6])
    if transport is None:
        raise NotOfAFlow(NO_TRANSPORT)
    services, failed = _services(values[7], values[8])
    state, history = fields.word("conn_state", values[12], 20), fields.word("history", values[13])
    if not state:
        raise BadField("conn_state", "missing")
    packets_out, packets_in = fields.count("orig_pkts", values[14]), fields.count("resp_pkts", values[15])
    return FlowRecord(
        "zeek", sensor, uid, ts, transport, origin, responder,
        community_id=fields.word("community_id", values[16], 60) or community_id(transport, origin, responder),
        duration=fields.duration("duration", values[9]),
        services=services,
        failed_services=failed,
        state=state,
        bytes_out=fields.count("orig_bytes", values[10]),
        bytes_in=fields.count("resp_bytes", values[11]),
        packets_out=packets_out,
        packets_in=packets_in,
        one_sided=is_one_sided(state, history, (packets_out, packets_in)),
    )  # fmt: skip


def _ssl(sensor: str, values: Values) -> FlowRecord:
    """A line without version, name and cipher says only that Zeek tried."""
    version, name = fields.word("version", values[6], 20), fields.word("server_name", values[7])
    services = frozenset({"tls"}) if version or name or values[8] else frozenset[str]()
    part = _part(sensor, values, Transport.UDP if version.startswith("DTLS") else Transport.NONE)
    return replace(part, services=services, tls_version=version, server_name=name)


def _http(sensor: str, values: Values) -> FlowRecord:
    spoken = any(value is not None for value in values[6:])
    return replace(_part(sensor, values, Transport.TCP), services=frozenset({"http"} if spoken else ()))


def _analyzer(sensor: str, values: Values) -> FlowRecord:
    """`cause` is `violation`, or says that the analyzer was taken off the flow."""
    uid, *_, proto, kind, name, reason, cause = values
    if kind not in {"protocol", None}:
        raise NotOfAFlow("not of a protocol analyzer")
    part = _violation(sensor, values, (uid, proto), (_analyzer_name("analyzer_name", name), reason))
    gave_up = cause in {"disabled", "failed"}
    return replace(part, failed_services=frozenset({_analyzer_name("analyzer_name", name)} if gave_up else ()))


def _dpd(sensor: str, values: Values) -> FlowRecord:
    uid, *_, proto, name, reason = values
    return _violation(sensor, values, (uid, proto), (_analyzer_name("analyzer", name), reason))


def _violation(sensor: str, values: Values, of: tuple[object, object], said: tuple[str, object]) -> FlowRecord:
    """Newer analyzer.log has no proto: the flow's conn line will say it."""
    uid, proto = of
    if uid is None:
        raise NotOfAFlow("without a uid")
    transport = Transport.NONE if proto is None else fields.transport("proto", proto)
    if transport is None:
        raise NotOfAFlow(NO_TRANSPORT)
    analyzer, reason = said[0].upper(), fields.word("failure_reason", said[1])
    return replace(_part(sensor, values, transport), violations=(f"{analyzer}: {reason}",) if reason else ())


def _part(sensor: str, values: Values, transport: Transport) -> FlowRecord:
    """What every line says of its flow. `ts` may lie after the start, so that conn's line knows it better."""
    uid, ts, origin, responder = _flow(values[:6])
    known = community_id(transport, origin, responder) if transport else ""
    return FlowRecord("zeek", sensor, uid, ts, transport, origin, responder, known)


def _flow(values: Values) -> tuple[str, float, Address, Address]:
    uid, ts, origin_host, origin_port, responder_host, responder_port = values
    return (
        fields.identifier("uid", uid),
        fields.instant("ts", ts),
        (fields.address("id.orig_h", origin_host), fields.port("id.orig_p", origin_port)),
        (fields.address("id.resp_h", responder_host), fields.port("id.resp_p", responder_port)),
    )


def _services(service: object, failed_service: object) -> tuple[frozenset[str], frozenset[str]]:
    """A `-` before a name: Zeek took it back (DPD::track_removed_services_in_connection)."""
    names = fields.words("service", service)
    failed = [*fields.words("failed_service", failed_service), *(name[1:] for name in names if name.startswith("-"))]
    return (
        frozenset(fields.protocol(name) for name in names if name and not name.startswith("-")),
        frozenset(fields.protocol(name) for name in failed if name),
    )


def _analyzer_name(field: str, value: object) -> str:
    name = fields.word(field, value, 40)
    if not name:
        raise BadField(field, "missing")
    return fields.protocol(name)


_PARTS: Mapping[str, Callable[[str, Values], FlowRecord]] = {
    "conn": _conn, "ssl": _ssl, "http": _http, "analyzer": _analyzer, "dpd": _dpd,
}  # fmt: skip
