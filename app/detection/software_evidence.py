"""Evidence from the approved list of software and from the node's own inventory.

A person's approval weighs; the inventory hardly does, for who can run a program can often install it. Neither says
anything where it is missing, and an approval answers no port that belies what the program is.
"""

from app.detection.approved import ApprovedSoftware
from app.detection.behaviour import Direction
from app.detection.classes import Mismatch, ProgramClass, Trait, named_classes
from app.detection.context import Trust
from app.detection.context_evidence import belied
from app.detection.deviation import Evidence
from app.detection.evidence import Case, line
from app.detection.places import Place
from app.detection.software import InstalledSoftware, KnownSoftware, SoftwareSource

_SHOWN_PORTS = 5
_LONGEST_SHOWN = 80
#: Who signs the parts of the operating systems, wherever they lie.
_MAKERS = frozenset({"microsoft windows", "microsoft windows publisher", "software signing"})

#: By what is there to be looked at: the list, the node's inventory.
_UNKNOWN = {
    (True, True): "Unknown program: neither in the approved inventory nor among what this node says is installed.",
    (True, False): "Unknown program: not in the approved inventory; what this node has installed is not known.",
    (False, True): "Unknown program: not among what this node says is installed; no approved inventory was imported.",
    (False, False): "",
}


def software_evidence(case: Case) -> tuple[Evidence, ...]:
    known = case.surroundings.software
    if known is None or not case.networked:
        return ()
    approval = known.approval
    if approval and approval.sure and not approval.expired:
        return (_approved(case, approval.entry),)
    lines = [_expired(approval.entry) if approval.sure else _unsure(approval.entry)] if approval else []
    lines += [found for found in (_unapproved(case, known), _installed(case, known)) if found]
    return tuple(lines)


def _approved(case: Case, entry: ApprovedSoftware) -> Evidence:
    said = f"In the approved inventory: {_entry(entry)}"
    if not entry.allows(case.behaviour):
        points = 0 if case.common else case.weights.unlisted_port
        return line("approved_other_port", points, f"{said}, but for {_ports(entry)}: {case.port} is none of them.")
    said += f", which allows {_ports(entry)}: this is one of them" if entry.ports else ", which names no ports"
    if reason := _outweighed(case, entry):
        return line("approved_software", 0, f"{said}. It counts for nothing here: {reason}.")
    return line("approved_software", -case.weights.approved_software, f"{said}.")


def _outweighed(case: Case, entry: ApprovedSoftware) -> str:
    """Why an approval says nothing of this port. Who names a port has weighed what is merely unusual for the kind."""
    mismatch = belied(case)
    if mismatch not in {Mismatch.NONE, Mismatch.MILD} or (mismatch is Mismatch.MILD and not entry.ports):
        return f"what {case.name} is speaks against {case.port}"
    if case.kind(Trait.INJECTED) and not entry.ports:
        return f"attackers inject code into {case.name}, and the entry names no ports"
    return ""


def _expired(entry: ApprovedSoftware) -> Evidence:
    return line("approval_expired", 0, f"The approval of {_entry(entry)} has expired; it speaks for nothing any more.")


def _unsure(entry: ApprovedSoftware) -> Evidence:
    text = f"Perhaps in the approved inventory, as {_entry(entry)}: the program's signature has not been reported."
    return line("approval_unsure", 0, text)


def _unapproved(case: Case, known: KnownSoftware) -> Evidence | None:
    """What is in neither list; only a list that is there can lack it, and the system's own parts are in none."""
    if known.approval and not known.approval.sure:
        return None
    tool = _remote_access(case)
    if tool and known.list_imported:
        lacks = "and its approval is over" if known.approval else "and not in the approved inventory"
        text = f"{case.name} is {tool.says} {lacks}."
        return line("unapproved_remote_access", case.weights.unapproved_remote_access, text)
    explained = known.approval or known.installed or known.perhaps_installed or _of_the_system(case)
    text = "" if explained else _UNKNOWN[known.list_imported, known.inventory_reported]
    sure = known.list_imported and known.inventory_reported
    return line("unknown_software", case.weights.unknown_software / (1 if sure else 2), text) if text else None


def _installed(case: Case, known: KnownSoftware) -> Evidence | None:
    item = known.installed
    if item is None:
        return None
    protected = case.place is Place.INSTALLED and item.source is not SoftwareSource.HOMEBREW
    points = case.weights.installed_software if protected and not case.dubious and not _remote_access(case) else 0
    said = f"This node says that it has {_item(item)} installed, to which {case.name} belongs"
    return line("installed_software", -points, f"{said}{'; nobody approved it' if known.list_imported else ''}.")


def _remote_access(case: Case) -> ProgramClass | None:
    """By the name alone, which raises the score only, and whichever way it connects."""
    kinds = named_classes(case.behaviour.program, Direction.OUTBOUND)
    return next((each for each in kinds if Trait.REMOTE_ACCESS in each.traits), None)


def _of_the_system(case: Case) -> bool:
    """Parts of Windows and macOS, the kernel, and what has no path that could be looked up."""
    if not case.behaviour.program.path or case.place is Place.SYSTEM:
        return True
    name = case.context.signer.name.lower()
    return case.context.signer.trust is Trust.TRUSTED and name in _MAKERS and case.place is Place.INSTALLED


def _entry(entry: ApprovedSoftware) -> str:
    facts = [f"owner {entry.owner}"] if entry.owner else []
    facts += [f"until {entry.until}"] if entry.until else []
    return f"{entry.name} ({', '.join(facts)})" if facts else entry.name


def _ports(entry: ApprovedSoftware) -> str:
    shown = ", ".join(map(str, entry.ports[:_SHOWN_PORTS]))
    rest = len(entry.ports) - _SHOWN_PORTS
    return f"{shown} and {rest} more" if rest > 0 else shown


def _item(item: InstalledSoftware) -> str:
    name = f"{item.name} {item.version}".strip() if item.version not in item.name else item.name
    return name if len(name) <= _LONGEST_SHOWN else f"{name[:_LONGEST_SHOWN]}…"
