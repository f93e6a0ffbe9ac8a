from collections import Counter
from datetime import UTC, datetime

import pytest
from test_life import columns_of, told

from app.simulator.plants import Plant, stories
from app.simulator.scenario import scenario

NOW = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)
DEMO = scenario("demo")


Added = tuple[object, ...]


def added(lines: list[dict[str, object]]) -> list[Added]:
    """Direction, program and port of each row that was added to a network query; then node and time."""
    return [
        (
            str(line["name"]).rpartition("/")[2],
            row["proc_name"],
            int(row.get("remote_port", row["local_port"])),
            line["hostIdentifier"],
            int(str(line["unixTime"])),
        )
        for line in lines
        if line["action"] == "added" and "_network/" in str(line["name"])
        for row in columns_of(line)
    ]


def is_ambiguous(plant: Plant) -> bool:
    """The swapped program speaks on its usual port: only its signature tells."""
    return plant.name == "signer-changed"


@pytest.fixture(scope="module")
def lines() -> list[dict[str, object]]:
    return told("demo")


@pytest.fixture(scope="module")
def of_the_demo(lines: list[dict[str, object]]) -> list[Added]:
    return added(lines)


@pytest.mark.parametrize("plant", [plant for plant in DEMO.plants if not is_ambiguous(plant)], ids=lambda p: p.name)
def test_a_plant_is_seen_exactly_once_on_its_node_in_the_last_hours(plant: Plant, of_the_demo: list[Added]) -> None:
    seen = [row[3:] for row in of_the_demo if row[:3] == (plant.direction, plant.program, plant.port)]

    assert [node for node, _ in seen] == [plant.host_identifier]
    assert NOW.timestamp() - 4 * 3600 <= int(str(seen[0][1])) <= NOW.timestamp()


def test_the_swapped_program_differs_in_its_signature_alone(lines: list[dict[str, object]]) -> None:
    subjects = Counter(
        (row["subject_name"], row["sign_status"])
        for line in lines
        if line["name"] == "pack/windows_context/signatures"
        for row in columns_of(line)
        if row["path"].endswith("OneDrive.exe")
    )

    assert len(subjects) == 2
    assert subjects["Contoso Update Signing", "untrusted"] == 1


def test_remote_desktop_leaves_its_port_as_it_takes_another(lines: list[dict[str, object]]) -> None:
    plant = next(plant for plant in DEMO.plants if plant.name == "rdp-moved")
    today = [
        (line["action"], row["local_port"], row["protocol"])
        for line in lines
        if line["name"] == "pack/windows_network/listening" and line["hostIdentifier"] == plant.host_identifier
        for row in columns_of(line)
        if row["service_names"] == "TermService" and int(str(line["unixTime"])) > NOW.timestamp() - 86_400
    ]

    assert ("removed", "3389", "6") in today
    assert ("added", "3390", "6") in today


def test_benign_life_has_no_plant() -> None:
    quiet = told("quiet", nodes=30)
    seen = {row[:3] for row in added(quiet)}

    assert not any(
        (plant.direction, plant.program, plant.port) in seen for plant in DEMO.plants if not is_ambiguous(plant)
    )
    assert not any("Contoso Update Signing" in row.values() for line in quiet for row in columns_of(line))


def test_all_stories_are_planted_on_different_nodes_and_both_analytics_are_there() -> None:
    assert {plant.name for plant in DEMO.plants} == set(stories())
    assert len({plant.node for plant in DEMO.plants}) == len(DEMO.plants)
    assert {plant.analytic for plant in DEMO.plants} == {"AN0633", "AN0635"}


def test_a_fleet_without_the_role_gets_no_plant_of_it() -> None:
    one = scenario("demo", nodes=1)

    assert {plant.role for plant in one.plants} <= {node.role for node in one.fleet}
