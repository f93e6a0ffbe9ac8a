"""The SQL of the fleet."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, any_, delete, func, literal, or_, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, insert

from app.database import ReadSession, WriteSession
from app.fleet.models import EnrollSecret, Node, NodeKey, Role

UPDATE_HEARTBEATS = """
UPDATE nodes AS n SET heartbeat_at = new.at, instance_id = new.instance_id, reported_config_hash = new.config_hash,
  osquery_version = new.version
FROM unnest(%b::bigint[], %b::timestamptz[], %b::text[], %b::text[], %b::text[])
     AS new(node_id, at, version, instance_id, config_hash)
WHERE n.node_id = new.node_id
"""


async def get_or_add_role(session: WriteSession, name: str) -> int:
    added = insert(Role).values(name=name).on_conflict_do_nothing().returning(Role.role_id)
    role_id = await session.scalar(added)
    if role_id is None:
        role_id = (await session.scalars(select(Role.role_id).where(Role.name == name))).one()
    return role_id


async def list_roles(session: ReadSession) -> dict[int, str]:
    return {role.role_id: role.name for role in await session.scalars(select(Role))}


async def hold_roles(session: WriteSession) -> None:
    """Nobody adds or renames a role until this transaction ends."""
    await session.execute(text("LOCK TABLE roles IN SHARE ROW EXCLUSIVE MODE"))


async def rename_role(session: WriteSession, old: str, new: str) -> None:
    await session.execute(update(Role).where(Role.name == old).values(name=new))


async def count_nodes(session: ReadSession) -> Sequence[Row[str, str | None, int]]:
    """(role, platform, nodes that may report), roles without one too, with no platform."""
    query = select(Role.name, Node.platform, func.count(Node.node_id))
    query = query.outerjoin(Node, and_(Node.role_id == Role.role_id, Node.revoked_at.is_(None)))
    return (await session.execute(query.group_by(Role.name, Node.platform).order_by(Role.name, Node.platform))).all()


async def insert_secret(session: WriteSession, **values: object) -> bool:
    """False when a secret of that name or with that text exists already."""
    added = insert(EnrollSecret).values(**values).on_conflict_do_nothing().returning(EnrollSecret.name)
    return await session.scalar(added) is not None


async def list_secrets(session: ReadSession) -> Sequence[tuple[EnrollSecret, str]]:
    query = select(EnrollSecret, Role.name).join(Role, Role.role_id == EnrollSecret.role_id).order_by(EnrollSecret.name)
    return [(secret, role) for secret, role in await session.execute(query)]


async def revoke_secret(session: WriteSession, name: str, now: datetime) -> bool:
    changed = update(EnrollSecret).where(EnrollSecret.name == name, EnrollSecret.revoked_at.is_(None))
    return await session.scalar(changed.values(revoked_at=now).returning(EnrollSecret.name)) is not None


async def find_secret(session: WriteSession, secret_sha256: bytes) -> EnrollSecret | None:
    return await session.scalar(select(EnrollSecret).where(EnrollSecret.secret_sha256 == secret_sha256))


async def use_secret(session: WriteSession, name: str, now: datetime, *, new_node: bool) -> bool:
    """Count one use; False when a new node would exceed the quota. The row lock makes the count exact."""
    within = or_(literal(not new_node), EnrollSecret.quota.is_(None), EnrollSecret.nodes_total < EnrollSecret.quota)
    used = (
        update(EnrollSecret)
        .where(EnrollSecret.name == name, within)
        .values(last_used_at=now, nodes_total=EnrollSecret.nodes_total + int(new_node))
        .returning(EnrollSecret.name)
    )
    return await session.scalar(used) is not None


async def lock_host_identifier(session: WriteSession, host_identifier: str) -> None:
    """Two enrollments of one host at once follow each other, so that they become one node."""
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(host_identifier, 0))))


async def find_node(session: WriteSession, host_identifier: str, hardware: str) -> Node | None:
    query = select(Node).where(Node.host_identifier == host_identifier, Node.hardware == hardware)
    return await session.scalar(query)


async def find_node_by_identifier(session: WriteSession, host_identifier: str) -> Node | None:
    """The node of an identifier that no clone shares, else the one that was imported before."""
    found = (await session.scalars(select(Node).where(Node.host_identifier == host_identifier))).all()
    imported = [node for node in found if not node.hardware]
    return found[0] if len(found) == 1 else next(iter(imported), None)


async def get_nodes(session: ReadSession, node_ids: Sequence[int]) -> Sequence[Node]:
    return (await session.scalars(select(Node).where(Node.node_id.in_(node_ids)))).all()


async def insert_node(session: WriteSession, **values: object) -> int:
    return (await session.scalars(insert(Node).values(**values).returning(Node.node_id))).one()


async def update_node(session: WriteSession, node_id: int, **values: object) -> None:
    await session.execute(update(Node).where(Node.node_id == node_id).values(**values))


async def replace_keys(
    session: WriteSession, node_id: int, key_sha256: bytes, now: datetime, retires_at: datetime
) -> None:
    """Add a key; the ones before it stay valid for a while, and those already past it go."""
    await session.execute(delete(NodeKey).where(NodeKey.node_id == node_id, NodeKey.retires_at < now))
    older = update(NodeKey).where(NodeKey.node_id == node_id, NodeKey.retires_at.is_(None))
    await session.execute(older.values(retires_at=retires_at))
    await session.execute(insert(NodeKey).values(key_sha256=key_sha256, node_id=node_id, created_at=now))


async def find_keys(
    session: ReadSession, keys_sha256: Collection[bytes], now: datetime
) -> dict[bytes, tuple[int, int, str, str]]:
    """Key → node, role, platform, hostname of those that are valid. A revoked node has no valid key."""
    valid = or_(NodeKey.retires_at.is_(None), NodeKey.retires_at >= now)
    query = select(NodeKey.key_sha256, Node.node_id, Node.role_id, Node.platform, Node.hostname)
    query = query.join(Node, NodeKey.node_id == Node.node_id).where(valid, Node.revoked_at.is_(None))
    found = await session.execute(query.where(NodeKey.key_sha256 == any_(literal(list(keys_sha256), ARRAY(BYTEA)))))
    return {key: (node_id, role_id, platform, hostname) for key, node_id, role_id, platform, hostname in found}


async def revoke_node(session: WriteSession, node_id: int, now: datetime) -> bool:
    changed = update(Node).where(Node.node_id == node_id, Node.revoked_at.is_(None)).values(revoked_at=now)
    revoked = await session.scalar(changed.returning(Node.node_id))
    await session.execute(delete(NodeKey).where(NodeKey.node_id == node_id))
    return revoked is not None


def of_roles(roles: Collection[int] | None) -> list[ColumnElement[bool]]:
    """What keeps a list of nodes to some roles; nothing for who may see every one."""
    return [] if roles is None else [Node.role_id.in_(roles)]


async def list_nodes(
    session: ReadSession, conditions: Sequence[Any], order: Sequence[Any], limit: int
) -> Sequence[tuple[Node, str]]:
    query = select(Node, Role.name).join(Role, Role.role_id == Node.role_id).where(*conditions)
    return [(node, role) for node, role in await session.execute(query.order_by(*order).limit(limit))]
