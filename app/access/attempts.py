"""How often somebody tries something: counted before it is looked at, so that many at once gain nothing.

Kept in the database, so that several workers count as one. Rows go when they no longer say anything.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from ipaddress import IPv6Address, IPv6Network, ip_address

from app.access import store
from app.database import WriteSession

MINUTE = timedelta(minutes=1)
FORGOTTEN_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Rule:
    """After `allowed` attempts each further one costs a pause, twice as long each time, up to `longest_pause`."""

    what: str
    allowed: int
    pause: timedelta
    longest_pause: timedelta
    memory: timedelta  #: after so long without an attempt all are forgotten

    def pause_after(self, count: int) -> timedelta | None:
        beyond = count - self.allowed
        return min(self.pause * 2 ** min(beyond, 20), self.longest_pause) if beyond >= 0 else None


#: Of one name, whether there is such an operator or not: an answer must not tell.
OF_NAME = Rule("sign-in of", 5, MINUTE, 15 * MINUTE, timedelta(hours=24))
#: From one address, whatever the names.
FROM_ADDRESS = Rule("sign-in from", 30, MINUTE, 15 * MINUTE, timedelta(hours=1))
#: Of one actor at one route, one identity, one token from one network: how many of them are logged.
DENIED = Rule("denied request of", 5, MINUTE, MINUTE, 5 * MINUTE)


@dataclass(frozen=True, slots=True)
class Counted:
    """`is_refused`: blocked already, and not counted. Otherwise this attempt may go on, and may be the last one."""

    is_refused: bool
    blocked_until: datetime | None


async def count(session: WriteSession, rule: Rule, whose: str, now: datetime) -> Counted:
    key = key_of(rule, whose)
    there = await store.hold_attempts(session, key, now)
    if there.blocked_until and there.blocked_until > now:
        return Counted(is_refused=True, blocked_until=there.blocked_until)
    number = 1 if there.forgotten_at <= now else there.count + 1
    pause = rule.pause_after(number)
    until = now + pause if pause else None
    await store.update_attempts(session, key, count=number, forgotten_at=now + rule.memory, blocked_until=until)
    await store.delete_old_attempts(session, now, FORGOTTEN_AT_ONCE)
    return Counted(is_refused=False, blocked_until=until)


async def take_back(session: WriteSession, rule: Rule, whose: str, now: datetime) -> None:
    """The attempt that was counted last was a good one."""
    key = key_of(rule, whose)
    there = await store.hold_attempts(session, key, now)
    await store.update_attempts(session, key, count=max(there.count - 1, 0), blocked_until=None)


async def forget(session: WriteSession, rule: Rule, whose: str) -> None:
    await store.delete_attempts(session, key_of(rule, whose))


def key_of(rule: Rule, whose: str) -> bytes:
    return sha256(f"{rule.what} {whose}".encode("utf-8", "surrogatepass")).digest()


def network_of(address: str) -> str:
    """An IPv6 host has 2^64 addresses of its own; they count as one."""
    try:
        known = ip_address(address)
    except ValueError:
        return address
    return str(IPv6Network((known, 64), strict=False)) if isinstance(known, IPv6Address) else address
