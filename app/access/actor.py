"""Who acts: an operator, a program with a token of its own, an account at the command line, or Portbook itself."""

from dataclasses import dataclass
from enum import StrEnum

from app.access.duties import Duty, Permission


class AuthMethod(StrEnum):
    """How an actor proved who they are."""

    PASSWORD = "password"  # noqa: S105 - a name, not a password
    OPENID = "openid"
    TOKEN = "token"  # noqa: S105 - likewise
    ENROLL_SECRET = "enroll_secret"  # noqa: S105 - likewise
    OS_ACCOUNT = "os_account"  #: at the command line, beside the database
    NONE = "none"  #: nobody yet, or Portbook itself


@dataclass(frozen=True, slots=True)
class Actor:
    """`operator_id` is a person's; without one nothing can be decided. `roles` None: nodes of every role."""

    name: str
    method: AuthMethod
    operator_id: int | None = None
    duties: frozenset[Duty] = frozenset()
    permissions: frozenset[Permission] = frozenset()
    roles: frozenset[int] | None = None
    source_ip: str = ""
    request_id: str = ""


#: What happens by itself: expiry, retention, a judgement.
PORTBOOK = Actor("portbook", AuthMethod.NONE)


def nobody(name: str, source_ip: str = "", request_id: str = "") -> Actor:
    """Who says to be `name` and has not proved it."""
    return Actor(name, AuthMethod.NONE, source_ip=source_ip, request_id=request_id)


def os_account(name: str) -> Actor:
    """Who can reach the database needs no permission of ours; the log says who it was."""
    return Actor(name, AuthMethod.OS_ACCOUNT, permissions=frozenset(Permission))
