import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import msgspec
import pytest

from app.simulator import life, plants
from app.simulator.scenario import Scenario, scenario

PACKS = Path(__file__).parents[2] / "packs"
NOW = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)

QUERIES = {
    "pack/windows_network/outbound",
    "pack/windows_network/listening",
    "pack/windows_context/signatures",
    "pack/windows_context/services",
    "pack/macos_network/outbound",
    "pack/macos_network/listening",
    "pack/macos_context/signatures",
    "pack/macos_context/launchd",
    "pack/telemetry/heartbeat",
}


@cache
def told(name: str, *, nodes: int | None = None) -> list[dict[str, object]]:
    """All that the nodes of a scenario log, for whoever only reads it."""
    return list(_told(scenario(name, nodes=nodes)))


def _told(play: Scenario) -> Iterator[dict[str, object]]:
    for day in play.days_until(NOW):
        for node in play.fleet:
            hidden = play.plants_on(node) if day.days_ago == 0 else ()
            also = [execution for plant in hidden for execution in plants.executions_of(plant, node, day)]
            for line in life.logged(node, day, config_hash="h", also=also).results:
                yield msgspec.json.decode(line.text)


def columns_of(line: dict[str, object]) -> list[dict[str, str]]:
    return line["snapshot"] if "snapshot" in line else [line["columns"]]  # type: ignore[return-value]


def test_the_same_seed_tells_the_same_story_and_another_a_different_one() -> None:
    first, again, other = (
        b"".join(
            line.text
            for day in play.days_until(NOW)
            for node in play.fleet
            for line in life.logged(node, day, config_hash="h").results
        )
        for play in (scenario("smoke"), scenario("smoke"), scenario("smoke", seed="other"))
    )

    assert first == again
    assert first != other


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_rows_have_the_columns_of_the_packs_examples(name: str) -> None:
    example = json.loads((PACKS / f"{name.removeprefix('pack/')}.examples.jsonl").read_text().splitlines()[0])

    rows = [row for line in told("demo", nodes=6) if line["name"] == name for row in columns_of(line)]

    assert rows
    assert {frozenset(row) for row in rows} == {frozenset(example)}
    assert all(isinstance(value, str) for row in rows for value in row.values())


def test_every_query_is_one_that_the_core_understands() -> None:
    assert {str(line["name"]) for line in told("demo", nodes=6)} == QUERIES


def test_each_epoch_begins_with_a_full_set_and_leaves_no_gap_in_the_counters() -> None:
    counters: dict[tuple[object, ...], dict[int, set[object]]] = defaultdict(lambda: defaultdict(set))
    for line in told("smoke"):
        if "columns" in line:
            numbered = counters[line["hostIdentifier"], line["name"], line["epoch"]]
            numbered[int(str(line["counter"]))].add((line["action"], line["unixTime"]))

    for numbered in counters.values():
        assert sorted(numbered) == list(range(len(numbered)))
        assert {action for action, _ in numbered[0]} == {"added"}
        assert all(len({at for _, at in execution}) == 1 for execution in numbered.values())


def test_only_what_was_added_is_removed() -> None:
    standing: dict[tuple[object, ...], set[str]] = defaultdict(set)
    for line in sorted(told("smoke"), key=lambda line: (line["unixTime"], line["action"])):
        if "columns" not in line:
            continue
        key = (line["hostIdentifier"], line["name"], line["epoch"])
        row = json.dumps(line["columns"], sort_keys=True)
        if line["action"] == "removed":
            assert row in standing[key]
            standing[key].remove(row)
        else:
            standing[key].add(row)


def test_an_execution_never_has_the_same_row_twice() -> None:
    seen: set[tuple[object, ...]] = set()
    for line in told("smoke"):
        if "columns" in line:
            row = json.dumps(line["columns"], sort_keys=True)
            key = (line["hostIdentifier"], line["name"], line["epoch"], line["counter"], line["action"], row)
            assert key not in seen
            seen.add(key)


def test_the_history_ends_now_and_begins_so_many_days_ago() -> None:
    times = [int(str(line["unixTime"])) for line in told("smoke")]

    assert NOW.timestamp() - 10 * 86_400 <= min(times)
    assert NOW.timestamp() - 3600 < max(times) <= NOW.timestamp()


def test_versions_and_users_differ_between_paths_of_one_program() -> None:
    lines = told("demo", nodes=12)
    paths = {row["proc_path"] for line in lines if str(line["name"]).endswith("outbound") for row in columns_of(line)}

    assert len({path for path in paths if path.endswith("MsMpEng.exe")}) > 1
    assert len({path for path in paths if path.endswith("Zoom.exe")}) > 1


def test_the_roll_out_reaches_all_laptops_on_the_last_day_and_nobody_before() -> None:
    play = scenario("quiet", nodes=20)
    hosts = {node.identity.host_identifier for node in play.fleet if node.role == "office-laptop"}
    first: dict[object, int] = {}
    for line in told("quiet", nodes=20):
        if str(line["name"]) == "pack/windows_network/outbound" and columns_of(line)[0]["proc_name"] == "Zoom.exe":
            first.setdefault(line["hostIdentifier"], int(str(line["unixTime"])))

    assert set(first) == hosts
    assert min(first.values()) > NOW.timestamp() - 86_400


def test_awkward_nodes_join_late_fall_silent_and_deliver_late() -> None:
    play = scenario("quiet")
    days = list(play.days_until(NOW))
    habits = [node for node in play.fleet if not node.habits.ordinary]
    by_day = {node.number: [life.logged(node, day, config_hash="h") for day in days] for node in habits}

    late, silent, unreachable = (
        next(by_day[node.number] for node in habits if getattr(node.habits, name) != getattr(type(node.habits)(), name))
        for name in ("joins", "silent", "unreachable")
    )
    assert not any(day.results for day in late[:14])
    assert all(day.results for day in late[14:])
    assert [bool(day.results) for day in silent].count(False) == 4
    assert [day.reachable for day in unreachable].count(False) == 3
    assert all(day.results for day in unreachable)
