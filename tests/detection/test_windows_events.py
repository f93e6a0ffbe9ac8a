"""What of a Windows event is understood, however it is told, and that nothing in it can do harm."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.detection.columns import RejectedRow
from app.detection.windows_events import LONGEST_DATA, event_data, instant, process_id

NOON = 1598961600


@pytest.mark.parametrize(
    "data",
    [{"EventData": {"Image": "a.exe"}}, {"Image": "a.exe"}, {"EventData": {"IMAGE": "a.exe"}}, {"image": " a.exe\0"}],
)
def test_fields_are_found_nested_or_flat_and_whatever_their_case(data: object) -> None:
    assert event_data({"data": json.dumps(data)}).said("Image") == "a.exe"


@pytest.mark.parametrize("nothing", ["-", "", "<unknown process>", None, ["a"], {"b": 1}])
def test_what_says_nothing_is_empty(nothing: object) -> None:
    assert event_data({"data": json.dumps({"EventData": {"Image": nothing}})}).said("Image") == ""


@pytest.mark.parametrize(
    "data",
    [None, 7, "", "{", "[]", '"x"', '{"EventData": []}', '{"EventData": null}', '{"EventData": "x"}',
     '{"EventData":{"a":"\\ud800"}}', "[" * 100_000, '{"a":' * 5000, " " * LONGEST_DATA + "{}"],
)  # fmt: skip
def test_what_is_no_event_is_refused_by_name(data: object) -> None:
    with pytest.raises(RejectedRow) as refused:
        event_data({"data": data})
    assert (refused.value.reason, refused.value.column) == ("event_unreadable", "data")


@pytest.mark.parametrize(
    ("said", "number"),
    [("420", 420), ("0x1a4", 420), ("0X1A4", 420), ("4294967295", 2**32 - 1), ("4294967296", None), ("0", None),
     ("-4", None), ("0x", None), ("1_0", None), ("", None), ("٤٢", None), ("9" * 5000, None), ("4.0", None)],
)  # fmt: skip
def test_process_ids_are_decimal_or_hexadecimal(said: str, number: int | None) -> None:
    assert process_id(said) == number


@pytest.mark.parametrize(
    ("said", "unix"),
    [("2020-09-01 12:00:00.123", NOON + 0.123), ("2020-09-01T12:00:00.1230000Z", NOON + 0.123),
     ("2020-09-01T14:00:00+02:00", NOON), ("1598961600", NOON), ("1598961600.5", NOON + 0.5),
     ("", None), ("noon", None), ("nan", None), ("1e300", None), ("0", None), ("-1", None), ("9" * 39, None),
     ("0001-01-01 00:00:00", None), ("9999-12-31 23:59:59", None), ("2020-13-01 00:00:00", None)],
)  # fmt: skip
def test_times_without_a_zone_are_utc(said: str, unix: float | None) -> None:
    assert instant(said) == (pytest.approx(unix) if unix else None)


def test_sysmons_own_time_comes_first_then_the_rows() -> None:
    row = {"datetime": "2020-09-01T12:00:05.0000000Z", "time": "1598961670"}
    own = event_data({"data": json.dumps({"UtcTime": "2020-09-01 12:00:00.000"})})
    assert own.time(row) == NOON
    assert event_data({"data": "{}"}).time(row) == NOON + 5
    assert event_data({"data": "{}"}).time({"time": "1598961670"}) == NOON + 70
    assert event_data({"data": "{}"}).time({}) is None


@given(st.text() | st.recursive(st.none() | st.text() | st.integers(), st.lists, max_leaves=5).map(json.dumps))
def test_any_text_is_read_or_refused(data: str) -> None:
    try:
        found = event_data({"data": data})
    except RejectedRow:
        return
    assert isinstance(found.said("Image"), str)


@given(st.text())
def test_no_text_stops_the_readers_of_numbers_and_times(said: str) -> None:
    process_id(said)
    instant(said)
