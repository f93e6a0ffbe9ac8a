"""Process starts as events told them: osquery's own tables, Sysmon 1 and Security 4688.

Source: osquery's process_etw_events and es_process_events; Sysmon's schema; Microsoft's page on Security 4688.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.detection.columns import RejectedRow, text
from app.detection.facts import Fact
from app.detection.paths import normalised
from app.detection.windows_events import EventData, event_data, instant, process_id

LONGEST_COMMAND = 1024
LONGEST_WORD = 300

#: Sources in the order in which their word counts: who says more stands first.
SYSMON, SECURITY, ETW, ENDPOINT_SECURITY = "Sysmon 1", "Security 4688", "process_etw_events", "es_process_events"
SOURCES = (SYSMON, SECURITY, ETW, ENDPOINT_SECURITY)

_ACCOUNTS = {"s-1-5-18": "SYSTEM", "s-1-5-19": "LOCAL SERVICE", "s-1-5-20": "NETWORK SERVICE"}
_NOBODY = "s-1-0-0"


@dataclass(frozen=True, slots=True)
class ReportedStart:
    """Empty text means not reported."""

    node: str
    process_id: int
    started_at: float  #: unix seconds by the node's clock
    path: str  #: normalised, never empty
    source: str  #: one of SOURCES
    parent: str = ""  #: path as reported
    command_line: str = ""
    user: str = ""
    guid: str = ""  #: Sysmon's own name for the process


def reported_start(fact: Fact) -> ReportedStart | None:
    """The start that a row tells of; None for rows that tell of something else, such as an end.

    Raises:
        RejectedRow: the row cannot be understood.
    """
    return _READERS[fact.query](fact) if fact.query in _READERS else None


def _etw(fact: Fact) -> ReportedStart | None:
    return _own_table(fact, ETW) if text(fact.columns, "type").lower() == "processstart" else None


def _endpoint_security(fact: Fact) -> ReportedStart | None:
    return _own_table(fact, ENDPOINT_SECURITY) if text(fact.columns, "event_type").lower() == "exec" else None


def _own_table(fact: Fact, source: str) -> ReportedStart:
    row = fact.columns
    at = instant(text(row, "time"))
    said = {"user": text(row, "username"), "command_line": text(row, "cmdline")}
    return _start(fact, source, text(row, "pid"), at or instant(text(row, "datetime")), text(row, "path"), said)


def _sysmon(fact: Fact) -> ReportedStart | None:
    if text(fact.columns, "eventid") != "1":
        return None
    data = event_data(fact.columns)
    said = {
        "parent": data.said("ParentImage"),
        "command_line": data.said("CommandLine"),
        "user": data.said("User"),
        "guid": data.said("ProcessGuid"),
    }
    return _start(fact, SYSMON, data.said("ProcessId"), data.time(fact.columns), data.said("Image"), said)


def _security(fact: Fact) -> ReportedStart | None:
    """Here `ProcessId` is the creator's and `NewProcessId` the process's own, in hexadecimal."""
    if text(fact.columns, "eventid") != "4688":
        return None
    data = event_data(fact.columns)
    said = {"parent": data.said("ParentProcessName"), "command_line": data.said("CommandLine"), "user": _account(data)}
    path = data.said("NewProcessName")
    return _start(fact, SECURITY, data.said("NewProcessId"), data.time(fact.columns), path, said)


def _account(data: EventData) -> str:
    """The target is named where it is not the creator. Windows before 10 names no target, so nothing is known there."""
    if "targetusername" not in data.columns:
        return ""
    is_other = data.said("TargetUserSid").lower() not in {"", _NOBODY} and data.said("TargetUserName")
    who = "Target" if is_other else "Subject"
    known = _ACCOUNTS.get(data.said(f"{who}UserSid").lower())
    return known or data.said(f"{who}UserName")


def _start(
    fact: Fact, source: str, pid: str, at: float | None, reported: str, said: Mapping[str, str]
) -> ReportedStart:
    number, path = process_id(pid), normalised(fact.platform, reported)
    if number is None:
        raise RejectedRow("not_a_process_id", "pid")
    if at is None:
        raise RejectedRow("not_a_time", "time")
    if not path:
        raise RejectedRow("path_empty", "path")
    longest = {"command_line": LONGEST_COMMAND}
    bounded = {name: value[: longest.get(name, LONGEST_WORD)] for name, value in said.items()}
    return ReportedStart(fact.node, number, at, path, source, **bounded)


_READERS: Mapping[str, Callable[[Fact], ReportedStart | None]] = {
    "pack/windows_network/process_events": _etw,
    "pack/windows_network/sysmon_processes": _sysmon,
    "pack/windows_network/process_creations": _security,
    "pack/macos_network/process_events": _endpoint_security,
}
