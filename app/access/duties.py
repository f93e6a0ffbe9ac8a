"""Who may do what: duties of operators, permissions, and the one table that joins them."""

from collections.abc import Collection, Mapping
from enum import StrEnum


class Duty(StrEnum):
    """What an operator is there for. One operator may have several, but nobody is admin and approver."""

    VIEWER = "viewer"  #: reads
    ANALYST = "analyst"  #: triages, investigates, asks for exceptions and baseline changes
    APPROVER = "approver"  #: decides what others asked for
    REVIEWER = "reviewer"  #: reviews baselines in force
    AUDITOR = "auditor"  #: reads everything, the audit log too, and writes nothing
    ADMIN = "admin"  #: operators, tokens, settings; decides nothing


class Permission(StrEnum):
    READ = "read"  #: nodes, behaviours, findings, baselines, exceptions, coverage
    TRIAGE = "triage"  #: change the state of findings, comment, assign
    INVESTIGATE = "investigate"  #: ask a node the reviewed queries
    PROPOSE = "propose"  #: draft and submit baseline versions, request exceptions
    BACKTEST = "backtest"  #: judge stored days under other knobs
    APPROVE = "approve"  #: decide on what somebody else submitted, import the approved inventory
    REVIEW = "review"  #: confirm baselines in force
    READ_AUDIT_LOG = "read_audit_log"
    IMPORT = "import"  #: result lines and flow logs, in the name of nodes
    TUNE = "tune"  #: change the knobs
    ADMINISTER = "administer"  #: operators, API tokens, roles, nodes, enroll secrets


_ANALYST, _APPROVER, _ADMIN = Duty.ANALYST, Duty.APPROVER, Duty.ADMIN

#: Source: NIST SP 800-53 AC-5, AC-6(9), AU-9(4); an approver decides and changes nothing else.
PERMISSIONS: Mapping[Permission, frozenset[Duty]] = {
    Permission.READ: frozenset(Duty),
    Permission.TRIAGE: frozenset({_ANALYST}),
    Permission.INVESTIGATE: frozenset({_ANALYST}),
    Permission.PROPOSE: frozenset({_ANALYST}),
    Permission.BACKTEST: frozenset({_ANALYST, _ADMIN}),
    Permission.APPROVE: frozenset({_APPROVER}),
    Permission.REVIEW: frozenset({Duty.REVIEWER}),
    Permission.READ_AUDIT_LOG: frozenset({Duty.AUDITOR, _ADMIN}),
    Permission.IMPORT: frozenset({_ADMIN}),
    Permission.TUNE: frozenset({_ADMIN}),
    Permission.ADMINISTER: frozenset({_ADMIN}),
}

#: What a program may be given that acts for no operator: nothing that a person must answer for.
FOR_PROGRAMS = frozenset({Permission.READ, Permission.IMPORT})


def permissions_of(duties: Collection[Duty]) -> frozenset[Permission]:
    return frozenset(permission for permission, who in PERMISSIONS.items() if who.intersection(duties))
