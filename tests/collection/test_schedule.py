import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.collection.packs import load_packs
from app.collection.schedule import PHASES, configuration_for, osquery_name, resync_epoch
from app.osquery.configuration import config_hash

NOW = datetime(2026, 11, 21, 13, 5, tzinfo=UTC)
DAYS = st.datetimes(datetime(2020, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001 - given UTC there
    lambda moment: moment.replace(hour=0, minute=0, second=0, microsecond=0)
)
PHASE = st.integers(min_value=0, max_value=2**63)


@given(day=DAYS, phase=PHASE)
def test_each_node_sees_exactly_one_new_epoch_in_each_utc_day(day, phase):
    before = resync_epoch(day - timedelta(seconds=1), node_phase=phase)
    minutes = [resync_epoch(day + timedelta(minutes=minute), node_phase=phase) for minute in range(1440)]
    turns = [minute for minute, epoch in enumerate(minutes) if epoch != ([before, *minutes])[minute]]
    assert len(turns) == 1
    assert minutes[-1] == before + 1


@given(day=DAYS, hour=st.integers(min_value=0, max_value=23))
def test_in_each_hour_one_phase_of_24_turns(day, hour):
    start = day + timedelta(hours=hour)
    turning = [
        phase
        for phase in range(PHASES)
        if resync_epoch(start, node_phase=phase) != resync_epoch(start - timedelta(seconds=1), node_phase=phase)
    ]
    assert len(turning) == 1


def test_the_epoch_is_a_day_number_and_phase_0_turns_at_midnight():
    assert resync_epoch(NOW, node_phase=0) == (NOW - datetime(1970, 1, 1, tzinfo=UTC)).days
    assert resync_epoch(NOW, node_phase=24) == resync_epoch(NOW, node_phase=0)


@pytest.mark.parametrize(
    ("platform", "names"),
    [
        ("windows", {"windows_network", "windows_context", "telemetry"}),
        ("darwin", {"macos_network", "macos_context", "telemetry"}),
        ("ubuntu", {"telemetry"}),
        ("", {"telemetry"}),
    ],
)
def test_a_node_gets_the_packs_of_its_platform_and_telemetry(platform, names):
    served = configuration_for(load_packs(), platform, node_phase=5, now=NOW)
    assert json.loads(served.body)["packs"].keys() == names


def test_what_is_served_says_its_own_epoch_and_hash():
    served = configuration_for(load_packs(), "windows", node_phase=5, now=NOW)
    assert json.loads(served.body)["options"]["schedule_epoch"] == served.epoch
    assert served.epoch == resync_epoch(NOW, node_phase=5)
    assert served.config_hash == config_hash(served.body)


def test_the_same_hour_serves_the_same_object_to_all_nodes_of_a_platform():
    packs = load_packs()
    one = configuration_for(packs, "some unix", node_phase=5, now=NOW)
    assert configuration_for(packs, "another", node_phase=29, now=NOW + timedelta(minutes=50)) is one


def test_only_the_epoch_differs_between_two_days():
    packs = load_packs()
    today, tomorrow = (
        json.loads(configuration_for(packs, "darwin", node_phase=5, now=now).body)
        for now in (NOW, NOW + timedelta(days=1))
    )
    assert tomorrow["options"].pop("schedule_epoch") == today["options"].pop("schedule_epoch") + 1
    assert today == tomorrow


def test_the_served_configurations_are_far_below_the_limit_of_agents():
    assert all(
        len(configuration_for(load_packs(), platform, node_phase=0, now=NOW).body) < 100_000
        for platform in ("windows", "darwin")
    )


def test_a_platform_of_ours_has_its_name_in_osquery():
    assert [osquery_name(platform) for platform in ("windows", "macos", "other")] == ["windows", "darwin", "other"]
