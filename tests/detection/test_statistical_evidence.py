from dataclasses import replace

import pytest

from app.detection.behaviour import Direction
from app.detection.context import Signer, Trust
from app.detection.deviation import Severity
from app.detection.judgement import judge
from app.detection.knobs import Knobs
from app.detection.standing import Tally
from tests.detection.worked import CHROME, GOOGLE, MICROSOFT, SVCHOST, behaviour, context, standing

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
