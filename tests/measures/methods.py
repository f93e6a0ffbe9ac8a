"""Each method over all recordings: one recording at a time, against the history of all others."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from app.analysis.replay import Inputs, Judged, replay
from app.detection.deviation import Severity
from app.detection.knobs import Knobs
from tests.measures.recordings import KINDS, Kind, LabelledRow, history_for
from tests.measures.rivals import RIVALS, Rival

Recordings = Mapping[str, Sequence[LabelledRow]]
Tuple = tuple[str, str, str, str, str]

#: Everything but the history.
_CONTEXT: dict[str, float] = dict.fromkeys(
    (
        *("never_networks", "mismatch_severe", "mismatch", "mismatch_mild", "transport_mismatch", "script_host"),
        *("uncommon_port", "unsigned", "signer_changed", "user_writable", "odd_parent"),
    ),
    0,
)
_CLASSES = ("never_networks", "mismatch_severe", "mismatch", "mismatch_mild", "transport_mismatch", "script_host")
_DISCOUNTS = ("known_vendor", "user_driven", "dynamic_rpc", "loopback", "only_of_its_role", "expected_port")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a method raised; `raised` has the tuples of every kind."""

    name: str
    total: Mapping[Kind, int]
    raised: Mapping[Kind, frozenset[Tuple]]
    gravest: Mapping[Tuple, Judged]  #: Portbook's gravest judgement of each tuple, alert or not
    kinds: Mapping[Tuple, Kind | str]


Method = Callable[[str, Sequence[LabelledRow], Sequence[LabelledRow]], Iterable[tuple[LabelledRow, Judged | None]]]


def methods() -> dict[str, Method]:
    """Name → what it raises of a recording, given its name, its rows and the history."""
    return {name: _rival(rival) for name, rival in RIVALS.items()} | {"Portbook": _portbook(Knobs())}


def ablations() -> dict[str, Method]:
    """Portbook without one family of its evidence."""
    return {
        "without the novelty of the port": _weighing(novelty=0, newcomer=0),
        "without the rarity among peers": _weighing(rarity=0),
        "without damping by routine": _portbook(_limits(new_ports_per_day=1000)),
        "without vouching: seen before is enough": _portbook(_vouching(nodes=1, share=1e-9, dubious_share=1e-9)),
        "without classes of programs": _weighing(**dict.fromkeys(_CLASSES, 0)),
        "without the set of common ports": _weighing(uncommon_port=0),
        "without place and signer": _weighing(unsigned=0, signer_changed=0, user_writable=0, odd_parent=0),
        "without discounts": _weighing(**dict.fromkeys(_DISCOUNTS, 0)),
        "history alone": _weighing(**_CONTEXT),
        "context alone": _weighing(novelty=0, rarity=0, newcomer=0),
    }


def outcome(name: str, method: Method, found: Recordings, *, poisoned: bool) -> Outcome:
    kinds = {row.tuple_: row.kind for rows in found.values() for row in sorted(rows, key=_least_grave_first)}
    gravest: dict[Tuple, Judged] = {}
    raised: set[Tuple] = set()
    for recording, rows in found.items():
        history = history_for(dict(found), recording, poisoned=poisoned)
        for row, judged in method(recording, rows, history):
            known = gravest.get(row.tuple_)
            if judged and (known is None or judged.deviation.score > known.deviation.score):
                gravest[row.tuple_] = judged
            if judged is None or judged.deviation.severity.reaches(Severity.MEDIUM):
                raised.add(row.tuple_)
    return Outcome(
        name,
        {kind: sum(each == kind for each in kinds.values()) for kind in KINDS},
        {kind: frozenset(each for each in raised if kinds[each] == kind) for kind in KINDS},
        gravest,
        kinds,
    )


def _least_grave_first(row: LabelledRow) -> int:
    """A tuple with any malicious row is malicious."""
    return -([*KINDS, "left out"].index(row.kind))


def _rival(rival: Rival) -> Method:
    def raised(
        _name: str, rows: Sequence[LabelledRow], history: Sequence[LabelledRow]
    ) -> Iterator[tuple[LabelledRow, None]]:
        known = {row.behaviour for row in history}
        yield from ((row, None) for row in rows if rival(row, known))

    return raised


def _portbook(knobs: Knobs) -> Method:
    def raised(
        _name: str, rows: Sequence[LabelledRow], history: Sequence[LabelledRow]
    ) -> Iterator[tuple[LabelledRow, Judged]]:
        with tempfile.TemporaryDirectory() as folder:
            judged_file, history_file = Path(folder, "judged.jsonl"), Path(folder, "history.jsonl")
            judged_file.write_bytes(b"\n".join(row.text for row in rows))
            history_file.write_bytes(b"\n".join(row.text for row in history))
            for judged in replay(Inputs((judged_file,), (history_file,)), knobs):
                yield from ((rows[line - 1], judged) for line in judged.lines)

    return raised


def _weighing(**weights: float) -> Method:
    return _portbook(replace(Knobs(), weights=replace(Knobs().weights, **weights)))


def _limits(**limits: Any) -> Knobs:
    return replace(Knobs(), port_thresholds=replace(Knobs().port_thresholds, **limits))


def _vouching(**rules: Any) -> Knobs:
    return replace(Knobs(), vouching=replace(Knobs().vouching, **rules))
