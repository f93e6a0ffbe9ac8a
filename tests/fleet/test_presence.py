from datetime import UTC, datetime, timedelta

from app.fleet.models import Node
from app.fleet.presence import ONLINE_FOR, presence_of

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def a_node(**given: datetime | None) -> Node:
    return Node(**{"enrolled_at": NOW - timedelta(days=9), "heartbeat_at": None, "revoked_at": None, **given})


def test_a_node_is_online_as_long_as_it_was_heard_lately() -> None:
    assert presence_of(a_node(heartbeat_at=NOW - ONLINE_FOR), NOW).online
    assert not presence_of(a_node(heartbeat_at=NOW - ONLINE_FOR - timedelta(seconds=1)), NOW).online
    assert presence_of(a_node(enrolled_at=NOW), NOW).online
    assert not presence_of(a_node(), NOW).online


def test_anything_else_that_was_heard_counts_too() -> None:
    presence = presence_of(a_node(), NOW, None, NOW - timedelta(minutes=1))
    assert (presence.online, presence.last_heard_at) == (True, NOW - timedelta(minutes=1))


def test_a_revoked_node_is_not_there_whatever_it_sends() -> None:
    assert not presence_of(a_node(heartbeat_at=NOW, revoked_at=NOW), NOW).online
