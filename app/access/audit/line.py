"""One event as the bytes that are chained: compact JSON; the database puts sequence and hash of the line before it."""

import json
from datetime import datetime

from app.access.actor import Actor
from app.access.audit.deed import Deed

TEXT_MAX = 2_000  #: characters of any one field


def line_of(actor: Actor, deed: Deed, now: datetime) -> str:
    """Source of the fields: NIST SP 800-53 AU-3, PCI DSS 10.2.2."""
    said = {
        "ts": now.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "actor_id": actor.operator_id,
        "actor_name": actor.name,
        "actor_role": ",".join(sorted(actor.duties)),
        "auth_method": actor.method.value,
        "source_ip": actor.source_ip,
        "action": deed.action.value,
        "object_type": deed.object_type,
        "object_id": deed.object_id,
        "object_version": deed.object_version,
        "before_sha256": deed.before_sha256.hex() if deed.before_sha256 else None,
        "after_sha256": deed.after_sha256.hex() if deed.after_sha256 else None,
        "outcome": deed.outcome.value,
        "reason": deed.reason,
        "request_id": actor.request_id,
    }
    bounded = {name: _storable(value) if isinstance(value, str) else value for name, value in said.items()}
    return json.dumps(bounded, separators=(",", ":"), ensure_ascii=True)


def _storable(text: str) -> str:
    """What PostgreSQL's jsonb can hold: no NUL and no half of a surrogate pair."""
    whole = text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
    return whole if len(whole) <= TEXT_MAX else f"{whole[: TEXT_MAX - 1]}…"
