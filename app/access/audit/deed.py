"""What the audit log tells of: one deed and how it ended."""

from dataclasses import dataclass
from enum import StrEnum

from app.access.audit.actions import Action


class Outcome(StrEnum):
    SUCCESS = "success"
    DENIED = "denied"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Deed:
    """What was done to what. Hashes are of the object's canonical form before and after, where it has one."""

    action: Action
    object_type: str
    object_id: str = ""
    object_version: str = ""
    before_sha256: bytes | None = None
    after_sha256: bytes | None = None
    outcome: Outcome = Outcome.SUCCESS
    reason: str = ""
