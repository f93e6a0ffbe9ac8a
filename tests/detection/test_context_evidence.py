from dataclasses import replace

import pytest

from app.detection.behaviour import Direction, Transport
from app.detection.context import Signer, Trust
from app.detection.deviation import Severity
from app.detection.judgement import judge
from app.detection.knobs import Knobs
from app.detection.standing import Tally
from tests.detection.worked import MICROSOFT, SVCHOST, UNSIGNED, behaviour, context, standing

ZOOM, ZOOM_SIGNED = (
    r"C:\Users\bob\AppData\Roaming\Zoom\bin\Zoom.exe",
    Signer(Trust.TRUSTED, "Zoom Communications, Inc."),
)
APPLE = Signer(Trust.TRUSTED, "Software Signing")
FLEET = {"everything": (6000, 199), "days": 30}


def reasons(what, signer=MICROSOFT, known=None):
    return {each.reason: each.points for each in judge(what, context(signer), known or standing(), Knobs()).evidence}


@pytest.mark.parametrize(
    ("what", "signer"),
    [
        (behaviour(ZOOM, 8801), ZOOM_SIGNED),
        (behaviour("/Applications/zoom.us.app/Contents/MacOS/zoom.us", 3478, transport=Transport.UDP), Signer()),
        (behaviour(r"C:\Program Files\WindowsApps\MSTeams\ms-teams.exe", 3479), MICROSOFT),
        (behaviour(r"C:\Windows\System32\sppsvc.exe", 1688), MICROSOFT),
        (behaviour(r"C:\Windows\CCM\CcmExec.exe", 10123), MICROSOFT),
        (behaviour("/System/Library/PrivateFrameworks/ApplePushService.framework/apsd", 5223), APPLE),
        (behaviour("/usr/sbin/mDNSResponder", 53), APPLE),
        (behaviour("/Applications/Spotify.app/Contents/MacOS/Spotify", 4070), Signer()),
    ],
)
def test_a_port_that_the_maker_documents_is_expected(what, signer):
    assert reasons(what, signer)["expected_port"] == -30


@pytest.mark.parametrize(
    ("what", "signer"),
    [
        (behaviour(ZOOM, 8801), Signer()),  # where anybody could have put it
        (behaviour(r"C:\Program Files\Zoom\zoom.exe", 8801), UNSIGNED),
        (behaviour(ZOOM, 4444), ZOOM_SIGNED),
        (behaviour(r"C:\Users\bob\sppsvc.exe", 1688), Signer()),
    ],
)
def test_no_port_is_expected_of_a_disguise(what, signer):
    assert "expected_port" not in reasons(what, signer)


def test_a_rolled_out_program_on_its_documented_port_raises_no_alert():
    first = judge(behaviour(ZOOM, 8801), context(ZOOM_SIGNED), standing(**FLEET), Knobs())
    assert not first.severity.reaches(Severity.MEDIUM)


@pytest.mark.parametrize("nodes", [5, 20, 60, 200, 10_000])
def test_who_injects_into_windows_update_does_not_hide_behind_its_ports(nodes):
    known = standing(program=(nodes * 30, nodes), everything=(nodes * 30, nodes), ports=3)
    update = behaviour(SVCHOST, 8531, unit="wuauserv")
    assert judge(update, context(), known, Knobs()).score >= 40
    poisoned = replace(known, behaviour=Tally(20, 2), platform_behaviour=Tally(20, 2), own_days=9)
    assert judge(update, context(), poisoned, Knobs()).score >= 40


def test_a_service_new_to_its_role_is_expected_where_the_platform_vouches():
    update = behaviour(SVCHOST, 8531, unit="wuauserv")
    known = standing(program=(40, 2), everything=(40, 2), ports=2, days=20)
    widely = replace(known, platform_behaviour=Tally(660, 33), platform_everything=Tally(760, 38))
    assert reasons(update, known=widely)["expected_port"] == -30
    assert judge(update, context(), widely, Knobs()).severity is Severity.NONE


@pytest.mark.parametrize(
    "path",
    [
        "/sbin/launchd",
        "/System/Library/CoreServices/RemoteManagement/ARDAgent.app/Contents/MacOS/ARDAgent",
        "/System/Library/CoreServices/ControlCenter.app/Contents/MacOS/ControlCenter",
        "/usr/sbin/smbd",
        "/usr/sbin/AppleFileServer",
    ],
)
@pytest.mark.parametrize("port", [22, 445, 548, 3283, 5000, 5900, 7000])
def test_apple_having_signed_a_listener_exempts_nothing(path, port):
    found = reasons(behaviour(path, port, direction=Direction.LISTENING), APPLE)
    assert not {"expected_port", "known_vendor", "user_driven"} & found.keys()


@pytest.mark.parametrize("port", [3389, 5985, 5986])
def test_a_remote_login_is_an_expected_port_only_where_peers_show_it(port):
    remote = behaviour(SVCHOST, port, direction=Direction.LISTENING)
    assert "expected_port" not in reasons(remote, known=standing(**FLEET))
    assert reasons(remote, known=replace(standing(**FLEET), behaviour=Tally(300, 20)))["expected_port"] == -30
    elsewhere = replace(standing(**FLEET), platform_behaviour=Tally(300, 20), platform_everything=Tally(6000, 199))
    assert "expected_port" not in reasons(remote, known=elsewhere)
