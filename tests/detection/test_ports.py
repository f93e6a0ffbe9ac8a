import pytest

from app.detection.behaviour import Transport
from app.detection.ports import only_transport, port_name

TCP, UDP = Transport.TCP, Transport.UDP


@pytest.mark.parametrize(
    ("port", "transport", "name"),
    [(443, TCP, "https"), (5678, TCP, "rrac"), (53, UDP, "domain"), (4782, TCP, ""), (8801, TCP, ""), (70000, TCP, "")],
)
def test_iana_names_a_port(port, transport, name):
    assert port_name(port, transport) == name


@pytest.mark.parametrize(("port", "only"), [(5900, TCP), (22, TCP), (500, UDP), (53, None), (3389, None), (4782, None)])
def test_some_services_use_one_transport_only(port, only):
    assert only_transport(port) is only
