from dataclasses import replace

import pytest

from app.detection.behaviour import Direction, Transport
from app.detection.context import Signer, Trust
from app.detection.deviation import Severity
from app.detection.judgement import judge
from app.detection.knobs import Knobs
from app.detection.protocols import own_protocols, protocol
from app.detection.surroundings import Surroundings
from tests.detection.worked import CHROME, GOOGLE, MICROSOFT, SVCHOST, UNSIGNED, a_flow, behaviour, context, standing

AGENT = r"C:\Program Files\Acme\agent.exe"
ACME = Signer(Trust.TRUSTED, "Acme GmbH")
SSH = r"C:\Windows\System32\OpenSSH\ssh.exe"
TLS, HTTP = {"services": frozenset({"tls"})}, {"services": frozenset({"http"})}
NOTHING_SEEN = frozenset({"dns"})


def flow_lines(port, path=AGENT, signer=ACME, known=None, *, transport=Transport.TCP, **facts):
    around = a_flow(port, transport=transport, **facts)
    what = behaviour(path, port, transport=transport)
    deviation = judge(what, context(signer), known or standing(), Knobs(), around)
    return {each.reason: each.points for each in deviation.evidence if each.reason.startswith("flow_")}


@pytest.mark.parametrize(
    ("port", "facts", "lines"),
    [
        (6666, TLS, {"flow_tls_elsewhere": 30}),
        (8080, {"tls_version": "TLSv12"}, {"flow_tls_elsewhere": 30}),
        (4433, TLS, {"flow_tls_elsewhere": 30}),
        (80, TLS, {"flow_tls_elsewhere": 30}),
        (22, TLS, {"flow_tls_elsewhere": 30}),
        (50_443, TLS, {"flow_tls_elsewhere": 30}),
        (443, {}, {"flow_without_tls": 30}),
        (993, {}, {"flow_without_tls": 30}),
        (443, HTTP, {"flow_without_tls": 30}),
        (443, HTTP | {"packets_in": 4}, {"flow_http_elsewhere": 25}),
        (443, {"bytes_out": None, "bytes_in": None}, {"flow_without_tls": 30}),  # Suricata counts no payload
        (1177, HTTP, {"flow_http_elsewhere": 25}),
        (14146, HTTP, {"flow_http_elsewhere": 25}),
        (2222, {"services": frozenset({"ssh"})}, {"flow_ssh_elsewhere": 30}),
        (8080, {"violations": ("HTTP: not a http reply line",)}, {"flow_violation": 15}),
        (6667, {"violations": ("IRC: invalid reply number",)}, {"flow_violation": 15}),
        (80, {"failed_services": frozenset({"failed"})}, {"flow_failed": 10}),
        (80, {"violations": ("HTTP: APPLAYER_MISMATCH_PROTOCOL_BOTH_DIRECTIONS",)}, {"flow_failed": 10}),
        (5888, {"attempts": 3}, {"flow_attempts": 5}),
        (8080, TLS | {"violations": ("HTTP: odd",), "attempts": 9}, {"flow_tls_elsewhere": 30, "flow_violation": 15}),
    ],
)
def test_a_protocol_that_does_not_fit_its_port_is_scored(port, facts, lines):
    assert flow_lines(port, **facts) == lines


@pytest.mark.parametrize(
    ("port", "facts"),
    [
        *[(port, TLS) for port in (443, 8443, 853, 5223, 8883, 7443)],  # IANA: oracleas-https
        *[(port, TLS) for port in (25, 587, 389, 1433, 3389, 5432)],  # STARTTLS
        (8080, {"services": frozenset({"http", "tls"})}),  # CONNECT
        (1080, {"services": frozenset({"socks", "tls"})}),
        *[(port, HTTP) for port in (80, 8080, 5985, 8530, 8008)],
        (22, {"services": frozenset({"ssh"})}),
        (443, {"packets_out": 5}),
        (443, {"bytes_in": 0}),
        (443, {"services": frozenset({"stun"})}),
        (27_015, {"failed_services": frozenset({"failed"})}),  # nobody knows what would fit
        (80, {"failed_services": frozenset({"failed"}), "one_sided": True}),
        (389, {"violations": ("LDAP_TCP: odd",)}),  # what SASL encrypts
        (389, {"failed_services": frozenset({"failed"})}),
        (123, {"violations": ("NTP: out of bound",)}),  # Windows' own NTP breaks Zeek's parser
        (5888, {"attempts": 2}),
    ],
)
def test_what_is_usual_on_a_port_is_said_without_points(port, facts):
    assert list(flow_lines(port, **facts).values()) == [0]


@pytest.mark.parametrize(
    ("port", "service"), [(443, "quic"), (3478, "stun"), (19_302, "stun"), (50_010, "dtls"), (443, "")]
)
def test_meetings_and_quic_are_normal(port, service):
    services = frozenset({service} - {""})
    assert list(flow_lines(port, CHROME, GOOGLE, transport=Transport.UDP, services=services).values()) == [0]


def test_a_capture_of_one_side_says_that_it_proves_nothing():
    assert flow_lines(443, one_sided=True) == {"flow_one_sided": 0}
    assert flow_lines(8080, one_sided=True, **TLS) == {"flow_tls_elsewhere": 30}  # what it did see counts


def test_a_sensor_that_never_reported_tls_is_no_witness_of_its_absence():
    assert flow_lines(443, sees=NOTHING_SEEN) == {"flow_unnamed": 0}
    text = said(443, sees=NOTHING_SEEN)
    assert "it never reported TLS or HTTP or violations anywhere" in text


def test_ssh_off_its_port_is_milder_of_an_ssh_client():
    ssh = {"services": frozenset({"ssh"})}
    assert flow_lines(2222, SSH, MICROSOFT, **ssh) == {"flow_ssh_elsewhere": 10}
    assert flow_lines(2222, r"C:\Users\bob\ssh.exe", Signer(), **ssh) == {"flow_ssh_elsewhere": 30}


@pytest.mark.parametrize("facts", [TLS, HTTP])
def test_on_a_port_that_is_nobodys_a_users_own_choice_is_no_mismatch(facts):
    assert set(flow_lines(10_444, CHROME, GOOGLE, **facts).values()) == {0}
    assert set(flow_lines(10_444, CHROME, UNSIGNED, **facts).values()) <= {25, 30}
    for port in (6667, 445, 23):  # those have protocols of their own
        assert set(flow_lines(port, CHROME, GOOGLE, **facts).values()) <= {25, 30}


def test_what_a_quarter_of_the_peers_do_on_a_port_that_is_nobodys_is_no_news():
    known = standing(seen=(900, 60), program=(900, 60), everything=(6000, 199))
    assert flow_lines(9444, known=known, **TLS) == {"flow_tls_elsewhere": 0}
    assert flow_lines(9444, known=replace(known, everything=replace(known.everything, nodes=600)), **TLS) == {
        "flow_tls_elsewhere": 30
    }
    assert flow_lines(8080, known=known, **TLS) == {"flow_tls_elsewhere": 30}  # that one is HTTP's


def test_a_documented_port_is_no_mismatch_for_its_program():
    zoom = r"C:\Program Files\Zoom\bin\Zoom.exe"
    assert flow_lines(8801, zoom, Signer(Trust.TRUSTED, "Zoom Communications, Inc."), **TLS) == {
        "flow_tls_elsewhere": 0
    }


def test_a_documented_port_is_no_excuse_when_another_protocol_is_spoken_there():
    update = behaviour(SVCHOST, 443, unit="wuauserv")
    known = standing(seen=(6000, 199), program=(6000, 199), port=(6000, 199), everything=(6000, 199), ports=3)
    usual, odd = (judge(update, context(), known, Knobs(), each) for each in (a_flow(443, **TLS), a_flow(443)))
    assert ("expected_port" in reasons(usual), "expected_port" in reasons(odd)) == (True, False)
    assert (usual.severity, odd.severity) == (Severity.NONE, Severity.LOW)


def reasons(deviation):
    return {each.reason for each in deviation.evidence}


def test_a_join_that_is_not_firm_adds_little_and_says_so():
    facts = TLS | {"violations": ("HTTP: odd",)}
    assert flow_lines(8080, is_firm=False, **facts) == {"flow_tls_elsewhere": 15, "flow_violation": 0}
    assert "a weaker join" in said(8080, is_firm=False, **TLS)


def said(port, **facts):
    deviation = judge(behaviour(AGENT, port), context(ACME), standing(), Knobs(), a_flow(port, **facts))
    return next(each.text for each in deviation.evidence if each.reason.startswith("flow_"))


def test_a_sentence_names_what_an_analyst_needs_to_look_it_up():
    assert said(443) == (
        "Zeek on dmz-1 saw no TLS in 34 packets both ways on port 443 (flow CwSL8u, joined by Community ID,"
        " clocks 19.0 h apart)."
    )
    assert said(8080, tls_version="TLSv12", skew_seconds=-12.0) == (
        "Zeek on dmz-1 saw TLS (TLSv12) on port 8080, where HTTP belongs (flow CwSL8u, joined by Community ID,"
        " times 12 s apart)."
    )


def test_what_a_peer_wrote_stays_short_and_on_its_line():
    text = said(8080, violations=("HTTP: " + "x\n" * 400,))
    assert "\n" not in text
    assert len(text) < 400


def test_the_most_telling_of_several_flows_speaks():
    around = Surroundings(flows=a_flow(8080, **HTTP).flows + a_flow(8080, **TLS).flows)
    found = judge(behaviour(AGENT, 8080), context(ACME), standing(), Knobs(), around)
    assert "flow_tls_elsewhere" in reasons(found)


def test_a_listener_is_not_judged_by_its_callers_flows():
    what = behaviour(AGENT, 8080, direction=Direction.LISTENING)
    assert not [
        each for each in reasons(judge(what, context(ACME), standing(), Knobs(), a_flow(8080, **TLS))) if "flow" in each
    ]


def test_blind_spots_name_the_flow_log_only_where_no_flow_was_joined():
    what = behaviour(AGENT, 8080)
    alone, seen = (
        judge(what, context(ACME), standing(), Knobs(), each).evidence[-1].text
        for each in (Surroundings(), a_flow(8080, server_name="a.example"))
    )
    assert "flow log for this connection; bytes; name of the peer" in alone
    assert not any(word in seen for word in ("flow log", "bytes", "name of the peer"))


def test_ports_have_their_own_protocols():
    assert [each.key for each in own_protocols(443)] == ["tls"]
    assert [each.key for each in own_protocols(8080)] == ["http"]
    assert own_protocols(27_015) == ()
    assert not {22, 80, 6666} & protocol("tls").ports
