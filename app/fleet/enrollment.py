"""Enroll secret → node key. Enrolling again keeps the node; a clone with other hardware gets a node of its own."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from app.access.actor import Actor, AuthMethod
from app.access.audit.actions import Action
from app.access.audit.deed import Deed
from app.access.audit.record import record
from app.database import Database, WriteSession
from app.fleet import store
from app.fleet.models import EnrollSecret, Node
from app.fleet.nodes import key_hash, new_node_key
from app.osquery.protocol import EnrollRequest
from app.osquery.results import clean

#: A second thread of an agent may still be in flight with the key that an enrollment replaced.
OLD_KEY_GRACE = timedelta(hours=1)
#: Identifier and hardware together fit an index of the database, whatever they are written in.
IDENTIFIER_MAX = 256
HARDWARE_MAX = 128
CELL_MAX = 4096

#: Bits of `platform_type`. Source: osquery/core/system.h PlatformType.
WINDOWS, MACOS = 0x02, 0x10

#: Values that vendors ship in place of a serial number; they tell no two machines apart.
PLACEHOLDERS = frozenset(
    {"", "0", "none", "n/a", "unknown", "not specified", "default string", "system serial number",
     "to be filled by o.e.m.", "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"}
)  # fmt: skip


class EnrollmentRefused(Exception):
    """Why an agent may not enroll; the text goes to our log, the agent hears only that it failed."""


@dataclass(frozen=True, slots=True)
class Enrolled:
    node_id: int
    node_key: str
    is_new: bool


def secret_hash(secret: str) -> bytes:
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()


async def enroll(database: Database, request: EnrollRequest, now: datetime) -> Enrolled:
    """One transaction: the secret's quota, the node and its key change together or not at all.

    Raises: EnrollmentRefused.
    """
    host_identifier = clean(request.host_identifier)[:IDENTIFIER_MAX]
    if not host_identifier:
        raise EnrollmentRefused("no host_identifier")
    details = _details(request)
    async with database.writing() as session:
        secret = await _valid_secret(session, request.enroll_secret, now)
        await store.lock_host_identifier(session, host_identifier)
        node = await store.find_node(session, host_identifier, hardware_of(details))
        if node is not None and node.revoked_at is not None:
            raise EnrollmentRefused(f"node {node.node_id} is revoked")
        if not await store.use_secret(session, secret.name, now, new_node=node is None):
            raise EnrollmentRefused(f"secret {secret.name!r} has reached its quota")
        facts = _facts(request, details, secret)
        if node is None:
            identity = {"host_identifier": host_identifier, "hardware": hardware_of(details), "enrolled_at": now}
            node_id = await store.insert_node(session, **identity, **facts)
        else:
            node_id = node.node_id
            await _note_role(session, node, secret)
            await store.update_node(session, node_id, **facts)
        key = new_node_key()
        await store.replace_keys(session, node_id, key_hash(key), now, now + OLD_KEY_GRACE)
    return Enrolled(node_id, key, is_new=node is None)


async def _note_role(session: WriteSession, node: Node, secret: EnrollSecret) -> None:
    """What a node is judged by may not change unseen."""
    if node.role_id == secret.role_id:
        return
    roles = await store.list_roles(session)
    actor = Actor(secret.name, AuthMethod.ENROLL_SECRET)
    reason = f"{roles[node.role_id]} before, {roles[secret.role_id]} now"
    record(session, actor, Deed(Action.NODE_ROLE_CHANGED, "node", str(node.node_id), reason=reason))


async def _valid_secret(session: WriteSession, text: str, now: datetime) -> EnrollSecret:
    secret = await store.find_secret(session, secret_hash(text)) if text else None
    if secret is None:
        raise EnrollmentRefused("unknown enroll secret")
    if secret.revoked_at is not None:
        raise EnrollmentRefused(f"secret {secret.name!r} is revoked")
    if secret.expires_at is not None and secret.expires_at <= now:
        raise EnrollmentRefused(f"secret {secret.name!r} has expired")
    return secret


def _details(request: EnrollRequest) -> dict[str, dict[str, str]]:
    """host_details cleaned for Postgres: real agents send NULs in cpu_brand."""
    tables = request.host_details or {}
    return {clean(table): {clean(k): clean(str(v))[:CELL_MAX] for k, v in row.items()} for table, row in tables.items()}


def _facts(request: EnrollRequest, details: dict[str, dict[str, str]], secret: EnrollSecret) -> dict[str, Any]:
    system, info = details.get("system_info", {}), details.get("osquery_info", {})
    return {
        "hostname": system.get("hostname") or clean(request.host_identifier)[:IDENTIFIER_MAX],
        "platform": platform_of(request.platform_type),
        "role_id": secret.role_id,
        "osquery_version": info.get("version", ""),
        "instance_id": info.get("instance_id"),
        "details": details,
    }


def platform_of(platform_type: str | int) -> str:
    """The platform by the bits of a decimal mask: Windows sends 2, macOS 21, Linux 9."""
    try:
        bits = max(0, int(platform_type))
    except ValueError:
        return "other"
    if bits & WINDOWS:
        return "windows"
    return "macos" if bits & MACOS else "other"


def hardware_of(details: dict[str, dict[str, str]]) -> str:
    """What tells two machines with one identifier apart, or empty if the agent said nothing usable."""
    system = details.get("system_info", {})
    parts = (
        system.get(column, "")[:HARDWARE_MAX].strip().lower() for column in ("hardware_serial", "board_serial", "uuid")
    )
    return "|".join("" if part in PLACEHOLDERS else part for part in parts).strip("|")
