"""Program, transport and port that do not fit together, told from the agent's rows alone."""

import pytest

from app.detection.behaviour import Direction, Transport
from app.detection.judgement import judge
from app.detection.knobs import Knobs
from tests.detection.worked import CHROME, SVCHOST, behaviour, context, standing

TCP, UDP = Transport.TCP, Transport.UDP
TOOL = r"C:\Program Files\Tool\tool.exe"
WORD = r"C:\Program Files\Microsoft Office\root\Office16\WINWORD.EXE"
OUTLOOK = r"C:\Program Files\Microsoft Office\root\Office16\OUTLOOK.EXE"
PLINK, MSTSC = r"C:\Tools\plink.exe", r"C:\Windows\System32\mstsc.exe"
LSASS = r"C:\Windows\System32\lsass.exe"


def lines(what):
    return {each.reason: each.points for each in judge(what, context(), standing(), Knobs()).evidence}


@pytest.mark.parametrize(
    ("port", "transport"),
    [
        *[(port, UDP) for port in (22, 25, 110, 143, 587, 993, 5432, 5900, 5985)],
        *[(port, TCP) for port in (67, 68, 123, 500, 1900, 4500, 5353)],
    ],
)
def test_a_service_of_the_other_transport_is_a_mild_mismatch(port, transport):
    assert lines(behaviour(TOOL, port, transport=transport))["wrong_transport"] == 10


@pytest.mark.parametrize(
    ("port", "transport"), [(3389, UDP), (3478, TCP), (443, UDP), (53, TCP), (22, TCP), (123, UDP), (51_820, UDP)]
)
def test_what_uses_both_transports_is_none(port, transport):
    assert "wrong_transport" not in lines(behaviour(TOOL, port, transport=transport))


@pytest.mark.parametrize(
    ("path", "ports", "points"),
    [
        (CHROME, (22, 25, 6667), 25),
        ("/Applications/Safari.app/Contents/MacOS/Safari", (22, 25, 6667), 25),
        (OUTLOOK, (22, 3389, 6667), 25),
        (OUTLOOK, (8443,), 10),
        (WORD, (25, 587, 3389, 5900, 6667), 25),
        (WORD, (8088,), 10),
        (PLINK, (53, 80, 443, 3389), 45),
        ("/usr/bin/ssh", (53, 80, 443), 45),
        (MSTSC, (4444, 8080), 25),
    ],
)
def test_a_program_off_the_ports_of_its_kind_is_a_mismatch(path, ports, points):
    assert {lines(behaviour(path, port))["port_belies_program"] for port in ports} == {points}


@pytest.mark.parametrize(
    ("path", "ports"),
    [
        (CHROME, (80, 443, 8080, 8443)),
        (OUTLOOK, (25, 110, 143, 443, 465, 587, 993, 995, 389, 636, 5061)),
        (WORD, (80, 443, 445, 50_000)),
        (PLINK, (22, 2222)),
        (MSTSC, (3389, 3391, 443)),
    ],
)
def test_a_program_on_the_ports_of_its_kind_is_none(path, ports):
    assert not [port for port in ports if "port_belies_program" in lines(behaviour(path, port))]


@pytest.mark.parametrize(
    ("path", "unit", "port", "points"),
    [
        (SVCHOST, "termservice", 3390, 45),
        (SVCHOST, "winrm", 8080, 45),
        (r"C:\Windows\System32\OpenSSH\sshd.exe", "", 2222, 45),
        ("/usr/sbin/sshd", "", 2222, 45),
        ("/usr/libexec/sshd-keygen-wrapper", "com.openssh.sshd", 443, 45),
        (
            "/System/Library/CoreServices/RemoteManagement/screensharingd.bundle/Contents/MacOS/screensharingd",
            "",
            5901,
            45,
        ),
        (r"C:\Windows\System32\FXSSVC.exe", "", 9299, 25),
        (r"C:\Windows\System32\spoolsv.exe", "", 8080, 25),
        (LSASS, "", 7777, 25),
    ],
)
def test_a_service_that_listens_off_its_ports_is_a_mismatch(path, unit, port, points):
    found = lines(behaviour(path, port, unit=unit, direction=Direction.LISTENING))
    assert found["port_belies_program"] == points


@pytest.mark.parametrize(
    ("path", "unit", "ports"),
    [
        (SVCHOST, "termservice", (3389,)),
        (SVCHOST, "winrm", (5985, 5986, 47_001)),
        (SVCHOST, "dnscache", (3390,)),
        ("/usr/sbin/sshd", "", (22,)),
        (LSASS, "", (88, 389, 464, 636, 3268, 3269, 49_664)),
        (r"C:\Windows\System32\spoolsv.exe", "", (49_670,)),
    ],
)
def test_a_service_that_listens_where_it_belongs_is_none(path, unit, ports):
    listening = [behaviour(path, port, unit=unit, direction=Direction.LISTENING) for port in ports]
    assert not [what.bucket for what in listening if "port_belies_program" in lines(what)]


def test_a_service_on_its_own_port_is_no_mismatch_for_who_connects_to_it():
    assert "port_belies_program" not in lines(behaviour(SVCHOST, 3390, unit="termservice"))
