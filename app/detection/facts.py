"""Rows that show no behaviour of their own but explain others: process starts, what jobs own, installed software."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from app.detection.behaviour import Platform


class FactKind(StrEnum):
    PROCESS = "process"  #: a process began
    JOB = "job"  #: how a launchd job or a Windows service is configured, and what it owns
    SOFTWARE = "software"  #: what is installed


#: Result name (delimiter `/`) → platform and kind. A query may show behaviours as well.
FACT_QUERIES: Mapping[str, tuple[Platform, FactKind]] = {
    "pack/windows_network/process_events": (Platform.WINDOWS, FactKind.PROCESS),
    "pack/windows_network/sysmon_processes": (Platform.WINDOWS, FactKind.PROCESS),
    "pack/windows_network/process_creations": (Platform.WINDOWS, FactKind.PROCESS),
    "pack/macos_network/process_events": (Platform.MACOS, FactKind.PROCESS),
    "pack/macos_context/launchd": (Platform.MACOS, FactKind.JOB),
    "pack/macos_context/launchd_sockets": (Platform.MACOS, FactKind.JOB),
    "pack/macos_context/launchd_disabled": (Platform.MACOS, FactKind.JOB),
    "pack/macos_context/hidden_plists": (Platform.MACOS, FactKind.JOB),
    "pack/macos_context/startup_items": (Platform.MACOS, FactKind.JOB),
    "pack/windows_context/services": (Platform.WINDOWS, FactKind.JOB),
    "pack/windows_context/services_running": (Platform.WINDOWS, FactKind.JOB),
    "pack/windows_context/programs": (Platform.WINDOWS, FactKind.SOFTWARE),
    "pack/macos_context/apps": (Platform.MACOS, FactKind.SOFTWARE),
    "pack/macos_context/packages": (Platform.MACOS, FactKind.SOFTWARE),
    "pack/macos_context/homebrew": (Platform.MACOS, FactKind.SOFTWARE),
}


@dataclass(frozen=True, slots=True)
class Fact:
    """One row of such a query, as its node said it."""

    node: str  #: the node's number in a database, or the name it gives itself in a replay
    platform: Platform
    kind: FactKind
    query: str
    action: str  #: added, removed or snapshot
    columns: Mapping[str, object]
    observed_at: int  #: unix seconds by the node's clock
    whole: bool = False  #: of an execution that told the query's whole state anew


def tells_whole_state(epoch: object, counter: object) -> bool:
    """Whether a line is of the first execution of an epoch that somebody set; 0 is what agents say who know of none.

    Source: osquery's `schedule_epoch`; counter 0 means the full result since 5.8.
    """
    return str(counter) == "0" and str(epoch) not in {"0", "None", ""}
