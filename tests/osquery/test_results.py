import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.osquery.results import RejectedLine, Row, clean, result_name, rows_of

EVENT = {
    "name": "pack/windows_network/outbound",
    "hostIdentifier": "HOST-1",
    "calendarTime": "Sat Nov 21 19:22:08 2026 UTC",
    "unixTime": 1795289290,
    "epoch": 1,
    "counter": 2,
    "numerics": False,
    "columns": {"pid": "4"},
    "action": "added",
}
HEAD = {key: value for key, value in EVENT.items() if key not in {"columns", "action"}}


def row(action, **columns):
    return Row("pack/windows_network/outbound", action, 1795289290, 1, 2, columns)


@pytest.mark.parametrize(
    ("line", "rows"),
    [
        (EVENT, [row("added", pid="4")]),
        (EVENT | {"action": "removed"}, [row("removed", pid="4")]),
        (EVENT | {"action": "snapshot"}, [row("snapshot", pid="4")]),
        (EVENT | {"unixTime": "1795289290", "epoch": "1", "counter": "2"}, [row("added", pid="4")]),
        (EVENT | {"columns": {"pid": 4, "load": 2.5, "on": True, "gone": None}},
         [row("added", pid="4", load="2.5", on="1", gone="")]),
        (EVENT | {"host_uuid": "decorated at top level", "decorations": {"a": "b"}}, [row("added", pid="4")]),
        (HEAD | {"diffResults": {"removed": [{"a": "1"}], "added": [{"a": "2"}, {"a": "3"}]}},
         [row("removed", a="1"), row("added", a="2"), row("added", a="3")]),
        (HEAD | {"diffResults": {"removed": "", "added": ""}}, []),
        (HEAD | {"diffResults": {"added": [{"a": "2"}]}}, [row("added", a="2")]),
        (HEAD | {"snapshot": [{"a": "1"}, {"a": "1"}], "action": "snapshot"}, [row("snapshot", a="1")] * 2),
        (HEAD | {"snapshot": [], "action": "snapshot"}, []),
    ],
)  # fmt: skip
def test_every_shape_of_a_result_line_is_understood(line, rows):
    assert list(rows_of(line)) == rows


def test_a_mac_without_a_clock_reports_second_zero():
    assert next(rows_of(EVENT | {"unixTime": 0})).observed_at_unix == 0


@pytest.mark.parametrize(
    ("name", "known_as"),
    [
        ("pack/windows_network/outbound", "pack/windows_network/outbound"),
        ("pack_windows_network_outbound", "pack/windows_network/outbound"),
        ("pack_macos_context_launchd_sockets", "pack/macos_context/launchd_sockets"),
        ("pack:telemetry:heartbeat", "pack/telemetry/heartbeat"),
        ("pack::telemetry::heartbeat", "pack/telemetry/heartbeat"),
        ("pack:it-compliance:alf_services", "pack/it-compliance/alf_services"),
        ("pack/Global/windows_network/outbound", "pack/windows_network/outbound"),
        ("pack/team-12/windows_network/outbound", "pack/windows_network/outbound"),
        ("pack_Global_macos_context/launchd", "pack/macos_context/launchd"),
        ("pack/team-12/windows_network_extra/outbound", "pack/team-12/windows_network_extra/outbound"),
        ("pack/team-x/windows_network/outbound", "pack/team-x/windows_network/outbound"),
        ("pack/Global/heartbeat", "pack/Global/heartbeat"),
        ("pack_incident-response_open_sockets", "pack_incident-response_open_sockets"),
        ("heartbeat", "heartbeat"),
        ("package_bundles", "package_bundles"),
    ],
)
def test_result_names_are_told_apart_whatever_the_delimiter(name, known_as):
    assert result_name(name) == known_as


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({}, "missing_name"),
        (EVENT | {"name": 7}, "missing_name"),
        (EVENT | {"name": ""}, "missing_name"),
        (HEAD, "missing_rows"),
        (HEAD | {"diffResults": []}, "missing_rows"),
        (EVENT | {"action": "changed"}, "action_unknown"),
        (EVENT | {"columns": "x"}, "columns_not_an_object"),
        (EVENT | {"columns": {"a": {}}}, "column_not_a_scalar"),
        (HEAD | {"snapshot": {}}, "not_a_list"),
        (HEAD | {"snapshot": [1]}, "columns_not_an_object"),
        (EVENT | {"unixTime": "soon"}, "not_a_number"),
        (EVENT | {"unixTime": -1}, "not_a_number"),
        (EVENT | {"unixTime": True}, "not_a_number"),
        (EVENT | {"unixTime": "9" * 5000}, "not_a_number"),
        ({key: value for key, value in EVENT.items() if key != "unixTime"}, "missing_number"),
    ],
)
def test_a_line_that_is_no_result_says_why(line, reason):
    with pytest.raises(RejectedLine) as problem:
        rows_of(line)
    assert problem.value.reason == reason


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [("AMD EPYC\0\0\0", "AMD EPYC"), ("a\0b", "a\ufffdb"), ("a\ud800", "a\ufffd"), ("José\t", "José\t"), ("", "")],
)
def test_what_a_database_refuses_is_cleaned(text, cleaned):
    assert clean(text) == cleaned


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=9)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
)


@given(st.dictionaries(st.sampled_from([*EVENT, "snapshot", "diffResults"]), JSON))
def test_hostile_lines_are_rows_or_rejected_and_nothing_else(line):
    try:
        rows = list(rows_of(EVENT | line))
    except RejectedLine:
        return
    for each in rows:
        assert "".join([each.query, *each.columns, *each.columns.values()]).encode()


@given(st.text(st.characters(exclude_categories=[])))
def test_cleaned_text_can_be_stored(text):
    assert "\0" not in clean(text)
    clean(text).encode()
