"""Events of Suricata's EVE log → what each says of its flow.

Source: the EVE JSON format in Suricata's user guide; rules/app-layer-events.rules.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from app.detection.community_id import community_id
from app.flows import fields
from app.flows.fields import BadField
from app.flows.records import Address, FlowRecord
from app.flows.zeek import NO_TRANSPORT, NotOfAFlow

Event = Mapping[str, object]
FIRST_ALERT = 2260000
#: What the rules 2260000 to 2260005 find, by the name that the anomaly event has for it.
APP_LAYER_ALERTS = (
    "APPLAYER_MISMATCH_PROTOCOL_BOTH_DIRECTIONS",
    "APPLAYER_WRONG_DIRECTION_FIRST_DATA",
    "APPLAYER_DETECT_PROTOCOL_ONLY_ONE_DIRECTION",
    "APPLAYER_PROTO_DETECTION_SKIPPED",
    "APPLAYER_NO_TLS_AFTER_STARTTLS",
    "APPLAYER_UNEXPECTED_PROTOCOL",
)
#: As Zeek spells them.
TLS_VERSIONS = {
    "TLSv1": "TLSv10", "TLS 1.1": "TLSv11", "TLS 1.2": "TLSv12", "TLS 1.3": "TLSv13", "UNDETERMINED": "",
}  # fmt: skip
#: Of one flow: as detected, in each direction, and before STARTTLS.
PROTOCOL_FIELDS = ("app_proto", "app_proto_ts", "app_proto_tc", "app_proto_orig")
NOTHING_DETECTED = frozenset({"", "unknown"})


def part_of(sensor: str, event: Event) -> FlowRecord:
    """Raises: BadField; NotOfAFlow."""
    reader = _PARTS.get(str(event.get("event_type")))
    if reader is None:
        raise NotOfAFlow
    return reader(sensor, event)


def _flow(sensor: str, event: Event) -> FlowRecord:
    """Suricata counts bytes with their headers, so payload is not known."""
    flow = _object(event, "flow")
    state = fields.word("flow.state", flow.get("state"), 20)
    if not state:
        raise BadField("flow.state", "missing")
    part, ended_at = _part(sensor, event), _instant(flow, "flow.end", "end")
    packets_out, packets_in = (_count(flow, name) for name in ("pkts_toserver", "pkts_toclient"))
    return replace(
        part,
        state=state,
        duration=None if ended_at is None else max(0.0, round(ended_at - part.started_at, 6)),
        packets_out=packets_out,
        packets_in=packets_in,
        one_sided=0 in {packets_out, packets_in},
    )


def _tls(sensor: str, event: Event) -> FlowRecord:
    tls = _object(event, "tls")
    version, name = fields.word("tls.version", tls.get("version"), 20), fields.word("tls.sni", tls.get("sni"))
    part = _part(sensor, event, "tls")
    return replace(part, tls_version=TLS_VERSIONS.get(version, version), server_name=name)


def _http(sensor: str, event: Event) -> FlowRecord:
    return _part(sensor, event, "http")


def _anomaly(sensor: str, event: Event) -> FlowRecord:
    anomaly = _object(event, "anomaly")
    if anomaly.get("type") != "applayer":
        raise NotOfAFlow("below the application")
    name = fields.word("anomaly.app_proto", anomaly.get("app_proto"), 40)
    return _violation(sensor, event, name, fields.word("anomaly.event", anomaly.get("event")))


def _alert(sensor: str, event: Event) -> FlowRecord:
    number = _object(event, "alert").get("signature_id")
    if not isinstance(number, int) or not 0 <= number - FIRST_ALERT < len(APP_LAYER_ALERTS):
        raise NotOfAFlow("of another rule")
    return _violation(sensor, event, "", APP_LAYER_ALERTS[number - FIRST_ALERT])


def _violation(sensor: str, event: Event, protocol: str, said: str) -> FlowRecord:
    protocol = fields.protocol(protocol or fields.word("app_proto", event.get("app_proto"), 40) or "unknown")
    return replace(_part(sensor, event), violations=(f"{protocol.upper()}: {said}",) if said else ())


def _part(sensor: str, event: Event, *spoken: str) -> FlowRecord:
    """What every event says of its flow."""
    transport = fields.transport("proto", event.get("proto"))
    if transport is None:
        raise NotOfAFlow(NO_TRANSPORT)
    origin, responder = _ends(event)
    services, failed = _services(event, spoken)
    return FlowRecord(
        "suricata", sensor, fields.identifier("flow_id", event.get("flow_id")), _time(event), transport,
        origin, responder,
        fields.word("community_id", event.get("community_id"), 60) or community_id(transport, origin, responder),
        services=services,
        failed_services=failed,
    )  # fmt: skip


def _services(event: Event, spoken: tuple[str, ...]) -> tuple[frozenset[str], frozenset[str]]:
    """`failed` in one direction only is no failure: the other says what was spoken."""
    names = [fields.protocol(fields.word(name, event.get(name), 40)) for name in PROTOCOL_FIELDS]
    services = frozenset({*names, *spoken}) - NOTHING_DETECTED - {"failed"}
    return services, frozenset({"failed"}) if "failed" in names and not services else frozenset()


def _ends(event: Event) -> tuple[Address, Address]:
    """A packet's event may run from server to client; then it says so, or its flow object has the flow's own ends."""
    flow = _object(event, "flow")
    prefix, ends = ("flow.", flow) if "src_ip" in flow else ("", event)
    first, second = (
        (
            fields.address(f"{prefix}{end}_ip", ends.get(f"{end}_ip")),
            fields.port(f"{prefix}{end}_port", ends.get(f"{end}_port")),
        )
        for end in ("src", "dest")
    )
    return (second, first) if not prefix and event.get("direction") == "to_client" else (first, second)


def _time(event: Event) -> float:
    started = _instant(_object(event, "flow"), "flow.start", "start")
    return fields.instant("timestamp", event.get("timestamp")) if started is None else started


def _instant(flow: Event, field: str, name: str) -> float | None:
    value = flow.get(name)
    return None if value is None else fields.instant(field, value)


def _count(flow: Event, name: str) -> int | None:
    return fields.count(f"flow.{name}", flow.get(name))


def _object(event: Event, name: str) -> Event:
    value = event.get(name, {})
    if not isinstance(value, dict):
        raise BadField(name, "not an object", value)
    return value


_PARTS: Mapping[str, Callable[[str, Event], FlowRecord]] = {
    "flow": _flow, "tls": _tls, "http": _http, "anomaly": _anomaly, "alert": _alert,
}  # fmt: skip
