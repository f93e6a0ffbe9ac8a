"""Realistic log bodies: what a fleet's nodes post, prebuilt so that no clock counts their making."""

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random

from isal import igzip

from app.clock import utc_now
from app.simulator.lines import calendar_time

ROWS = 50
PROGRAMS = 200
PORTS = (443, 80, 8443, 5223, 3478, 8080, 5228, 587, 9443, 1433)
REMOVED_SHARE = 0.4  #: of a usual minute's rows: connections that ended
#: Of its rows, ends that are worth a note: one in 15 minutes for each behaviour of a node.
NOTED_ENDS_SHARE = 0.08
GZIP_LEVEL = 2

_FOLDERS = (
    r"C:\\Program Files\\%s\\Application",
    r"C:\\Program Files (x86)\\%s",
    r"C:\\Users\\ada\\AppData\\Local\\%s",
)
_MAKERS = ("Contoso", "Fabrikam", "Northwind", "Tailspin", "Adatum", "Litware", "Proseware", "Wingtip")

#: One event line as osqueryd writes it. Placeholders: counter, time; the behaviour's columns; the connection's.
_LINE = (
    b'{"name":"pack/windows_network/%(query)b","hostIdentifier":"04A7BDE5-3A80-4A6F-870A-4CA7C4383F07",'
    b'"calendarTime":"%(calendar)b","unixTime":%(at)d,"epoch":20777,"counter":%(counter)d,"numerics":false,'
    b'"columns":{"cmdline":"\\"%(path)b\\"","community_id":"1:%(community)b=","conn_state":"open",'
    b'"ip_version":"4","local_address":"10.20.1.10","local_port":"%(local)d","local_port_listening":"0",'
    b'"parent_name":"explorer.exe","parent_path":"C:\\\\Windows\\\\explorer.exe","parent_pid":"8524",'
    b'"pid":"%(pid)d","proc_name":"%(name)b","proc_path":"%(path)b","proc_start":"1795203815","protocol":"6",'
    b'"remote_address":"%(remote)b","remote_port":"%(port)d","svchost_hint":"","username":"ada"},"action":"%(action)b"}'
)


@dataclass(frozen=True, slots=True)
class Subject:
    """A program with the port it talks to, or listens on."""

    name: bytes
    path: bytes
    port: int
    listening: bool


def subject(number: int) -> Subject:
    """The catalogue: PROGRAMS times PORTS subjects; numbers beyond are programs that nobody has seen before."""
    program, place = divmod(number, len(PORTS))
    maker = f"{_MAKERS[program % len(_MAKERS)]} {chr(65 + program // 8 % 26)}{program // 208 or ''}"
    name = f"{maker.split(maxsplit=1)[0].lower()}{program}.exe"
    folder = _FOLDERS[program % len(_FOLDERS)] % maker
    return Subject(name.encode(), rf"{folder}\\{name}".encode(), PORTS[place], listening=place == len(PORTS) - 1)


CATALOGUE = tuple(subject(number) for number in range(PROGRAMS * len(PORTS)))


class Writer:
    """Writes gzip bodies of ROWS rows; what differs between two of them is what differs in life."""

    def __init__(self, seed: str) -> None:
        self._dice = Random(seed)
        self._at = int(utc_now().timestamp())
        self._counter = 0

    def body(
        self, subjects: list[Subject], node_key: str, *, removed_share: float = 0.0, added: Iterable[Subject] = ()
    ) -> bytes:
        self._counter += 1
        rows = [(each, self._dice.random() < removed_share) for each in subjects] + [(each, False) for each in added]
        rows.sort(key=lambda row: row[0].listening)  # a query's rows come together
        lines = [self._line(each, removed=removed) for each, removed in rows]
        text = b'{"data":[%b],"log_type":"result","node_key":"%b"}' % (b",".join(lines), node_key.encode())
        return bytes(igzip.compress(text, compresslevel=GZIP_LEVEL, mtime=0))

    def _line(self, each: Subject, *, removed: bool) -> bytes:
        bits = self._dice.getrandbits(216)
        dynamic = 50_000 + bits % 15_000
        remote = b"13.107.%d.%d" % (bits >> 20 & 255, bits >> 30 & 255)
        return _LINE % {
            b"query": b"listening" if each.listening else b"outbound",
            b"calendar": calendar_time(self._at).encode(),
            b"at": self._at,
            b"counter": self._counter,
            b"path": each.path,
            b"name": each.name,
            b"community": base64.b64encode(bits.to_bytes(27, "big"))[:27],
            b"local": each.port if each.listening else dynamic,
            b"pid": bits % 30_000,
            b"remote": remote,
            b"port": 0 if each.listening else each.port,
            b"action": b"removed" if removed else b"added",
        }


def usual(keys: list[str], each: int) -> Iterator[tuple[str, bytes]]:
    """`each` bodies a node in which nothing is new after the first: 100 subjects of its own, again and again."""
    writer = Writer("usual")
    for number, key in enumerate(keys):
        own = _own(number)
        for turn in range(each):
            rows = own[:ROWS] if turn % 2 == 0 else own[ROWS:]
            yield key, writer.body(rows, key, removed_share=REMOVED_SHARE if turn > 1 else 0.0)


def one_new(keys: list[str], each: int) -> Iterator[tuple[str, bytes]]:
    """`each` bodies a node with one row of ROWS that this node has not shown before."""
    writer = Writer("one new")
    for number, key in enumerate(keys):
        own = _own(number)
        for turn in range(each):
            rows = own[: ROWS - 1] if turn % 2 == 0 else own[ROWS : 2 * ROWS - 1]
            fresh = CATALOGUE[(number * 37 + 2 * ROWS + turn) % len(CATALOGUE)]
            share = NOTED_ENDS_SHARE if turn > 1 else 0.0
            yield key, writer.body(rows, key, removed_share=share, added=[fresh])


def all_new(keys: list[str], each: int, *, never_seen_from: int) -> Iterator[tuple[str, bytes]]:
    """`each` bodies a node, every row new for it; in every second body one that is new to the whole fleet."""
    writer = Writer("all new")
    never_seen = never_seen_from
    for number, key in enumerate(keys):
        for turn in range(each):
            first = number * 37 + turn * ROWS
            rows = [CATALOGUE[(first + place) % len(CATALOGUE)] for place in range(ROWS)]
            if turn % 2:
                never_seen += 1
                rows[-1] = subject(never_seen)
            yield key, writer.body(rows, key)


def _own(number: int) -> list[Subject]:
    return [CATALOGUE[(number * 37 + place) % len(CATALOGUE)] for place in range(2 * ROWS)]
