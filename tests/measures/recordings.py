"""Labelled recordings: osquery result lines, and beside them one label a line."""

import gzip
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from app.detection.behaviour import Behaviour
from app.detection.context import Context, Signer, context_of
from app.detection.recognition import RejectedRow, recognise

Kind = Literal["C2 on a non-standard port", "C2 on a standard port", "benign", "left out"]
KINDS: tuple[Kind, ...] = ("C2 on a non-standard port", "C2 on a standard port", "benign")

_LEFT_OUT = {"attack_related", "ambiguous"}
_LAST_PORT = 49151


@dataclass(frozen=True, slots=True)
class LabelledRow:
    recording: str
    text: bytes  #: the result line as recorded
    kind: Kind
    node: str
    behaviour: Behaviour | None  #: None: the row shows none, e.g. a connection that others opened
    context: Context

    @property
    def tuple_(self) -> tuple[str, str, str, str, str]:
        """What is counted: recording, host, program, way and port, however many rows show it."""
        line = json.loads(self.text)
        columns = line["columns"]
        port = int(columns.get("remote_port") or columns["local_port"] or 0)
        name = (columns["proc_path"] or columns["proc_name"]).replace("\\", "/").rpartition("/")[2].lower()
        return self.recording, self.node, name, line["name"], str(port) if port <= _LAST_PORT else "dynamic"


def recordings(folder: Path) -> dict[str, list[LabelledRow]]:
    """Recording → its rows, from every `NAME.jsonl.gz` that has a `NAME.labels.jsonl.gz` beside it.

    Raises: OSError, ValueError when a file cannot be read or labels and lines differ in number.
    """
    found: defaultdict[str, list[LabelledRow]] = defaultdict(list)
    for labels in sorted(folder.glob("*.labels.jsonl.gz")):
        for row in _rows(labels, labels.with_name(labels.name.replace(".labels", ""))):
            found[row.recording].append(row)
    return dict(found)


def _rows(labels: Path, lines: Path) -> Iterator[LabelledRow]:
    with gzip.open(labels) as said, gzip.open(lines) as recorded:
        for label, line in zip(map(json.loads, said), recorded, strict=True):
            document = json.loads(line)
            query, columns, node = document["name"], document["columns"], document["hostIdentifier"]
            yield LabelledRow(
                recording=label.get("source") or label["host"],
                text=line.rstrip(b"\n"),
                kind=_kind(label),
                node=node,
                behaviour=_behaviour(query, columns),
                context=context_of(query, columns, node=node, signer=Signer()),
            )


def _behaviour(query: str, columns: dict[str, str]) -> Behaviour | None:
    try:
        return recognise(query, columns)
    except RejectedRow:
        return None


def _kind(label: dict[str, object]) -> Kind:
    if label["label"] == "malicious_c2":
        return KINDS[0] if label.get("t1571") else KINDS[1]
    return "left out" if label["label"] in _LEFT_OUT else "benign"


def history_for(rows: dict[str, list[LabelledRow]], judged: str, *, poisoned: bool) -> Sequence[LabelledRow]:
    """The rows of all other recordings; `poisoned`: with what the attackers in them did, as if seen before."""
    others = [row for name, each in rows.items() if name != judged for row in each]
    return [row for row in others if poisoned or not row.kind.startswith("C2")]
