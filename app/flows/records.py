"""A flow as a sensor on the wire recorded it, whichever sensor that was."""

from dataclasses import dataclass
from typing import Literal

from app.detection.behaviour import Transport

#: What an operator may call a sensor.
SENSOR_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"

Tool = Literal["zeek", "suricata"]
Address = tuple[str, int]  #: address in canonical text, port


@dataclass(frozen=True, slots=True)
class FlowRecord:
    """One flow with everything that its sensor's logs said of it, e.g. Zeek's conn, ssl, http and analyzer lines."""

    tool: Tool
    sensor: str  #: name that the operator gave the sensor; its clock and its view are its own
    flow_id: str  #: Zeek's uid, Suricata's flow_id; unique within a sensor
    started_at: float  #: unix seconds by the sensor's clock
    transport: Transport
    origin: Address
    responder: Address
    community_id: str = ""  #: computed where the sensor did not write it
    duration: float | None = None  #: seconds
    services: frozenset[str] = frozenset()  #: application protocols that the sensor recognised, lower case: tls, http
    failed_services: frozenset[str] = frozenset()  #: tried and given up; Suricata's `failed` is one of them
    violations: tuple[str, ...] = ()  #: `PROTOCOL: what was wrong`, from analyzer.log, dpd.log, Suricata's app-layer
    tls_version: str = ""
    server_name: str = ""
    state: str = ""  #: Zeek's conn_state, Suricata's flow.state
    bytes_out: int | None = None  #: payload from origin to responder; None: not counted
    bytes_in: int | None = None
    packets_out: int | None = None
    packets_in: int | None = None
    one_sided: bool = False  #: the sensor saw one direction only, so that no service means nothing
