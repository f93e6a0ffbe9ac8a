"""Every action that the audit log knows, so that an auditor can read the list and a test can demand it."""

from enum import StrEnum


class Action(StrEnum):
    OPERATOR_ADDED = "operator_added"
    TOKEN_ADDED = "token_added"  # noqa: S105 - a name, not a token
    TOKEN_REVOKED = "token_revoked"  # noqa: S105 - likewise
    REQUEST_DENIED = "request_denied"  #: somebody known asked for what they may not do
    KNOBS_CHANGED = "knobs_changed"
    BASELINE_DRAFTED = "baseline_drafted"
    BASELINE_EDITED = "baseline_edited"
    BASELINE_SUBMITTED = "baseline_submitted"
    BASELINE_ABANDONED = "baseline_abandoned"
    BASELINE_APPROVED = "baseline_approved"
    BASELINE_REJECTED = "baseline_rejected"
    BASELINE_APPLIED = "baseline_applied"  #: came into force, and open findings were held against it
    BASELINE_EXPORTED = "baseline_exported"
    BASELINE_INTERVAL_CHANGED = "baseline_interval_changed"
    BASELINE_REVIEW_OPENED = "baseline_review_opened"
    BASELINE_REVIEWED = "baseline_reviewed"
