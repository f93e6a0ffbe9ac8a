"""Events for people at the command line. That somebody lists them is an event too."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Column, Table
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


def events_table(events: Sequence[AuditEvent]) -> Table:
    table = Table("", Column("done (UTC)", min_width=10), box=SIMPLE_HEAD)
    for header in ("by", "what", "to what", "why"):
        table.add_column(header, overflow="fold")
    for each in events:
        said = read_line(each.line.encode())
        outcome = "" if each.outcome == Outcome.SUCCESS else f" {each.outcome}"
        table.add_row(
            str(each.seq),
            f"{each.at:%Y-%m-%d %H:%M:%S}",
            Text(f"{each.actor_name}\n{said['auth_method']} {said['source_ip']}".strip()),
            Text(each.action.replace("_", " ") + outcome, style=_STYLES.get(Outcome(each.outcome), "")),
            Text(f"{each.object_type} {each.object_id} {said['object_version']}".strip()),
            Text(said["reason"]),
        )
    return table
