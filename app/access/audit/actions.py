"""Every action that the audit log knows, so that an auditor can read the list and a test can demand it."""

from enum import StrEnum


class Action(StrEnum):
    OPERATOR_ADDED = "operator_added"
    TOKEN_ADDED = "token_added"  # noqa: S105 - a name, not a token
    TOKEN_REVOKED = "token_revoked"  # noqa: S105 - likewise
    REQUEST_DENIED = "request_denied"  #: somebody known asked for what they may not do
    KNOBS_CHANGED = "knobs_changed"
    INVESTIGATION_ASKED = "investigation_asked"
    INVESTIGATION_ENDED = "investigation_ended"  #: answered, or given up; with the hash of all answers
