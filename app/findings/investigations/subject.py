"""What an investigation asks about: process, file and unit that the row behind a finding names, as the node said."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from app.collection.questions import Parameter
from app.detection.columns import text
from app.detection.context import told_as_row
from app.detection.inventory import launched_program, split_command
from app.detection.windows_events import instant, process_id
from app.observations.originals import Original
from app.osquery.binding import Unbindable, Value, literal


@dataclass(frozen=True, slots=True)
class Subject:
    """What is not known is None. `path` is not normalised: it is the file that the node knows."""

    pid: int | None = None
    started: int | None = None
    path: str | None = None
    unit: str | None = None

    @property
    def values(self) -> Mapping[str, Value]:
        return {Parameter.PID: self.pid, Parameter.PATH: self.path, Parameter.UNIT: self.unit}


#: A path on another machine, in any of the ways that Windows writes it.
_ELSEWHERE = re.compile(r"[\\/]{2}(?![?.][\\/][a-z]:)|\\\?\?\\unc\\", re.IGNORECASE)


def subject_of(original: Original | None, *, known_pid: int | None, known_unit: str) -> Subject:
    """`known_pid` and `known_unit` are what the finding itself kept: all there is when the row is gone."""
    query, columns = told_as_row(original.query, original.columns) if original else ("", {})
    started = instant(text(columns, "proc_start"))
    return Subject(
        pid=process_id(text(columns, "pid")) or known_pid,
        started=int(started) if started else None,
        path=bindable(_own(_path(query, columns))),
        unit=bindable(_unit(query, columns) or _single(known_unit)),
    )


def bindable(said: str) -> str | None:
    """None also for a text that no statement may hold: what a node writes is not to be trusted."""
    try:
        literal("", said)
    except Unbindable:
        return None
    return said or None


def _path(query: str, columns: Mapping[str, object]) -> str:
    if query.endswith("/services"):
        return _said(columns, "module_path") or split_command(_said(columns, "path"))[0]
    if query.endswith("/launchd"):
        return _said(columns, "program") or launched_program(_said(columns, "program_arguments"))
    return _said(columns, "proc_path") or _said(columns, "path")


def _own(path: str) -> str:
    """Empty for a path on another machine: the agent, as SYSTEM, would sign in there to read it."""
    return "" if _ELSEWHERE.match(path) else path


def _unit(query: str, columns: Mapping[str, object]) -> str:
    if query.endswith("/services"):
        return _said(columns, "name")
    if query.endswith("/launchd"):
        return _said(columns, "label")
    named = (_said(columns, name) for name in ("launchd_labels", "svchost_hint", "service_names"))
    return _single(next(filter(None, named), ""))


def _single(units: str) -> str:
    """Of several nobody knows which; those of the process are found by its id."""
    return "" if "," in units else units.strip()


def _said(columns: Mapping[str, object], name: str) -> str:
    value = columns.get(name)
    return value if isinstance(value, str) else ""
