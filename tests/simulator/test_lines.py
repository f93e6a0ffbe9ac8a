import json

from app.simulator.lines import Execution, calendar_time, result_lines, status_line
from app.simulator.nodes import fleet

IDENTITY = fleet("test", 6, 5)[0].identity


def test_a_row_is_one_line_in_the_order_of_osqueryd() -> None:
    execution = Execution("pack/p/q", 1795288970, added=({"z": "1", "a": "ü"},))
    (line,) = result_lines(IDENTITY, [execution], epoch=7, counters={})

    document = json.loads(line.text)
    assert list(document) == [
        "name",
        "hostIdentifier",
        "calendarTime",
        "unixTime",
        "epoch",
        "counter",
        "numerics",
        "decorations",
        "columns",
        "action",
    ]
    assert document["calendarTime"] == "Sat Nov 21 19:22:50 2026 UTC"
    assert (document["unixTime"], document["epoch"], document["counter"]) == (1795288970, 7, 0)
    assert list(document["columns"]) == ["a", "z"]
    assert document["decorations"] == {"instance_id": IDENTITY.instance_id, "osquery_version": "5.23.1"}
    assert document["action"] == "added"


def test_the_day_of_the_month_is_padded_with_a_space_as_in_c() -> None:
    assert calendar_time(0) == "Thu Jan  1 00:00:00 1970 UTC"


def test_counters_grow_by_one_with_each_changed_execution_of_a_query() -> None:
    row = ({"a": "1"},)
    executions = [
        Execution("q", 1, row),
        Execution("r", 2, row),
        Execution("q", 3, row, row),
        Execution("q", 4, (), row),
    ]

    lines = [json.loads(line.text) for line in result_lines(IDENTITY, executions, epoch=1, counters={})]

    assert [(line["name"], line["counter"], line["action"]) for line in lines] == [
        ("q", 0, "added"),
        ("r", 0, "added"),
        ("q", 1, "removed"),
        ("q", 1, "added"),
        ("q", 2, "removed"),
    ]


def test_a_snapshot_is_one_line_that_always_has_number_zero() -> None:
    snapshots = [Execution("s", at, ({"a": "1"}, {"a": "2"}), snapshot=True) for at in (1, 2)]

    lines = [json.loads(line.text) for line in result_lines(IDENTITY, snapshots, epoch=1, counters={})]

    assert [line["counter"] for line in lines] == [0, 0]
    assert lines[0]["snapshot"] == [{"a": "1"}, {"a": "2"}]
    assert list(lines[0])[:2] == ["snapshot", "action"]


def test_a_status_line_has_numbers_where_osqueryd_has_them() -> None:
    document = json.loads(status_line(IDENTITY, 1795288970, "late").text)

    assert (document["severity"], document["message"], document["unixTime"]) == (1, "late", 1795288970)
    assert isinstance(document["line"], int)
