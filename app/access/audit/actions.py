"""Every action that the audit log knows, so that an auditor can read the list and a test can demand it."""

from enum import StrEnum


class Action(StrEnum):
    OPERATOR_ADDED = "operator_added"
    OPERATOR_CHANGED = "operator_changed"  #: duties, or the roles of nodes that they may see
    OPERATOR_DISABLED = "operator_disabled"
    OPERATOR_ENABLED = "operator_enabled"
    OPERATOR_LINKED = "operator_linked"  #: with whom an OpenID Connect provider vouches for
    OPERATOR_UNLINKED = "operator_unlinked"
    OPERATOR_UNLOCKED = "operator_unlocked"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a name, not a password
    SIGNED_IN = "signed_in"
    SIGNED_OUT = "signed_out"
    SIGN_IN_DENIED = "sign_in_denied"  #: an OpenID Connect provider vouches for somebody who is no operator
    SIGN_IN_FAILED = "sign_in_failed"
    SIGN_IN_BLOCKED = "sign_in_blocked"  #: too many failed; told once, when it begins
    TOKEN_ADDED = "token_added"  # noqa: S105 - a name, not a token
    TOKEN_REVOKED = "token_revoked"  # noqa: S105 - likewise
    REQUEST_DENIED = "request_denied"  #: somebody known asked for what they may not do
    KNOBS_CHANGED = "knobs_changed"
