"""Every action that the audit log knows, so that an auditor can read the list and a test can demand it.

Each line's comment is its meaning in docs/audit.md.
"""

from enum import StrEnum


class Action(StrEnum):
    OPERATOR_ADDED = "operator_added"  #: a person may sign in from now on
    OPERATOR_CHANGED = "operator_changed"  #: duties, or the roles of nodes that they may see
    OPERATOR_DISABLED = "operator_disabled"  #: a person may not sign in any more
    OPERATOR_ENABLED = "operator_enabled"  #: a person who was disabled may sign in again
    OPERATOR_LINKED = "operator_linked"  #: with whom an OpenID Connect provider vouches for
    OPERATOR_UNLINKED = "operator_unlinked"  #: no provider vouches for them any more
    OPERATOR_UNLOCKED = "operator_unlocked"  #: the wait after too many wrong passwords was ended
    PASSWORD_CHANGED = "password_changed"  #: by themselves, or by an admin
    SIGNED_IN = "signed_in"  #: with a password, or vouched for by a provider
    SIGNED_OUT = "signed_out"  #: by themselves
    SIGN_IN_DENIED = "sign_in_denied"  #: an OpenID Connect provider vouches for somebody who is no operator
    SIGN_IN_FAILED = "sign_in_failed"  #: a wrong name or password
    SIGN_IN_BLOCKED = "sign_in_blocked"  #: too many failed; told once, when it begins
    TOKEN_ADDED = "token_added"  #: an API token was made; `reason` has its scope
    TOKEN_REVOKED = "token_revoked"  #: an API token was ended
    TOKEN_REFUSED = "token_refused"  #: an API token that is unknown, ended, or of a disabled operator was sent
    REQUEST_DENIED = "request_denied"  #: somebody known asked for what they may not do
    KNOBS_CHANGED = "knobs_changed"  #: a version of the knobs came into force in a scope
    BACKTEST_REQUESTED = "backtest_requested"  #: settings are to be tried on stored days
    BACKTEST_CANCELLED = "backtest_cancelled"  #: a backtest was ended before it finished
    BACKTEST_EXPORTED = "backtest_exported"  #: the findings that a backtest changes were taken away as a file
    APPROVED_SOFTWARE_IMPORTED = "approved_software_imported"  #: a file took the place of the approved inventory
    RESULTS_IMPORTED = "results_imported"  #: result lines came in the name of nodes, by the API
    FLOWS_IMPORTED = "flows_imported"  #: flow logs came in the name of a sensor, by the API
    ENROLL_SECRET_ADDED = "enroll_secret_added"  #: agents may enroll with a new secret
    ENROLL_SECRET_REVOKED = "enroll_secret_revoked"  #: an enroll secret was ended
    NODE_REVOKED = "node_revoked"  #: a node was shut out
    NODE_ROLE_CHANGED = "node_role_changed"  #: a known node enrolled again with a secret of another role
    ROLE_RENAMED = "role_renamed"  #: a role of nodes has another name
    SERVER_STARTED = "server_started"  #: `portbook serve` began to serve, and to log
    SERVER_STOPPED = "server_stopped"  #: it ended, by a signal or an error
    SETTINGS_CHANGED = "settings_changed"  #: a server started with other settings than the last time on its host
    DAY_DROPPED = "day_dropped"  #: retention dropped a day of a table
    AUDIT_LOG_READ = "audit_log_read"  #: somebody listed events of this log
    AUDIT_LOG_EXPORTED = "audit_log_exported"  #: somebody took lines of this log away
    CHAIN_CHECKED = "chain_checked"  #: the chain of this log was verified; `daily` by Portbook itself
    FINDING_TRIAGED = "finding_triaged"  #: findings were given another state
    FINDING_ASSIGNED = "finding_assigned"  #: a finding became somebody's work, or nobody's
    FINDING_COMMENTED = "finding_commented"  #: somebody wrote a comment
    BASELINE_DRAFTED = "baseline_drafted"  #: a new version of a baseline was begun
    BASELINE_EDITED = "baseline_edited"  #: somebody wrote in a draft
    BASELINE_SUBMITTED = "baseline_submitted"  #: a draft waits for a decision
    BASELINE_ABANDONED = "baseline_abandoned"  #: a draft, or what was submitted, was given up
    BASELINE_APPROVED = "baseline_approved"  #: somebody else decided for it
    BASELINE_REJECTED = "baseline_rejected"  #: somebody else decided against it
    BASELINE_APPLIED = "baseline_applied"  #: came into force, and open findings were held against it
    BASELINE_EXPORTED = "baseline_exported"  #: a version was taken away as a file
    BASELINE_INTERVAL_CHANGED = "baseline_interval_changed"  #: of its reviews
    BASELINE_REVIEW_OPENED = "baseline_review_opened"  #: beside the calendar, after an incident
    BASELINE_REVIEWED = "baseline_reviewed"  #: every entry was confirmed, or its removal asked for
    EXCEPTION_REQUESTED = "exception_requested"  #: somebody asks to accept deviations for a time
    EXCEPTION_APPROVED = "exception_approved"  #: somebody else decided for it
    EXCEPTION_REJECTED = "exception_rejected"  #: somebody else decided against it
    EXCEPTION_REVOKED = "exception_revoked"  #: ended before its time, and what it covered was opened again
    EXCEPTION_DECIDED = "exception_decided"  #: tried, and denied where duties must be separate
    EXCEPTION_ENDS_SOON = "exception_ends_soon"  #: within two weeks; told once
    EXCEPTION_EXPIRED = "exception_expired"  #: what it covered was opened again
    INVESTIGATION_ASKED = "investigation_asked"  #: reviewed queries are sent to a node, for a finding
    INVESTIGATION_ENDED = "investigation_ended"  #: answered, or given up; with the hash of all answers
