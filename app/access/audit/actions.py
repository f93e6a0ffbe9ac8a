"""Every action that the audit log knows, so that an auditor can read the list and a test can demand it."""

from enum import StrEnum


class Action(StrEnum):
    OPERATOR_ADDED = "operator_added"
    TOKEN_ADDED = "token_added"  # noqa: S105 - a name, not a token
    TOKEN_REVOKED = "token_revoked"  # noqa: S105 - likewise
    REQUEST_DENIED = "request_denied"  #: somebody known asked for what they may not do
    KNOBS_CHANGED = "knobs_changed"
    EXCEPTION_REQUESTED = "exception_requested"
    EXCEPTION_APPROVED = "exception_approved"
    EXCEPTION_REJECTED = "exception_rejected"
    EXCEPTION_REVOKED = "exception_revoked"
    EXCEPTION_DECIDED = "exception_decided"  #: tried, and denied where duties must be separate
    EXCEPTION_ENDS_SOON = "exception_ends_soon"
    EXCEPTION_EXPIRED = "exception_expired"  #: what it covered was opened again
