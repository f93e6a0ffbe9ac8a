"""Finds what a request names, or says that it is not there; an operator limited to some roles finds theirs only."""

from contextlib import AbstractAsyncContextManager

from app.access.actor import Actor
from app.access.audit.actions import Action
from app.access.audit.deed import Deed
from app.access.audit.record import denials_recorded
from app.baselines import store
from app.baselines.models import BaselineVersion
from app.baselines.store import Named
from app.database import Database, ReadSession
from app.detection.behaviour import Platform
from app.detection.knob_rules import is_line
from app.fleet.store import list_roles
from app.problems import Forbidden, InvalidRequest, NotFound

TEXT_MAX = 1_000  #: characters of a reason


async def baseline(session: ReadSession, actor: Actor, baseline_id: int) -> Named:
    """Raises: NotFound."""
    found = await store.find_baseline(session, baseline_id)
    if found is None or (actor.roles is not None and found[0].role_id not in actor.roles):
        raise NotFound(f"no baseline {baseline_id}")
    return found


async def version(session: ReadSession, baseline_id: int, number: int) -> BaselineVersion:
    """Raises: NotFound."""
    found = await store.find_version(session, baseline_id, number)
    if found is None:
        raise NotFound(f"baseline {baseline_id} has no version {number}")
    return found


async def role(session: ReadSession, actor: Actor, name: str) -> int:
    """Raises: InvalidRequest, naming the field."""
    roles = {known: role_id for role_id, known in (await list_roles(session)).items()}
    seen = {known: role_id for known, role_id in roles.items() if actor.roles is None or role_id in actor.roles}
    if name not in seen:
        known = ", ".join(sorted(seen)[:20]) or "none yet"
        raise InvalidRequest(f"no node has the role {name[:100]!r}; known: {known}", field="role")
    return seen[name]


def words(named: Named) -> str:
    """As people say it, e.g. `office-laptop on windows`."""
    of, role_name = named
    return f"{role_name} on {of.platform}"


def platform(named: Named) -> Platform:
    return Platform(named[0].platform)


def operator_of(actor: Actor) -> int:
    """Raises: Forbidden for who is no person."""
    if actor.operator_id is None:
        raise Forbidden("only an operator can answer for a baseline")
    return actor.operator_id


def one_line(field: str, said: str) -> str:
    """Raises: InvalidRequest, naming the field."""
    if not is_line(said, TEXT_MAX):
        raise InvalidRequest(f"{field} must be one visible line of at most {TEXT_MAX} characters", field=field)
    return said


def denials_logged(
    database: Database, actor: Actor, baseline_id: int, number: int
) -> AbstractAsyncContextManager[None]:
    deed = Deed(Action.REQUEST_DENIED, "baseline", str(baseline_id), str(number))
    return denials_recorded(database, actor, deed)
