import sqlite3
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.osquery.binding import LARGEST_NUMBER, LONGEST_TEXT, Unbindable, bind, literal, parameters_of

#: Any text that a path may be, with what an attacker would try more often than chance would.
VISIBLE = st.characters(exclude_categories=["Cc", "Cs"])
TRICKS = st.sampled_from(
    ["'", "''", '"', "--", "/*", "*/", ";", ":path", ":pid", "\\", "\\'", "%", "?1", "\u2019", "||"]
)
TEXTS = st.lists(st.one_of(TRICKS, st.text(VISIBLE, max_size=8)), max_size=20).map("".join)


def asked(statement: str) -> object:
    database = sqlite3.connect(":memory:")
    try:
        ((value,),) = database.execute(statement).fetchall()
        return value
    finally:
        database.close()


@given(TEXTS)
def test_a_text_evaluates_to_itself_whatever_is_in_it(text: str) -> None:
    assert asked(f"SELECT {literal('path', text)}") == text


@given(TEXTS, st.integers(0, LARGEST_NUMBER))
def test_a_value_cannot_change_the_statement_around_it(text: str, pid: int) -> None:
    bound = bind(
        "SELECT ':path' || :path || 'it''s :pid' || :pid || \":path\" FROM (SELECT 'x' AS \":path\")",
        {"path": text, "pid": pid},
    )
    assert asked(bound) == f":path{text}it's :pid{pid}x"


@given(st.text(VISIBLE, max_size=20), st.characters(categories=["Cc", "Cs"]), st.text(VISIBLE, max_size=20))
def test_control_characters_and_half_pairs_are_refused(before: str, bad: str, after: str) -> None:
    assert unicodedata.category(bad) in {"Cc", "Cs"}
    with pytest.raises(Unbindable, match="path: holds a control character"):
        literal("path", before + bad + after)


@pytest.mark.parametrize("pid", [-1, LARGEST_NUMBER + 1, 10**30])
def test_a_number_that_is_no_process_id_is_refused(pid: int) -> None:
    with pytest.raises(Unbindable, match="is no process id"):
        literal("pid", pid)


def test_a_text_is_bounded() -> None:
    assert len(literal("path", "'" * LONGEST_TEXT)) == 2 * LONGEST_TEXT + 2
    with pytest.raises(Unbindable, match="longer than"):
        literal("path", "x" * (LONGEST_TEXT + 1))


def test_what_is_not_known_is_null() -> None:
    assert (
        bind("SELECT 1 WHERE :pid = 1 OR 2 = :unit", {"pid": None, "unit": None})
        == "SELECT 1 WHERE NULL = 1 OR 2 = NULL"
    )


def test_a_parameter_without_a_value_is_refused() -> None:
    with pytest.raises(Unbindable, match="path: no value"):
        bind("SELECT :path", {"pid": 1})


def test_parameters_are_found_by_name() -> None:
    assert parameters_of("SELECT :pid, '' WHERE x = :unit") == {"pid", "unit"}
