from dataclasses import replace

import pytest

from app.detection.behaviour import Direction
from app.detection.deviation import Severity
from app.detection.evidence import Case
from app.detection.judgement import judge
from app.detection.knobs import Knobs
from app.detection.standing import Tally
from app.detection.vouching import too_few_to_vouch, vouched_for
from tests.detection.worked import CHROME, MICROSOFT, SVCHOST, UNSIGNED, behaviour, context, standing

TOOL = r"C:\Program Files\Tool\tool.exe"


def case(what, signer=MICROSOFT, *, seen=0, own_days=0, nodes=199, **more):
    known = standing(seen=(seen, seen), everything=(nodes * 30, nodes), own_days=own_days)
    return Case(what, context(signer), replace(known, **more), Knobs())


@pytest.mark.parametrize(
    ("what", "signer", "seen", "too_few"),
    [
        (behaviour(SVCHOST, 8531), MICROSOFT, 0, False),  # nothing to leave out
        (behaviour(SVCHOST, 8531), MICROSOFT, 9, True),
        (behaviour(SVCHOST, 8531), MICROSOFT, 10, False),  # 5 % of 199
        (behaviour(TOOL, 8531), UNSIGNED, 49, True),
        (behaviour(TOOL, 8531), UNSIGNED, 50, False),  # 25 %
        (behaviour(TOOL, 8531), MICROSOFT, 1, False),
        (behaviour(SVCHOST, 443), MICROSOFT, 1, False),  # a port that is nothing special
        (behaviour(CHROME, 8531), MICROSOFT, 1, False),
    ],
)
def test_only_many_nodes_vouch_for_what_an_attacker_could_have_done(what, signer, seen, too_few):
    assert too_few_to_vouch(case(what, signer, seen=seen)) is too_few


def test_a_node_never_vouches_for_itself():
    assert too_few_to_vouch(case(behaviour(SVCHOST, 8531), own_days=25))


@pytest.mark.parametrize(("everywhere", "vouched"), [(Tally(660, 33), True), (Tally(2, 2), False)])
def test_the_platform_vouches_for_a_role_of_three_nodes(everywhere, vouched):
    update = behaviour(SVCHOST, 8531, unit="wuauserv")
    platform = {"platform_behaviour": everywhere, "platform_everything": Tally(760, 38)}
    controller = case(update, seen=2, nodes=2, **platform)
    assert (vouched_for(controller), too_few_to_vouch(controller)) == (vouched, not vouched)


def test_what_every_other_role_does_raises_no_alert_in_a_small_one():
    update = behaviour(SVCHOST, 8531, unit="wuauserv")
    known = standing(
        seen=(40, 2), program=(76, 2), port=(40, 2), everything=(80, 2), ports=2, days=40, peers="domain-controller"
    )
    widely = replace(known, platform_behaviour=Tally(660, 33), platform_everything=Tally(760, 38))
    assert judge(update, context(), widely, Knobs()).severity is Severity.NONE
    alone = replace(known, platform_behaviour=Tally(40, 2), platform_everything=Tally(760, 38))
    assert judge(update, context(), alone, Knobs()).severity is Severity.HIGH


def test_listeners_of_the_system_vouch_as_its_connections_do():
    listener = behaviour(SVCHOST, 7777, direction=Direction.LISTENING)
    assert not too_few_to_vouch(case(listener, seen=1))  # who injects code connects out
