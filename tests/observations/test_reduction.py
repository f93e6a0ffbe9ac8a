"""What rows of every kind and quality are reduced to, through the real decoding."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.detection.behaviour import Behaviour
from app.observations import originals
from app.observations.reduction import Clock, Reduced, Reducer
from app.osquery.protocol import decode_log
from tests.detection.events import EXCEL, SYSMON_NET, WFP, sysmon_connection, wfp_bind
from tests.factories import a_line, a_log, an_outbound_row

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp()
DAY = 86400
CLOCK = Clock(NOW, NOW - 20 * DAY, NOW + DAY)
OUTBOUND = "pack/windows_network/outbound"
QUERIES = frozenset({OUTBOUND, "pack/windows_context/services", "pack/telemetry/heartbeat"})


def reduced(*lines: object, platform: str = "windows", reducer: Reducer | None = None) -> Reduced:
    log, _ = decode_log(json.dumps(a_log("key", lines)).encode())
    return (reducer or Reducer(QUERIES)).reduce(log.data, platform, CLOCK)


def line(columns: dict[str, object] | None = None, **fields: object) -> dict[str, object]:
    return a_line(columns, **({"unix_time": int(NOW)} | fields))  # type: ignore[arg-type]


def row(**columns: object) -> dict[str, object]:
    return {**an_outbound_row(), **columns}


def behaviours(found: Reduced) -> list[Behaviour]:
    return [behaviour for sighted in found.sightings.values() for *_, behaviour in sighted.values()]


def keys(found: Reduced) -> set[tuple[int, bytes]]:
    """(day, behaviour id) of the sightings."""
    return {(day, key) for day, sighted in found.sightings.items() for key in sighted}


def ports(found: Reduced) -> set[str]:
    return {each.bucket for each in behaviours(found)}


def quarantined(found: Reduced) -> dict[str, int]:
    return {reason: each.lines for reason, each in found.quarantined.items()}


def test_one_behaviour_is_one_sighting_however_often_it_is_said() -> None:
    found = reduced(*[line(row(pid=str(n), local_port=str(50000 + n))) for n in range(100)])
    assert (found.lines, found.rows, len(keys(found))) == (100, 100, 1)


def test_event_batch_and_snapshot_forms_say_the_same() -> None:
    rows = [row(remote_port=str(port)) for port in (443, 8088, 443, 50000)]
    event = reduced(*map(line, rows))
    batch = reduced(line(columns=None, diffResults={"added": rows, "removed": []}) | {"columns": None})
    snapshot = reduced(line(snapshot=rows, action="snapshot") | {"columns": None})
    assert keys(event) == keys(batch) == keys(snapshot)
    assert event.rows == batch.rows == snapshot.rows == 4


def test_a_removed_row_ends_a_sighting_and_makes_none() -> None:
    gone = reduced(line(action="removed"))
    assert not keys(gone)
    assert list(gone.ended) == [key for _, key in keys(reduced(line()))]
    batch = reduced(line(diffResults={"removed": [row()], "added": [row(remote_port="22")]}) | {"columns": None})
    assert ports(batch) == {"22"}
    assert list(batch.ended) == list(gone.ended)


@pytest.mark.parametrize("empty", ["", None, []])
def test_old_agents_write_an_empty_list_as_an_empty_text(empty: object) -> None:
    found = reduced(line(diffResults={"removed": empty, "added": [row()]}) | {"columns": None})
    assert ports(found) == {"443"}
    assert not found.quarantined


@pytest.mark.parametrize("said", ["443", 443, "443 ", " 443"])
def test_numbers_as_text_and_text_as_numbers_mean_the_same(said: object) -> None:
    assert ports(reduced(line(row(remote_port=said, protocol=6, local_port=50123, pid=7)))) == {"443"}


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"remote_port": "-1"}, "port_out_of_range"),
        ({"remote_port": -1}, "port_out_of_range"),
        ({"remote_port": "65536"}, "port_out_of_range"),
        ({"local_port": 10**18}, "port_out_of_range"),
        ({"local_port": "1" * 400}, "not_a_number"),
        ({"remote_port": ""}, "not_a_number"),
        ({"remote_port": "٤٤٣"}, "not_a_number"),
        ({"protocol": "tcp"}, "not_a_number"),
        ({"protocol": "1"}, "protocol_unknown"),
        ({"protocol": -6}, "protocol_unknown"),
    ],
)
def test_a_row_that_cannot_be_understood_is_counted_with_its_reason(columns: dict[str, object], reason: str) -> None:
    found = reduced(line(row(**columns)), line(row(remote_port="8088")))
    assert quarantined(found) == {reason: 1}
    assert ports(found) == {"8088"}
    assert found.quarantined[reason].query == OUTBOUND


@pytest.mark.parametrize("pid", ["-1", -1, 2**31, 2**70, "9" * 5000, "", None, 1.5])
def test_no_pid_makes_a_row_unreadable(pid: object) -> None:
    assert ports(reduced(line(row(pid=pid)))) == {"443"}


@pytest.mark.parametrize("name", ["proc_path", "protocol", "local_port", "remote_port"])
def test_a_row_without_a_column_that_it_needs_is_counted(name: str) -> None:
    columns = row()
    del columns[name]
    assert quarantined(reduced(line(columns))) == {"missing_column": 1}


def test_an_inventory_row_without_its_columns_is_no_fact() -> None:
    found = reduced(line({"x": "y"}, query="pack/windows_context/services"))
    assert not keys(found)
    assert quarantined(found) == {"missing_column": 1}


def test_columns_that_nobody_knows_change_nothing() -> None:
    odd = row(**{"": "x", "\0": "y", "nested": [1, {"a": None}], "big": "x" * 1_048_576})
    assert ports(reduced(line(odd))) == {"443"}


@pytest.mark.parametrize("bad", [443.0, 443.5, "443\0"])
def test_a_row_that_cannot_be_understood_never_hides_those_that_can(bad: object) -> None:
    """One reducer serves all nodes: what one says oddly must not change what another says."""
    reducer = Reducer(QUERIES)
    reduced(line(row(remote_port=bad)), line(row(protocol=6.0)), line(row(local_port=50123.0)), reducer=reducer)
    found = reduced(line(row()), line(row(protocol=6)), reducer=reducer)
    assert not found.quarantined
    assert ports(found) == {"443"}


@pytest.mark.parametrize(
    "bad",
    [
        None,
        1,
        "text",
        [],
        {},
        {"name": None},
        {"name": OUTBOUND, "columns": {"remote_port": 443.5}},
        {"name": 5, "columns": {}},
        {"name": "x" * 9},
    ],
)
def test_a_line_that_cannot_be_understood_is_counted_and_the_others_go_on(bad: object) -> None:
    found = reduced(line(row(remote_port="22")), bad, line(row(remote_port="23")))
    assert ports(found) == {"22", "23"}
    assert sum(quarantined(found).values()) == 1
    assert next(iter(found.quarantined.values())).first_line == 1


@pytest.mark.parametrize(
    "said", [0, -1, 1, NOW + 400 * DAY, NOW - 400 * DAY, 10**30, "nan", "inf", "1e30", "", "yesterday", "9" * 5000]
)
def test_a_clock_that_is_years_off_is_replaced_by_ours_and_counted(said: object) -> None:
    said = int(said) if isinstance(said, float) else said
    found = reduced(line(unixTime=said))
    assert [day for day, _ in keys(found)] == [int(NOW // DAY)]
    assert [observed for (observed, *_) in found.sightings[int(NOW // DAY)].values()] == [NOW]
    assert found.skewed == 1


@pytest.mark.parametrize("said", [NOW - 3 * DAY, str(int(NOW - 3 * DAY))])
def test_a_credible_clock_dates_the_sighting(said: float | str) -> None:
    found = reduced(line(unixTime=int(said)))
    assert [day for day, _ in keys(found)] == [int(NOW // DAY) - 3]
    assert found.skewed == 0


def test_rows_of_another_platform_are_counted_and_make_no_sighting() -> None:
    for platform in ("macos", "other"):
        found = reduced(line(), platform=platform)
        assert (quarantined(found), found.rows) == ({"other_platform": 1}, 1)
        assert not keys(found)


def test_queries_of_others_are_counted_together() -> None:
    found = reduced(
        *[line({"x": "1"}, query=f"theirs {n}") for n in range(50)], line({"x": "1"}, query="pack/Global/x")
    )
    assert {name for name, _ in found.executions} == {"(other)"}
    assert found.rows == 51
    assert not found.quarantined


def test_a_node_that_invents_epochs_cannot_make_a_statement_of_each() -> None:
    """Every epoch of a query costs a statement in the shared transaction."""
    found = reduced(*[line(epoch=n) for n in range(5000)])
    assert len(found.executions) <= 16
    assert sum(span.rows for span in found.executions.values()) == 5000


def test_huge_cells_are_not_remembered() -> None:
    reducer = Reducer(QUERIES)
    for n in range(20):
        reduced(line(row(proc_path=f"C:\\{n}" + "x" * 1_000_000)), reducer=reducer)
        reduced(line(row(), query=f"{n}" + "x" * 1_000_000), reducer=reducer)
    assert not [key for key in reducer._meanings if len(str(key)) > 100_000]


@pytest.mark.parametrize("epoch", [-5, "x", 2**70, None, 1.5])
def test_an_epoch_or_counter_that_is_none_fits_the_table(epoch: object) -> None:
    found = reduced(line(epoch=epoch, counter=epoch))
    assert all(-1 <= span.epoch < 2**63 for span in found.executions.values())
    assert sum(quarantined(found).values()) + len(keys(found)) == 1


cells = st.sampled_from(["443", 443, "8088", "", None, "50000", "x", "-1", 6, "6", "17"]) | st.text(max_size=5)
rows = st.dictionaries(st.sampled_from(["remote_port", "local_port", "protocol", "proc_name", "proc_path", "y"]), cells)
shapes = st.one_of(
    st.fixed_dictionaries({"columns": rows, "action": st.sampled_from(["added", "removed", "snapshot", ""])}),
    st.fixed_dictionaries({"snapshot": st.lists(rows, max_size=3)}),
    st.fixed_dictionaries(
        {
            "diffResults": st.fixed_dictionaries(
                {"added": st.lists(rows, max_size=3), "removed": st.lists(rows, max_size=3)}
            )
        }
    ),
    st.fixed_dictionaries({"columns": st.none(), "snapshot": st.none(), "diffResults": st.none()}),
)


@given(given_shapes=st.lists(shapes, max_size=6))
def test_a_sighting_points_at_the_row_that_the_stored_batch_numbers_so(given_shapes: list[dict[str, object]]) -> None:
    full = [
        {"name": OUTBOUND, "unixTime": int(NOW), "epoch": 1, "counter": 1} | _filled(shape) for shape in given_shapes
    ]
    found = reduced(*full)
    assert found.rows == sum(len(originals.rows_in(each)) for each in full)
    for key, (_, number, position, _) in found.sightings.get(int(NOW // DAY), {}).items():
        action, columns = originals.rows_in(json.loads(json.dumps(full[number])))[position]
        assert action != "removed"
        alone = reduced({"name": OUTBOUND, "unixTime": int(NOW), "columns": columns, "action": action})
        assert [each for _, each in keys(alone)] == [key]


def _filled(shape: dict[str, object]) -> dict[str, object]:
    def fill(value: object) -> object:
        if isinstance(value, list):
            return [row(**each) for each in value]
        return value

    if isinstance(shape.get("columns"), dict):
        return shape | {"columns": row(**shape["columns"])}  # type: ignore[dict-item]
    if isinstance(changes := shape.get("diffResults"), dict):
        return {"diffResults": {key: fill(value) for key, value in changes.items()}}
    return shape | {"snapshot": fill(shape.get("snapshot"))}


def test_identical_genuine_lines_are_all_counted_as_rows() -> None:
    found = reduced(line(), line(), line())
    assert (found.rows, len(keys(found))) == (3, 1)


@given(st.permutations(range(8)))
def test_the_order_of_lines_changes_no_sighting_and_no_end(order: list[int]) -> None:
    lines = [
        line(row(remote_port=str(20 + n % 3)), action="removed" if n % 4 == 3 else "added", unix_time=int(NOW) + n)
        for n in range(8)
    ]
    straight, shuffled = reduced(*lines), reduced(*[lines[n] for n in order])
    assert keys(straight) == keys(shuffled)
    assert straight.ended == shuffled.ended
    assert {name: (span.counters, span.observed, span.rows) for name, span in straight.executions.items()} == {
        name: (span.counters, span.observed, span.rows) for name, span in shuffled.executions.items()
    }


def connection_event(**fields: object) -> dict[str, object]:
    return line(sysmon_connection(**fields), query=SYSMON_NET)


def test_a_connection_event_is_the_behaviour_that_a_poll_shows() -> None:
    polled = reduced(line(row(proc_path=EXCEL, svchost_hint="", remote_port="8443")))
    assert keys(reduced(connection_event())) == keys(polled)


def test_however_events_differ_they_fill_no_memory() -> None:
    reducer = Reducer(QUERIES)
    said = [
        connection_event(
            SourcePort=str(49152 + n), ProcessGuid=f"{{{n}}}", RuleName="x" * n, DestinationIp=f"10.0.1.{n}"
        )
        for n in range(200)
    ]
    served = [
        connection_event(Initiated="false", SourcePort="3389", DestinationPort=str(40000 + n)) for n in range(200)
    ]
    found = reduced(*said, *served, reducer=reducer)
    assert (found.rows, ports(found), len(reducer._meanings)) == (400, {"8443", "3389"}, 2)


def test_an_event_that_cannot_be_read_is_counted_and_spoils_no_other() -> None:
    bad = line({"eventid": "3", "data": "{"}, query=SYSMON_NET)
    found = reduced(bad, connection_event(), connection_event(DestinationPort="99999"), line({}, query=SYSMON_NET))
    assert ports(found) == {"8443"}
    assert quarantined(found) == {"event_unreadable": 2, "port_out_of_range": 1}
    assert {each.query for each in found.quarantined.values()} == {SYSMON_NET}


def test_a_bind_that_others_can_reach_does_not_hide_behind_loopback() -> None:
    near, far = (line(wfp_bind(SourceAddress=each), query=WFP) for each in ("127.0.0.1", "0.0.0.0"))
    [[sighted]] = [list(day.values()) for day in reduced(near, far).sightings.values()]
    assert sighted[1] == 1
