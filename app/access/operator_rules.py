"""What must hold of operators, whoever changes them: names, duties, roles, and that somebody administers."""

import json
import re
from collections.abc import Collection

from app.access import store
from app.access.actor import Actor
from app.access.duties import Duty
from app.access.models import Operator
from app.database import ReadSession
from app.problems import Conflict, InvalidRequest

NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,126}")


def duties_of(operator: Operator) -> frozenset[Duty]:
    return frozenset(map(Duty, operator.duties))


def duties_from(names: Collection[str]) -> frozenset[Duty]:
    """Raises: InvalidRequest."""
    known = {each.value: each for each in Duty}
    if unknown := sorted(set(names) - set(known)):
        raise InvalidRequest(f"no duty {unknown[0]!r}; there is {', '.join(known)}", field="duties")
    return frozenset(known[name] for name in names)


def check_name(name: str) -> None:
    """Raises: InvalidRequest."""
    if not NAME.fullmatch(name):
        raise InvalidRequest("a name has lower-case letters, digits and . _ @ + - only, at most 127", field="name")


def check_duties(duties: frozenset[Duty]) -> None:
    """Raises: InvalidRequest."""
    if not duties:
        raise InvalidRequest("an operator has at least one duty; disable who shall have none", field="duties")
    if {Duty.ADMIN, Duty.APPROVER} <= duties:
        raise InvalidRequest("nobody is admin and approver: who administers decides nothing", field="duties")


async def role_ids_of(session: ReadSession, roles: frozenset[str] | None) -> list[int] | None:
    """Raises: InvalidRequest."""
    if roles is None:
        return None
    known = {name: role_id for role_id, name in (await store.role_names(session)).items()}
    if not roles:
        raise InvalidRequest("name at least one role, or null for every role", field="roles")
    if unknown := sorted(roles - set(known)):
        there = ", ".join(sorted(known)[:20]) or "none yet"
        raise InvalidRequest(f"no node has the role {unknown[0]!r}; known: {there}", field="roles")
    return sorted(known[name] for name in roles)


def not_own(actor: Actor, operator: Operator, field: str, instead: str = "ask another admin") -> None:
    """Raises: Conflict."""
    if actor.operator_id == operator.operator_id:
        raise Conflict(f"nobody changes this of themselves; {instead}", field=field)


async def keep_an_admin(session: ReadSession, operator: Operator, field: str) -> None:
    """Raises: Conflict."""
    is_one = Duty.ADMIN in duties_of(operator) and not operator.disabled_at
    if is_one and await store.count_active(session, Duty.ADMIN) == 1:
        raise Conflict(f"{operator.name} is the last admin; make another one first", field=field)


def form_of(operator: Operator, **changed: object) -> bytes:
    """The canonical form, of which the audit log keeps the hash."""
    said = {name: getattr(operator, name) for name in ("name", "duties", "role_ids", "disabled_at")} | changed
    document = said | {"disabled_at": said["disabled_at"] and str(said["disabled_at"])}
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def words_of(before: bytes, after: bytes) -> str:
    """What differs between two canonical forms."""
    old, new = json.loads(before), json.loads(after)
    return "; ".join(f"{name}: {old[name]} → {new[name]}" for name in old if old[name] != new[name])
