"""Enroll secrets: made with a role, optionally an expiry and a quota; shown once and kept as a hash."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import token_urlsafe

from app.access.actor import Actor
from app.access.audit.actions import Action
from app.access.audit.deed import Deed
from app.access.audit.record import record
from app.database import Database
from app.fleet import store
from app.fleet.enrollment import secret_hash
from app.fleet.models import EnrollSecret
from app.problems import Conflict, InvalidRequest, NotFound

SECRET_MIN_CHARACTERS = 16
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


@dataclass(frozen=True, slots=True)
class NewSecret:
    """`text` imports the secret of another server, so that its agents need no new one; None makes a random one."""

    name: str
    role: str
    text: str | None = None
    valid_for: timedelta | None = None
    quota: int | None = None


async def add_secret(database: Database, wanted: NewSecret, actor: Actor, now: datetime) -> str:
    """Returns the secret's text, which is not kept.

    Raises: InvalidRequest, Conflict when the name or the text is taken.
    """
    _check(wanted)
    text = wanted.text or token_urlsafe(32)
    async with database.writing() as session:
        role_id = await store.get_or_add_role(session, wanted.role)
        added = await store.insert_secret(
            session,
            name=wanted.name,
            secret_sha256=secret_hash(text),
            role_id=role_id,
            created_at=now,
            expires_at=now + wanted.valid_for if wanted.valid_for else None,
            quota=wanted.quota,
        )
        if not added:
            raise Conflict(f"an enroll secret named {wanted.name!r}, or with the same text, exists already")
        record(session, actor, Deed(Action.ENROLL_SECRET_ADDED, "enroll_secret", wanted.name, reason=_terms(wanted)))
    return text


def _terms(wanted: NewSecret) -> str:
    quota = f", at most {wanted.quota} nodes" if wanted.quota else ""
    return f"role {wanted.role}" + (f", for {wanted.valid_for.days} days" if wanted.valid_for else "") + quota


def check_name(field: str, value: str) -> None:
    """Of a secret or a role. Raises: InvalidRequest."""
    if not _NAME.fullmatch(value):
        text = f"{field} {value[:100]!r}: use lower-case letters, digits, dot, dash and underscore"
        raise InvalidRequest(text, field=field)


def _check(wanted: NewSecret) -> None:
    for field, value in (("name", wanted.name), ("role", wanted.role)):
        check_name(field, value)
    if wanted.text is not None and len(wanted.text) < SECRET_MIN_CHARACTERS:
        raise InvalidRequest(f"a secret needs at least {SECRET_MIN_CHARACTERS} characters", field="text")
    if wanted.quota is not None and wanted.quota < 1:
        raise InvalidRequest("a quota is at least 1", field="quota")
    if wanted.valid_for is not None and wanted.valid_for <= timedelta(0):
        raise InvalidRequest("a secret must be valid for some time", field="valid_for")


async def list_secrets(database: Database) -> Sequence[tuple[EnrollSecret, str]]:
    """Each with the name of its role."""
    async with database.reading() as session:
        return await store.list_secrets(session)


async def revoke(database: Database, name: str, actor: Actor, now: datetime) -> None:
    """Nodes that enrolled with it stay. Raises: NotFound."""
    async with database.writing() as session:
        if not await store.revoke_secret(session, name, now):
            raise NotFound(f"no valid enroll secret is named {name!r}")
        record(session, actor, Deed(Action.ENROLL_SECRET_REVOKED, "enroll_secret", name))
