"""Whatever is changed, cut out, put in or cut off is found, and where; with a checkpoint also what was made anew."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest

from app.access.actor import PORTBOOK
from app.access.audit.actions import Action
from app.access.audit.deed import Deed
from app.access.audit.line import line_of
from app.access.audit.verify import BEGINNING, FAULTS_MAX, Chain, Checkpoint, Columns, Verdict, checkpoint_from
from app.problems import InvalidRequest

NOW = datetime(2026, 11, 29, 10, 0, 0, 123456, UTC)


def chained(total: int, reason: str = "why", prev: str = BEGINNING, first: int = 1) -> list[bytes]:
    found = []
    for seq in range(first, first + total):
        said = line_of(PORTBOOK, Deed(Action.TOKEN_ADDED, "token", f"t{seq}", reason=reason), NOW)
        found.append(f'{{"seq":{seq},"prev":"{prev}",{said[1:]}'.encode())
        prev = sha256(found[-1]).hexdigest()
    return found


def verified(lines: list[bytes], *, whole: bool = True, expected: Checkpoint | None = None) -> Verdict:
    chain = Chain(whole=whole, expected=expected)
    for line in lines:
        chain.take(line)
    return chain.verdict()


def noted(lines: list[bytes], seq: int) -> Checkpoint:
    return Checkpoint(seq, sha256(lines[seq - 1]).hexdigest())


def test_a_whole_chain_holds_and_names_its_ends() -> None:
    lines = chained(5)
    assert verified(lines) == Verdict(5, 1, BEGINNING, 5, sha256(lines[-1]).hexdigest())
    assert verified([]).holds
    assert verified([]).checkpoint is None


def test_a_part_holds_as_a_part_and_not_as_the_whole() -> None:
    part = chained(9)[3:]
    verdict = verified(part, whole=False)
    assert (verdict.holds, verdict.first_seq, verdict.first_prev) == (True, 4, noted(chained(9), 3).sha256)
    assert str(verified(part).faults[0]) == "line 1: the log begins at 4: lines are missing"


def edited(lines: list[bytes]) -> list[bytes]:
    return [*lines[:3], lines[3].replace(b"why", b"not"), *lines[4:]]


TAMPERED: dict[str, tuple[Callable[[list[bytes]], list[bytes]], int, str]] = {
    "edited": (edited, 5, "does not name the hash of line 4"),
    "cut out": (lambda lines: [*lines[:3], *lines[4:]], 4, "after 3 comes 5: lines are missing"),
    "swapped": (lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]], 3, "after 2 comes 4"),
    "twice": (lambda lines: [*lines[:3], lines[2], *lines[3:]], 3, "after 3 comes 3: lines are out of order"),
    "put in": (
        lambda lines: [*lines[:3], *chained(1, "x", first=4), *lines[3:]],
        4,
        "does not name the hash of line 3",
    ),
    "no line": (lambda lines: [*lines[:3], b'{"seq":4}', *lines[4:]], 4, "no line of an audit log"),
    "other form": (lambda lines: [*lines[:3], lines[3].replace(b'"seq":4', b'"seq":4.0'), *lines[4:]], 4, "no line"),
    "begins elsewhere": (lambda lines: chained(len(lines), prev="1" * 64), 1, "names a line before the first"),
}


@pytest.mark.parametrize("way", TAMPERED)
def test_tampering_is_found_where_it_begins(way: str) -> None:
    tamper, seq, says = TAMPERED[way]
    verdict = verified(tamper(chained(8)))
    assert not verdict.holds
    assert verdict.faults[0].seq == seq
    assert says in verdict.text


def test_one_tampered_line_is_one_fault() -> None:
    assert verified(edited(chained(8))).faults_total == 1


def test_what_was_made_anew_or_cut_off_is_found_by_a_checkpoint_only() -> None:
    lines, checkpoint = chained(8), noted(chained(8), 6)
    assert verified(lines, expected=checkpoint).holds
    anew = chained(8, reason="another story")
    assert verified(anew).holds
    assert "rewritten" in verified(anew, expected=checkpoint).text
    assert verified(lines[:5]).holds
    assert "the log ends at 5: lines were cut off" in verified(lines[:5], expected=checkpoint).text
    assert "cut off" in verified([], expected=checkpoint).text


def test_a_part_is_held_against_the_line_before_it() -> None:
    lines = chained(8)
    assert verified(lines[4:], whole=False, expected=noted(lines, 4)).holds
    assert not verified(lines[4:], whole=False, expected=Checkpoint(4, "0" * 64)).holds
    assert "nothing to compare" in verified(lines[4:], whole=False, expected=noted(lines, 2)).text


def test_columns_must_be_those_of_the_line() -> None:
    line = chained(1)[0]
    said: dict[str, Any] = json.loads(line)
    names = ("actor_name", "action", "object_type", "object_id", "outcome")
    columns = Columns(1, NOW, *(said[name] for name in names), sha256=sha256(line).digest())
    faults = {}
    for changed in ({}, {"seq": 2}, {"at": datetime(2026, 1, 1, tzinfo=UTC)}, {"actor_name": "x"}, {"sha256": b"x"}):
        chain = Chain(whole=True)
        chain.take(line, replace(columns, **changed))
        faults["".join(changed)] = [each.text for each in chain.verdict().faults]
    assert faults.pop("") == []
    assert faults.pop("sha256") == ["its hash is not the one kept beside it: the line was changed"]
    assert all(texts == [f"its {name} is not the one kept beside it"] for name, texts in faults.items())


def test_faults_are_bounded_and_counted() -> None:
    verdict = verified([b"x"] * 1_000)
    assert (len(verdict.faults), verdict.faults_total) == (FAULTS_MAX, 1_000)


@pytest.mark.parametrize(
    "odd", ["", "5", "5:", ":" + "0" * 64, "0:" + "0" * 64, "5:" + "g" * 64, "-1:" + "0" * 64, "5:00"]
)
def test_what_is_no_checkpoint_is_refused(odd: str) -> None:
    with pytest.raises(InvalidRequest, match="no checkpoint"):
        checkpoint_from(odd)


def test_a_checkpoint_is_read_as_it_is_written() -> None:
    checkpoint = noted(chained(3), 3)
    assert checkpoint_from(f" {checkpoint} \n") == checkpoint
