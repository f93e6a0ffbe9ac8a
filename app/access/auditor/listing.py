"""Events for people at the command line. That somebody lists them is an event too."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from app.access.actor import Actor
from app.access.audit import store
from app.access.audit.actions import Action
from app.access.audit.deed import Deed, Outcome
from app.access.audit.models import AuditEvent
from app.access.audit.record import record
from app.access.audit.verify import read_line
from app.database import Database

_STYLES = {Outcome.DENIED: "yellow", Outcome.ERROR: "red"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """`about`: type of the object, or TYPE:ID."""

    actor: str | None = None
    action: Action | None = None
    about: str | None = None
    since: datetime | None = None

    @property
    def text(self) -> str:
        said = {"actor": self.actor, "action": self.action, "object": self.about, "since": self.since}
        return ", ".join(f"{name} {value}" for name, value in said.items() if value is not None)


async def list_events(database: Database, actor: Actor, wanted: Wanted, limit: int) -> Sequence[AuditEvent]:
    """The newest first."""
    kind, _, object_id = (wanted.about or "").partition(":")
    given: list[tuple[Any, Any]] = [
        (AuditEvent.actor_name, wanted.actor),
        (AuditEvent.action, wanted.action),
        (AuditEvent.object_type, kind or None),
        (AuditEvent.object_id, object_id or None),
    ]
    conditions = [column == value for column, value in given if value is not None]
    conditions += store.between(wanted.since, None)
    async with database.writing() as session:
        found = await store.list_events(session, conditions, [AuditEvent.seq.desc()], limit)
        record(session, actor, Deed(Action.AUDIT_LOG_READ, "audit_log", reason=wanted.text))
    return found


def events_view(events: Sequence[AuditEvent]) -> RenderableType:
    """Each in a line, its reason under it: names and ids are to be copied, so none is cut."""
    return Group(*(_event(each) for each in events))


def _event(event: AuditEvent) -> RenderableType:
    said = read_line(event.line.encode())
    what, outcome = event.action.replace("_", " "), Outcome(event.outcome)
    failed = "" if outcome == Outcome.SUCCESS or what.endswith(outcome) else f" ({outcome})"
    by = " ".join(filter(None, (said["auth_method"], said["source_ip"])))
    head = Text.assemble(
        f"{event.seq}  ", (f"{event.at:%Y-%m-%d %H:%M:%S} UTC", "dim"), f"  {event.actor_name} ", (f"({by})  ", "dim"),
        (f"{what}{failed}", _STYLES.get(outcome, "")),
        f": {event.object_type} {event.object_id} {said['object_version']}".rstrip(),
    )  # fmt: skip
    return Group(head, Padding(Text(said["reason"]), (0, 0, 0, 2))) if said["reason"] else head
