"""What a sensor on the wire saw of a connection: facts that flow evidence is made of."""

from dataclasses import dataclass

from app.detection.behaviour import Transport


@dataclass(frozen=True, slots=True)
class FlowFacts:
    """One flow that was joined with a connection of the judged behaviour."""

    tool: str  #: zeek or suricata
    sensor: str
    flow_id: str
    transport: Transport
    port: int  #: of the peer
    joined_by: str  #: in words, e.g. `Community ID`
    skew_seconds: float  #: sensor's clock minus the node's, as this join shows it
    is_firm: bool  #: whether no other connection could be meant; a join that is not firm says less
    services: frozenset[str] = frozenset()  #: application protocols that the sensor recognised, lower case
    failed_services: frozenset[str] = frozenset()  #: tried and given up
    violations: tuple[str, ...] = ()  #: `PROTOCOL: what was wrong`
    tls_version: str = ""
    server_name: str = ""
    packets_out: int | None = None
    packets_in: int | None = None
    bytes_out: int | None = None  #: payload
    bytes_in: int | None = None
    one_sided: bool = False  #: the sensor saw one direction only, so that no service means nothing
    attempts: int = 0  #: flows to this peer and port that nobody answered
    sees: frozenset[str] = frozenset()  #: protocols that the sensor was ever seen to recognise, and `violations`

    @property
    def has_tls(self) -> bool:
        return bool(self.tls_version) or bool(self.services & {"tls", "ssl"})
