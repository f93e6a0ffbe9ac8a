import pytest

from app.detection.behaviour import Direction, Transport
from app.detection.direction import way_of

TCP, UDP = Transport.TCP, Transport.UDP
OUT, IN = Direction.OUTBOUND, Direction.LISTENING


@pytest.mark.parametrize(
    ("why", "transport", "local", "remote", "listening", "way"),
    [
        ("a client reaches a server", TCP, 51000, 443, False, (OUT, 443)),
        ("a client reaches a server at the border of the ranges", TCP, 49152, 49151, False, (OUT, 49151)),
        ("a client hits a server here", TCP, 445, 51000, False, (IN, 445)),
        ("a Linux client hits a server here", TCP, 445, 40000, False, (IN, 445)),
        ("a listener's connection is inbound", TCP, 3389, 50000, True, (IN, 3389)),
        ("a client behind NAT reaches a listener", TCP, 443, 2345, True, (IN, 443)),
        (
            "a source port bound to a listener's number does not hide a well-known service",
            TCP,
            443,
            80,
            True,
            (OUT, 80),
        ),
        ("a client whose port another socket listens on", TCP, 50123, 8080, True, (OUT, 8080)),
        ("an RPC client reaches a dynamic listener", TCP, 49664, 50000, True, (IN, 49664)),
        ("a Linux client reaches a dynamic listener", TCP, 49664, 40000, True, (IN, 49664)),
        ("two dynamic ports and no listener", TCP, 50001, 50002, False, (OUT, 50002)),
        ("two low ports and no listener", TCP, 1024, 1024, False, (OUT, 1024)),
        ("time servers speak from the port they listen on", UDP, 123, 123, False, (IN, 123)),
        ("a time client has a port of its own", UDP, 51000, 123, False, (OUT, 123)),
        ("no local port reported", TCP, 0, 4444, False, (OUT, 4444)),
        ("no remote port reported", TCP, 51000, 0, False, None),
    ],
)
def test_ports_tell_who_opened_a_connection(why, transport, local, remote, listening, way):
    assert way_of(transport, local, remote, local_port_listening=listening) == way, why
