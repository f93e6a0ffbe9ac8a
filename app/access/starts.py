"""When a server starts and stops, and with which settings; never what is secret in them."""

import json
from collections.abc import Mapping
from hashlib import sha256
from socket import gethostname
from typing import Any, get_args

from pydantic import SecretStr

from app.access.actor import PORTBOOK
from app.access.audit import store
from app.access.audit.actions import Action
from app.access.audit.deed import Deed
from app.access.audit.record import record, record_alone
from app.access.audit.verify import read_line
from app.database import Database, WriteSession
from app.settings import Settings

#: Characters of one value in the log; the hash is of the whole.
VALUE_MAX = 100


async def note_start(database: Database, settings: Settings, where: str) -> None:
    """`where`: the address that it serves."""
    async with database.writing() as session:
        record(session, PORTBOOK, Deed(Action.SERVER_STARTED, "server", gethostname(), reason=where))
        await _note_settings(session, settings)


async def note_stop(database: Database, where: str) -> None:
    await record_alone(database, PORTBOOK, Deed(Action.SERVER_STOPPED, "server", gethostname(), reason=where))


async def _note_settings(session: WriteSession, settings: Settings) -> None:
    """The log itself remembers those of the last start: all that are not the defaults, in the event's reason."""
    now = told(settings)
    last = await store.newest_of(session, Action.SETTINGS_CHANGED, "settings", gethostname())
    said = read_line(last.line.encode()) if last else {}
    before = bytes.fromhex(said["after_sha256"]) if said else None
    after = sha256(json.dumps(now, sort_keys=True).encode()).digest()
    if after == before:
        return
    shown = {name: _short(value) for name, value in now.items()}
    reason = json.dumps({"changed": _changed(said.get("reason", ""), shown), "set": shown})
    deed = Deed(Action.SETTINGS_CHANGED, "settings", gethostname(), "", before, after, reason=reason)
    record(session, PORTBOOK, deed)


def told(settings: Settings) -> dict[str, str]:
    """Those that are not the defaults, by name; of a secret only that there is one."""
    values = settings.model_dump(mode="json")
    return {
        name: "(secret)" if _is_secret(field.annotation) else json.dumps(values[name])
        for name, field in type(settings).model_fields.items()
        if getattr(settings, name) != field.get_default(call_default_factory=True)
    }


def _is_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(map(_is_secret, get_args(annotation)))


def _short(value: str) -> str:
    return value if len(value) <= VALUE_MAX else f"{value[: VALUE_MAX - 1]}…"


def _changed(before: str, now: Mapping[str, str]) -> list[str]:
    """Names; all that are set where the log does not say what was before."""
    try:
        known: dict[str, str] = json.loads(before)["set"]
    except (ValueError, KeyError):
        known = {}
    return sorted(name for name in now.keys() | known.keys() if now.get(name) != known.get(name))
