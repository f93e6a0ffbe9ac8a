"""Tunnels: programs that carry other programs' connections."""

from dataclasses import replace

import pytest

from app.detection.addresses import PeerScope
from app.detection.behaviour import Direction, Platform
from app.detection.context import Signer, Trust, context_of
from app.detection.deviation import Deviation, Severity
from app.detection.history import History
from app.detection.judgement import judge
from app.detection.knobs import Knobs
from app.detection.recognition import recognise
from tests.detection.worked import SVCHOST, UNSIGNED, behaviour, context, standing

FLEET = {"everything": (6000, 199), "days": 30}
PLINK = r"C:\Users\Public\plink.exe"
W3WP = r"C:\Windows\System32\inetsrv\w3wp.exe"


def reasons(deviation: Deviation) -> dict[str, float]:
    return {each.reason: each.points for each in deviation.evidence}


def loopback(path: str, port: int, **columns: str) -> tuple[str, dict[str, str]]:
    pack = "macos" if path.startswith("/") else "windows"
    row = {"proc_path": path, "protocol": "6", "remote_address": "127.0.0.1", "remote_port": str(port)}
    return f"pack/{pack}_network/loopback", row | columns


def test_a_row_of_the_loopback_query_is_a_behaviour_of_its_own_way() -> None:
    query, row = loopback(PLINK, 3389, server_path=SVCHOST)
    found = recognise(query, row)
    assert found is not None
    assert (found.direction, found.port, found.program.name) == (Direction.LOOPBACK, 3389, "plink.exe")
    facts = context_of(query, row, node="PRD01", signer=UNSIGNED)
    assert (facts.peer_scope, facts.server) == (PeerScope.LOOPBACK, SVCHOST)


def test_the_end_of_a_tunnel_alerts_and_names_who_holds_the_port() -> None:
    facts = replace(context(UNSIGNED), peer_scope=PeerScope.LOOPBACK, server=SVCHOST)
    found = judge(behaviour(PLINK, 3389, direction=Direction.LOOPBACK), facts, standing(**FLEET), Knobs())
    assert found.severity is Severity.HIGH
    assert "tunnel_end" in reasons(found)
    assert "loopback_only" not in reasons(found)
    assert any(SVCHOST in each.text for each in found.evidence)


@pytest.mark.parametrize(("path", "port"), [(W3WP, 3389), (W3WP, 445), (PLINK, 22), ("/usr/bin/ssh", 5900)])
def test_what_carries_connections_must_not_reach_administration(path: str, port: int) -> None:
    facts = replace(context(), peer_scope=PeerScope.LOOPBACK)
    known = standing(program=(900, 90), **FLEET)
    found = judge(behaviour(path, port, direction=Direction.LOOPBACK), facts, known, Knobs())
    assert found.severity.reaches(Severity.MEDIUM)


@pytest.mark.parametrize(
    ("path", "port"),
    [(W3WP, 1433), (r"C:\Program Files\Microsoft VS Code\Code.exe", 3000), (r"C:\Program Files\a\a.exe", 3389)],
)
def test_other_pairs_on_one_host_do_not_alert(path: str, port: int) -> None:
    facts = replace(context(), peer_scope=PeerScope.LOOPBACK)
    found = judge(behaviour(path, port, direction=Direction.LOOPBACK), facts, standing(**FLEET), Knobs())
    assert not found.severity.reaches(Severity.LOW)
    assert "loopback_only" in reasons(found)


def test_a_service_that_speaks_to_a_server_from_its_own_port() -> None:
    facts = replace(context(), from_listener=True, local_port="3389")
    what = behaviour(SVCHOST, 443, unit="termservice")
    found = judge(what, facts, standing(program=(900, 90), **FLEET), Knobs())
    assert "from_a_listener" in reasons(found)
    assert "tcp/3389" in next(each.text for each in found.evidence if each.reason == "from_a_listener")


@pytest.mark.parametrize(("scope", "says"), [("any", True), ("specific", True), ("loopback", False)])
def test_a_client_that_listens_for_others_forwards(scope: str, *, says: bool) -> None:
    facts = replace(context(), bind_scope=scope)
    found = judge(behaviour("/usr/bin/ssh", 6379, direction=Direction.LISTENING), facts, standing(**FLEET), Knobs())
    assert ("forwards_a_port" in reasons(found)) is says


def test_a_web_server_that_listens_forwards_nothing() -> None:
    facts = replace(context(), bind_scope="any")
    found = judge(behaviour(W3WP, 8443, direction=Direction.LISTENING), facts, standing(**FLEET), Knobs())
    assert "forwards_a_port" not in reasons(found)


def test_a_port_that_belongs_to_another_program_says_whose_it_is() -> None:
    history, airplay = History(), behaviour("/System/Library/CoreServices/ControlCenter", 5000, direction=LISTENING)
    for number in range(20):
        for day in range(10):
            history.add(f"m{number}", "laptop", day, airplay)
    thief = behaviour("/Library/Tools/airplayd", 5000, direction=LISTENING)
    found = judge(thief, context(), history.standing("m1", "laptop", None, thief), Knobs())
    [says] = [each.text for each in found.evidence if each.reason == "port_of_another"]
    assert says == "On 19 of 19 other nodes tcp/5000 belongs to ControlCenter."
    alone = judge(airplay, context(), history.standing("m1", "laptop", None, airplay), Knobs())
    assert "port_of_another" not in reasons(alone)


LISTENING = Direction.LISTENING


@pytest.mark.parametrize(
    ("path", "signer", "is_one"),
    [
        (r"C:\ProgramData\svchost.exe", UNSIGNED, True),
        (r"C:\Windows\System32\svchost.exe", Signer(), False),
        ("/Users/bob/Library/ControlCenter", Signer(Trust.TRUSTED, "Bob (ABCDE12345)"), True),
        ("/usr/libexec/rapportd", Signer(), False),
        (r"C:\Program Files\a\a.exe", UNSIGNED, False),
    ],
)
def test_who_bears_the_name_of_a_system_program_elsewhere_is_an_impostor(
    path: str, signer: Signer, *, is_one: bool
) -> None:
    platform = Platform.MACOS if path.startswith("/") else Platform.WINDOWS
    found = judge(behaviour(path, 443, platform=platform), context(signer), standing(**FLEET), Knobs())
    assert ("impostor" in reasons(found)) is is_one
