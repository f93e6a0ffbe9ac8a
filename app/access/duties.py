"""Who may do what: duties of operators, permissions, and the one table that joins them."""

from collections.abc import Collection, Mapping
from enum import StrEnum


class Duty(StrEnum):
    """What an operator is there for. One operator may have several, but nobody is admin and approver."""

    VIEWER = "viewer"
    ANALYST = "analyst"
    APPROVER = "approver"
    REVIEWER = "reviewer"
    AUDITOR = "auditor"
    ADMIN = "admin"


class Permission(StrEnum):
    READ = "read"
    TRIAGE = "triage"
    INVESTIGATE = "investigate"
    PROPOSE = "propose"
    BACKTEST = "backtest"
    APPROVE = "approve"
    REVIEW = "review"
    READ_AUDIT_LOG = "read_audit_log"
    IMPORT = "import"
    TUNE = "tune"
    ADMINISTER = "administer"


#: In words, for pages and documents.
DUTIES: Mapping[Duty, str] = {
    Duty.VIEWER: "reads",
    Duty.ANALYST: "triages, investigates, asks for exceptions and baseline changes",
    Duty.APPROVER: "decides what others asked for",
    Duty.REVIEWER: "reviews baselines in force",
    Duty.AUDITOR: "reads everything, the audit log too, and writes nothing",
    Duty.ADMIN: "looks after operators, tokens and settings; decides nothing",
}
MEANINGS: Mapping[Permission, str] = {
    Permission.READ: "read nodes, behaviours, findings, baselines, exceptions and coverage",
    Permission.TRIAGE: "change the state of findings, comment, assign",
    Permission.INVESTIGATE: "ask a node the reviewed queries",
    Permission.PROPOSE: "draft and submit baseline versions, request exceptions",
    Permission.BACKTEST: "judge stored days under other knobs",
    Permission.APPROVE: "decide on what somebody else submitted, import the approved inventory",
    Permission.REVIEW: "confirm baselines in force",
    Permission.READ_AUDIT_LOG: "read the audit log",
    Permission.IMPORT: "send result lines and flow logs in the name of nodes",
    Permission.TUNE: "change the knobs",
    Permission.ADMINISTER: "look after operators, API tokens, roles, nodes and enroll secrets",
}


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
