from collections import Counter
from datetime import UTC, datetime

import pytest

from app.simulator import life
from app.simulator.profiles import platforms, profile
from app.simulator.scenario import SCENARIOS, scenario

NOW = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)


def test_every_scenario_can_be_made_with_any_number_of_nodes() -> None:
    for name in SCENARIOS:
        assert scenario(name, nodes=3).nodes == 3
        assert len(scenario(name, nodes=3).fleet) == 3


def test_an_unknown_scenario_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        scenario("nothing")


def test_a_fleet_has_every_role_and_no_identity_twice() -> None:
    members = scenario("demo").fleet

    assert set(Counter(node.role for node in members)) == {
        "office-laptop",
        "build-server",
        "file-server",
        "domain-controller",
        "design-mac",
        "developer-mac",
    }
    for name in ("host_identifier", "hostname", "instance_id"):
        assert len({getattr(node.identity, name) for node in members}) == 60
    assert len({node.address for node in members}) == 60


def test_some_windows_nodes_pad_their_processor_with_nuls_and_no_mac_does() -> None:
    padded = {
        node.identity.platform for node in scenario("demo").fleet if "\0" in node.identity.system_info["cpu_brand"]
    }

    assert padded == {"windows"}


def test_the_demo_stays_within_150_000_rows() -> None:
    play = scenario("demo")
    rows = sum(
        len(life.logged(node, day, config_hash="h").results) for day in play.days_until(NOW) for node in play.fleet
    )

    assert 100_000 < rows < 150_000


@pytest.mark.parametrize("platform", platforms())
def test_profiles_name_only_what_they_define(platform: str) -> None:
    facts = profile(platform)

    for program in facts.programs.values():
        assert program.signer in facts.signers or not program.signer
        assert set(program.services) <= set(facts.services)
        assert program.label in facts.jobs or not program.label
    used = {key for role in facts.roles.values() for key in role.programs}
    assert used == set(facts.programs)
