from dataclasses import replace

import pytest

from app.detection.behaviour import Direction
from app.detection.context import Signer, Trust
from app.detection.deviation import Severity
from app.detection.judgement import judge
from app.detection.knobs import Knobs
from app.detection.standing import Tally
from tests.detection.worked import CHROME, GOOGLE, MICROSOFT, SVCHOST, UNSIGNED, behaviour, context, standing

APPLE = Signer(Trust.TRUSTED, "Software Signing")
ARRIVALS = standing(everything=(6000, 199), days=30, new_programs_per_day=3)


def lines(what, signer, known):
    return {each.reason: each for each in judge(what, context(signer), known, Knobs()).evidence}


def test_the_rate_of_new_ports_is_said_of_rare_ports_too():
    known = standing(seen=(2, 2), program=(6000, 190), port=(2, 2), ports=60, once=25, everything=(6000, 199), days=30)
    found = lines(behaviour(CHROME, 8888), GOOGLE, known)
    assert "rare for this program: 2 of 6,000 node-days" in found["port_rare_for_program"].text
    assert "about once a day in this fleet, so this is not routine. [damping 0.54]" in found["new_port_rate"].text


def test_nothing_is_said_of_the_rate_where_a_port_is_usual():
    known = standing(
        seen=(3200, 150), program=(6000, 190), port=(3200, 150), ports=60, once=25, everything=(6000, 199), days=30
    )
    assert "new_port_rate" not in lines(behaviour(CHROME, 5228), GOOGLE, known)


@pytest.mark.parametrize("path", [SVCHOST, r"C:\Windows\System32\dllhost.exe", r"C:\Windows\explorer.exe"])
def test_a_program_of_every_host_is_no_newcomer_when_it_first_connects(path):
    assert judge(behaviour(path, 4444), context(), ARRIVALS, Knobs()).severity is Severity.HIGH
    assert judge(behaviour(path, 443), context(), replace(ARRIVALS, port=ARRIVALS.everything), Knobs()).score <= 10


def test_a_new_installed_program_is_one_of_many():
    tool = behaviour(r"C:\Program Files\Tool\tool.exe", 8531)
    assert "A new program appears about 3 times a day" in lines(tool, MICROSOFT, ARRIVALS)["new_program_rate"].text
    assert judge(tool, context(), ARRIVALS, Knobs()).severity is Severity.LOW


@pytest.mark.parametrize("port", [22, 5900])
def test_a_remote_login_that_is_new_to_its_role_alerts_however_many_programs_are_new(port):
    held = behaviour("/sbin/launchd", port, direction=Direction.LISTENING)
    new = replace(ARRIVALS, new_to_role=True, platform_behaviour=Tally(360, 12))
    assert judge(held, context(APPLE), new, Knobs()).severity is Severity.HIGH
    assert "12 nodes of other roles show it" in lines(held, APPLE, new)["usual_elsewhere"].text


def test_a_remote_login_that_the_role_has_everywhere_is_no_finding():
    held = behaviour("/sbin/launchd", 22, direction=Direction.LISTENING)
    usual = standing(seen=(330, 11), program=(330, 11), port=(330, 11), everything=(330, 11), days=30)
    assert judge(held, context(APPLE), usual, Knobs()).severity is Severity.NONE


ZOOM = r"C:\Users\bob\AppData\Roaming\Zoomy\bin\Zoomy.exe"


def a_second_port(path, signer=MICROSOFT, *, program_days, rate=3.0):
    """The program was seen on three nodes with 443, and now shows 8801."""
    known = standing(
        program=(3, 3), port=(0, 0), ports=1, everything=(6000, 199), program_days=program_days,
        new_programs_per_day=rate,
    )  # fmt: skip
    return judge(behaviour(path, 8801), context(signer), known, Knobs())


@pytest.mark.parametrize("path", [ZOOM, r"C:\Program Files\Tool\tool.exe"])
def test_a_young_programs_second_port_weighs_what_its_first_did(path):
    first = judge(behaviour(path, 8801), context(), ARRIVALS, Knobs())
    young, grown = (a_second_port(path, program_days=days) for days in (1, 7))
    assert young.score <= first.score + 2
    assert grown.score > young.score + 20
    said = {each.reason: each.text for each in young.evidence}["young_program"]
    assert "is new itself, known for 1 day of 7 that learning takes; a new program appears about 3 times a day" in said
    assert "[damping 0.25]" in said
    assert "young_program" not in {each.reason for each in grown.evidence}


def test_where_new_programs_are_seldom_a_young_one_is_judged_in_full():
    assert a_second_port(ZOOM, program_days=1, rate=0.0).score == a_second_port(ZOOM, program_days=9, rate=0.0).score


@pytest.mark.parametrize(
    ("path", "signer"),
    [
        (ZOOM, UNSIGNED),
        (ZOOM, Signer()),  # nobody knows who put it there
        (SVCHOST, MICROSOFT),
        (r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe", MICROSOFT),
        (r"C:\Windows\System32\notepad.exe", MICROSOFT),
    ],
)
def test_what_is_no_routine_newcomer_is_never_young(path, signer):
    assert a_second_port(path, signer, program_days=1).score == a_second_port(path, signer, program_days=9).score
