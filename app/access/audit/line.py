"""One event as the bytes that are chained: compact JSON; the database puts sequence and hash of the line before it."""

import json
from datetime import datetime

from app.access.actor import Actor
from app.access.audit.deed import Deed

#: Source: NIST SP 800-53 AU-3, PCI DSS 10.2.2. The database takes a line with these fields in this order only.
FIELDS = (
    *("ts", "actor_id", "actor_name", "actor_role", "auth_method", "source_ip"),
    *("action", "object_type", "object_id", "object_version", "before_sha256", "after_sha256"),
    *("outcome", "reason", "request_id"),
)
REASON_MAX = 2_000  #: characters
NAME_MAX = 256  #: characters of any other field: three of them fit an index, whatever they are written in


def line_of(actor: Actor, deed: Deed, now: datetime) -> str:
    said = (
        now.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        actor.operator_id,
        actor.name,
        ",".join(sorted(actor.duties)),
        actor.method.value,
        actor.source_ip,
        deed.action.value,
        deed.object_type,
        deed.object_id,
        deed.object_version,
        deed.before_sha256.hex() if deed.before_sha256 else None,
        deed.after_sha256.hex() if deed.after_sha256 else None,
        deed.outcome.value,
        deed.reason,
        actor.request_id,
    )
    bounded = {
        name: _storable(value, REASON_MAX if name == "reason" else NAME_MAX) if isinstance(value, str) else value
        for name, value in zip(FIELDS, said, strict=True)
    }
    return json.dumps(bounded, separators=(",", ":"), ensure_ascii=True)


def _storable(text: str, longest: int) -> str:
    """What PostgreSQL's jsonb and one line of ASCII can hold: no NUL, no DEL, no half of a surrogate pair."""
    whole = text[: longest + 1].encode("utf-8", "replace").decode().translate({0: "\ufffd", 0x7F: "\ufffd"})
    return whole if len(whole) <= longest else f"{whole[: longest - 1]}…"
