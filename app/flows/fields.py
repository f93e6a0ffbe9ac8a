"""Values of log fields, text or JSON, → typed ones; whatever is wrong is said by the field's name."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from math import isfinite

from app.detection.behaviour import Transport
from app.osquery.results import clean

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC).timestamp()
LATEST = datetime(2200, 1, 1, tzinfo=UTC).timestamp()
#: Zeek's JSON::TS_MILLIS writes whole milliseconds; no second of ours is so large.
MILLISECONDS_FROM = 1e11
SAMPLE_CHARACTERS = 40
TEXT_CHARACTERS = 200
ADDRESS_CHARACTERS = 64
MOST_WORDS = 16
LARGEST_COUNT = 2**63 - 1
DIGITS = re.compile(r"[0-9]{1,19}\Z")
IDENTIFIER = re.compile(r"[!-~]{1,64}\Z")
TRANSPORTS = {"tcp": Transport.TCP, "udp": Transport.UDP}
#: One protocol under the names of both tools and their versions.
SAME_PROTOCOL = {"ssl": "tls", "dce_rpc": "dcerpc", "krb": "krb5", "krb_tcp": "krb5", "krb_udp": "krb5"}


class BadField(Exception):
    """A line that says something impossible. `problem` is stable; `sample` is what stood there, fit for a terminal."""

    def __init__(self, field: str, problem: str, value: object = None) -> None:
        super().__init__(f"{field}: {problem}" if field else problem)
        self.field = field
        self.problem = problem
        self.sample = "" if value is None or value == "" else ascii(str(value)[:SAMPLE_CHARACTERS])[:SAMPLE_CHARACTERS]


def _bad(field: str, problem: str, value: object) -> BadField:
    return BadField(field, "missing" if value is None or value == "" else problem, value)


def identifier(field: str, value: object) -> str:
    """A flow's name: Zeek's uid is text, Suricata's flow_id a number. Raises: BadField."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not IDENTIFIER.match(text):
        raise _bad(field, "not an identifier", value)
    return text


def port(field: str, value: object) -> int:
    """Raises: BadField."""
    number = _whole(value)
    if number is None or number > 65535:  # noqa: PLR2004 - the last port
        raise _bad(field, "not a port from 0 to 65535", value)
    return number


def address(field: str, value: object) -> str:
    """In canonical text; IPv4 in IPv6 is IPv4, a zone is dropped. Raises: BadField."""
    if not isinstance(value, str):
        raise _bad(field, "not an address", value)
    try:
        return _canonical(value[:ADDRESS_CHARACTERS])
    except ValueError:
        raise BadField(field, "not an address", value) from None


@lru_cache(maxsize=65536)
def _canonical(text: str) -> str:
    parsed = ip_address(text.partition("%")[0])
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return str(mapped or parsed)


def transport(field: str, value: object) -> Transport | None:
    """None for a protocol without ports, or none of ours. Raises: BadField."""
    if not isinstance(value, str) or not value:
        raise _bad(field, "not a protocol", value)
    return TRANSPORTS.get(value.lower())


def instant(field: str, value: object) -> float:
    """Unix seconds, whole microseconds; from a number of seconds or milliseconds, or ISO 8601. Raises: BadField."""
    seconds = _number(value)
    if seconds is None and isinstance(value, str):
        seconds = _iso(value)
    if seconds is None:
        raise _bad(field, "not a time", value)
    if seconds >= MILLISECONDS_FROM:
        seconds /= 1000
    if not EARLIEST <= seconds < LATEST:
        raise BadField(field, "not a credible time", value)
    return round(seconds, 6)


def _iso(text: str) -> float | None:
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def duration(field: str, value: object) -> float | None:
    """Seconds, not negative; None where unset. Raises: BadField."""
    if value is None or value == "":
        return None
    seconds = _number(value)
    if seconds is None or not 0 <= seconds < LATEST:
        raise BadField(field, "not a duration", value)
    return seconds


def count(field: str, value: object) -> int | None:
    """None where unset. Raises: BadField."""
    if value is None or value == "":
        return None
    number = _whole(value)
    if number is None:
        raise BadField(field, "not a count", value)
    return number


def word(field: str, value: object, characters: int = TEXT_CHARACTERS) -> str:
    """Text that the database can hold, cut; empty where unset. Raises: BadField."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadField(field, "not text", value)
    return clean(value)[:characters]


def words(field: str, value: object) -> Sequence[str]:
    """A set: a list, or text with commas. Raises: BadField."""
    if isinstance(value, list):
        return [word(field, each) for each in value[:MOST_WORDS]]
    text = word(field, value)
    return text.split(",")[:MOST_WORDS] if text else ()


def protocol(name: str) -> str:
    """An application protocol as both tools shall call it."""
    lower = name.lower()
    return SAME_PROTOCOL.get(lower, lower)


def _whole(value: object) -> int | None:
    if isinstance(value, str) and DIGITS.match(value):
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_COUNT else None


def _number(value: object) -> float | None:
    if isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            return None
    elif isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value)
    else:
        return None
    return number if isfinite(number) else None
