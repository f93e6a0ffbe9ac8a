"""A baseline as a YAML file that lives in git: written, and read again with each fault on its line."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import ValidationError

from app.baselines.entries import NewEntry
from app.baselines.forms import EntryIn, ports_of
from app.baselines.yaml_text import Node, YamlFault, read_yaml
from app.detection.baseline import ENTRIES_MAX, Entry, in_order
from app.detection.behaviour import Platform
from app.problems import InvalidRequest

FILE_MAX_BYTES = 2 * 1024 * 1024
FAULTS_MAX = 100
_FIELDS = ("role", "platform", "entries")


@dataclass(frozen=True, slots=True)
class LineFault:
    """What is wrong where. `field` is empty where the file as a whole cannot be read."""

    line: int
    field: str
    detail: str


class FileRefused(InvalidRequest):
    """Why a file cannot be taken, line by line; nothing of it was."""

    def __init__(self, faults: Sequence[LineFault]) -> None:
        self.faults = tuple(sorted(faults, key=lambda each: each.line)[:FAULTS_MAX])
        errors = [{"pointer": each.field, "line": each.line, "detail": each.detail} for each in self.faults]
        first = self.faults[0]
        more = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
        where = f", {first.field}" if first.field else ""
        super().__init__(f"line {first.line}{where}: {first.detail}{more}", field=first.field or "file", errors=errors)


@dataclass(frozen=True, slots=True)
class BaselineFile:
    """What a file says; `lines` are those on which its entries begin."""

    role: str
    platform: Platform
    entries: tuple[NewEntry, ...]
    lines: tuple[int, ...]

    def refused(self, faults: Sequence[tuple[int, str, str]]) -> FileRefused:
        """Faults by entry as faults by line."""
        return FileRefused(
            [LineFault(self.lines[index], f"entries/{index}/{field}", said) for index, field, said in faults]
        )


def read_file(content: bytes) -> BaselineFile:
    """Raises: FileRefused."""
    if len(content) > FILE_MAX_BYTES:
        raise FileRefused([LineFault(1, "", f"longer than {FILE_MAX_BYTES:,} bytes")])
    try:
        document = _fields(read_yaml(content.decode("utf-8-sig")))
    except UnicodeDecodeError as problem:
        line = content.count(b"\n", 0, problem.start) + 1
        raise FileRefused([LineFault(line, "", "not in UTF-8")]) from None
    except YamlFault as fault:
        raise FileRefused([LineFault(fault.line, "", fault.detail)]) from None
    role, platform = document["role"], document["platform"]
    if not isinstance(role.value, str) or platform.value not in set(Platform):
        wrong = ("role", role.line, "a name") if not isinstance(role.value, str) else None
        field, line, said = wrong or ("platform", platform.line, f"one of {', '.join(Platform)}")
        raise FileRefused([LineFault(line, field, said)])
    return _file(role.value, Platform(str(platform.value)), document["entries"])


def _fields(node: Node) -> dict[str, Node]:
    """Raises: YamlFault."""
    if not isinstance(node.value, dict):
        raise YamlFault(node.line, f"a baseline has {', '.join(_FIELDS)}")
    for name, value in node.value.items():
        if name not in _FIELDS:
            raise YamlFault(value.line, f"{name[:60]!r} is unknown; a baseline has {', '.join(_FIELDS)}")
    if missing := [name for name in _FIELDS if name not in node.value]:
        raise YamlFault(node.line, f"{missing[0]} is missing")
    return node.value


def _file(role: str, platform: Platform, entries: Node) -> BaselineFile:
    nodes = entries.value or []
    if not isinstance(nodes, list):
        raise FileRefused([LineFault(entries.line, "entries", "a list, [] for an empty one")])
    if len(nodes) > ENTRIES_MAX:
        raise FileRefused([LineFault(entries.line, "entries", f"at most {ENTRIES_MAX:,} entries")])
    faults: list[LineFault] = []
    read: list[NewEntry] = []
    for index, node in enumerate(nodes):
        found = _entry(index, node)
        if isinstance(found, EntryIn):
            read.append(found.new(platform))
        else:
            faults += found
    if faults:
        raise FileRefused(faults)
    return BaselineFile(role, platform, tuple(read), tuple(node.line for node in nodes))


def _entry(index: int, node: Node) -> EntryIn | list[LineFault]:
    place = f"entries/{index}"
    if not isinstance(node.value, dict):
        return [LineFault(node.line, place, "an entry has fields: program, direction, transport, ports …")]
    nested = [
        LineFault(value.line, f"{place}/{name[:60]}", "a text")
        for name, value in node.value.items()
        if not isinstance(value.value, str)
    ]
    try:
        return nested or EntryIn.model_validate({name: value.value for name, value in node.value.items()})
    except ValidationError as problem:
        return [_fault(place, node, each["loc"], each["msg"]) for each in problem.errors()]


def _fault(place: str, node: Node, where: Sequence[Any], said: str) -> LineFault:
    field = str(where[0]) if where else ""
    assert isinstance(node.value, dict)
    line = node.value[field].line if field in node.value else node.line
    return LineFault(line, f"{place}/{field[:60]}", said)


def write_file(role: str, platform: str, entries: Sequence[Entry], heading: str) -> str:
    """Reads back as what was written; a change of one entry is a change of a few lines."""
    comment = "".join(f"# {line}\n" for line in heading.splitlines())
    document = {"role": role, "platform": platform, "entries": [_document(each) for each in in_order(entries)]}
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=10_000, default_flow_style=False)
    return comment + text


def _document(entry: Entry) -> dict[str, str]:
    """Without what says nothing; an empty unit says that there is none."""
    expects = entry.expects
    fields = {
        "program": expects.program,
        "path": expects.path,
        "signer": expects.signer,
        "unit": expects.unit,
        "direction": expects.direction.value,
        "transport": expects.transport.value,
        "ports": ports_of(expects),
        "peers": expects.peer_scope and expects.peer_scope.value,
        "justification": entry.justification,
        "owner": entry.owner,
        "requested_by": entry.requested_by,
        "entry": str(entry.entry_id),
    }
    kept_empty = {"unit", "justification", "owner"}
    return {name: said for name, said in fields.items() if said or (said == "" and name in kept_empty)}
