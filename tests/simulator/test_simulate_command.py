import pytest

from app.problems import InvalidRequest
from app.simulator.connection import ServerAddress
from app.simulator.scenario import scenario
from app.simulator.simulate_command import secrets_by_role, simulate_command

SMOKE = scenario("smoke")
FIRST, SECOND = SMOKE.roles


def test_one_secret_serves_every_role() -> None:
    assert secrets_by_role(["only=one"], SMOKE) == {FIRST: "only=one", SECOND: "only=one"}


def test_each_role_may_have_its_own_and_one_may_serve_the_rest() -> None:
    assert secrets_by_role([f"{FIRST}=a=b", f"{SECOND}=c"], SMOKE) == {FIRST: "a=b", SECOND: "c"}
    assert secrets_by_role([f"{FIRST}=a", "rest"], SMOKE) == {FIRST: "a", SECOND: "rest"}


def test_a_role_without_a_secret_is_named() -> None:
    with pytest.raises(InvalidRequest, match=SECOND):
        secrets_by_role([f"{FIRST}=a"], SMOKE)


def test_an_unknown_scenario_is_answered_with_those_there_are() -> None:
    with pytest.raises(InvalidRequest, match="demo, quiet, smoke, load"):
        simulate_command(
            ServerAddress("http://portbook.test"), ["x"], scenario="none", nodes=None, poll_seconds=1, concurrency=1
        )
