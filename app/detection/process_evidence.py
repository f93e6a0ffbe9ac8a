"""Evidence from how the process began. Source: ATT&CK AN0633, which joins process creation and connection."""

from collections.abc import Mapping

from app.detection.behaviour import Platform
from app.detection.classes import Trait
from app.detection.deviation import Evidence
from app.detection.evidence import Case, line

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400

_OFFICE = frozenset({"winword.exe", "excel.exe", "powerpnt.exe", "outlook.exe"}) | frozenset(
    {"microsoft word", "microsoft excel", "microsoft powerpoint"}
)
_SCRIPTS = frozenset({"powershell.exe", "pwsh.exe", "wscript.exe", "cscript.exe", "mshta.exe", "osascript"})

#: Programs of Windows, the one parent that starts them, which runs as long as Windows does, and others that may.
#: Source: Sigma 'Uncommon Svchost Parent Process' with its exceptions, Elastic 'Unusual Parent-Child Relationship'
#: (facts only).
_ONLY_PARENTS: Mapping[str, tuple[str, ...]] = {
    "svchost.exe": ("services.exe", "msmpeng.exe", "mrt.exe", "ngen.exe", "rpcnet.exe", "tiworker.exe"),
    "lsass.exe": ("wininit.exe",),
    "services.exe": ("wininit.exe",),
    "spoolsv.exe": ("services.exe",),
    "wmiprvse.exe": ("svchost.exe",),
}


def process_evidence(case: Case) -> tuple[Evidence, ...]:
    if not case.networked:
        return ()
    return tuple(found for found in (_odd_parent(case), _started(case)) if found)


def _started(case: Case) -> Evidence | None:
    start = case.surroundings.start
    if start is None:
        return None
    does = "connection" if case.outbound else "listening port"
    text = f"It was started {_duration(start.seconds_before)} before its first {does} was seen ({start.source})."
    return line("started_before", 0, text)


def _odd_parent(case: Case) -> Evidence | None:
    parent = case.context.parent.replace("\\", "/").rpartition("/")[2]
    why = _why_odd(case, parent.lower()) if parent else None
    return None if why is None else line("odd_parent", case.weights.odd_parent, f"It was started by {parent}{why}.")


def _why_odd(case: Case, parent: str) -> str | None:
    """None where the parent is nothing special."""
    program = case.behaviour.program
    is_known = program.platform is Platform.WINDOWS and "." in parent  # "[System Process]" is what nobody could read
    parents = _ONLY_PARENTS.get(program.name, ()) if is_known else ()
    if parents and parent not in parents:
        return f", but Windows has {parents[0]} start {program.name}"
    if parent in _OFFICE and case.kind(Trait.SCRIPT_HOST):
        return ", an Office program, which has no use for a script host"
    return "" if parent in _OFFICE | _SCRIPTS and case.kind(Trait.NEVER_NETWORKS) else None


def _duration(seconds: float) -> str:
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"
