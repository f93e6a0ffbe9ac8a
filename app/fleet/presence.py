"""Whether a node is there, as far as we can know: agents are heard, they cannot be called."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.fleet.models import Node

#: Two heartbeats of 120 s with their splay, and the delay of the agent's logger.
ONLINE_FOR = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Presence:
    last_heard_at: datetime
    online: bool


def presence_of(node: Node, now: datetime, *also: datetime | None) -> Presence:
    """`also`: other times at which the node was heard."""
    heard = max(at for at in (node.enrolled_at, node.heartbeat_at, *also) if at is not None)
    return Presence(heard, now - heard <= ONLINE_FOR and node.revoked_at is None)
