"""A stream of log bytes → parts of flow records, with an account of all that was left out."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from app.flows import suricata, zeek
from app.flows.fields import EARLIEST, LATEST, SAMPLE_CHARACTERS, BadField
from app.flows.lines import Inflated, Lines
from app.flows.records import FlowRecord, Tool
from app.flows.zeek import FIELDS, NotOfAFlow
from app.flows.zeek_text import ZeekText

#: Lines of an unknown kind after which a stream is none of ours.
STRANGE_LINES_MAX = 20
#: Names of logs and kinds of faults come from the input: past this many they share one entry.
NAMES_MAX = 100
OTHERS = "others"
CUT_LAST = "no end of line: it was cut, or is still being written"


class NotAFlowLog(Exception):
    """Not one line of it is of a Zeek log or a Suricata EVE log."""

    def __init__(self) -> None:
        super().__init__("not a Zeek log (text with its # header, or JSON) and not a Suricata EVE log")


@dataclass(slots=True)
class Fault:
    """Lines left out because one of their fields says something impossible."""

    field: str  #: empty when the whole line is wrong
    problem: str
    first_line: int  #: from 1, in its file or stream
    sample: str  #: what stood there, in ASCII
    lines: int = 0


@dataclass(slots=True)
class Account:
    """What became of the lines of one stream; header and blank lines are not counted."""

    lines: int = 0
    parts: int = 0
    logs: dict[str, int] = field(default_factory=dict)  #: `zeek/conn` → lines that told something
    ignored: dict[str, int] = field(default_factory=dict)  #: what is not read → lines
    faults: dict[tuple[str, str], Fault] = field(default_factory=dict)

    @property
    def faulty(self) -> int:
        return sum(fault.lines for fault in self.faults.values())

    def take(self, log: str) -> None:
        self.parts += 1
        self.logs[log] = self.logs.get(log, 0) + 1

    def ignore(self, what: str) -> None:
        name = what if what in self.ignored or len(self.ignored) < NAMES_MAX else OTHERS
        self.ignored[name] = self.ignored.get(name, 0) + 1

    def reject(self, line: int, bad: BadField) -> None:
        name = (bad.field, bad.problem)
        name = name if name in self.faults or len(self.faults) < NAMES_MAX else ("", OTHERS)
        self.faults.setdefault(name, Fault(*name, line, bad.sample)).lines += 1


@dataclass(frozen=True, slots=True)
class Span:
    """Starts of the flows that are wanted, in unix seconds; the texts say to a person what is wrong with others."""

    earliest: float = EARLIEST
    latest: float = LATEST
    too_old: str = ""
    too_new: str = ""


class FlowReader:
    """Give it the bytes of one file or stream as they come, then `finish`.

    The kind is recognised by content, line by line where that is JSON, so that streams of several logs work as well.
    """

    def __init__(
        self, sensor: str, *, tool: Tool | None = None, span: Span | None = None, max_bytes: int | None = None
    ) -> None:
        self.account = Account()
        self._sensor, self._tool, self._span = sensor, tool, span or Span()
        self._inflated, self._lines, self._text = Inflated(max_bytes), Lines(), ZeekText()
        self._line, self._strange, self._recognised, self._log = 0, 0, False, ""
        self._json = msgspec.json.Decoder(dict[str, object])

    @property
    def line(self) -> int:
        """The number of the line that was read last, from 1."""
        return self._line

    def read(self, chunk: bytes) -> Iterator[list[FlowRecord]]:
        """Parts of records, in small lists. Raises: UnreadableStream; NotAFlowLog."""
        for piece in self._inflated.pieces(chunk):
            yield list(self._parts(self._lines.of(piece)))

    def finish(self) -> list[FlowRecord]:
        """Those of the last line, which may be cut. Raises: UnreadableStream; NotAFlowLog."""
        parts = list(self._parts(self._lines.of(self._inflated.rest())))
        for line in self._lines.last():
            parts += self._parts([line], is_whole=line is None or line.startswith(b"{"))
        if self._strange and not self._recognised:
            raise NotAFlowLog
        return parts

    def _parts(self, lines: list[bytes | None], *, is_whole: bool = True) -> Iterator[FlowRecord]:
        for line in lines:
            self._line += 1
            try:
                part = self._part(line, is_whole=is_whole)
                if part is not None:
                    self._check(part)
            except BadField as bad:
                self.account.reject(self._line, bad)
            except NotOfAFlow as aside:
                self.account.ignore(f"{self._log}: {aside}" if str(aside) else self._log)
            else:
                if part is not None:
                    self.account.take(self._log)
                    yield part

    def _part(self, line: bytes | None, *, is_whole: bool) -> FlowRecord | None:
        """None for headers and blank lines. Raises: BadField; NotOfAFlow; NotAFlowLog."""
        if line is not None and line.startswith(b"#"):
            self._head(line)
            return None
        if line is not None and (not line or line.isspace()):
            return None
        self.account.lines += 1
        if line is None:
            raise BadField("", "longer than any line of a log") if self._recognised else NotAFlowLog()
        if line.startswith(b"{"):
            return self._from_json(line)
        if not self._text.log:
            raise self._stranger(line)
        if not is_whole:
            raise BadField("", CUT_LAST)
        return self._from_text(line.removesuffix(b"\r"))

    def _head(self, line: bytes) -> None:
        """Comments of other programs start so too: only a named log makes a file one of Zeek's."""
        self._text.head(line.decode("utf-8", "replace").removesuffix("\r"))
        self._recognised = self._recognised or bool(self._text.log)

    def _from_text(self, line: bytes) -> FlowRecord:
        self._is_of("zeek", self._text.log)
        return zeek.part_of(self._text.log, self._sensor, self._text.values(line))

    def _from_json(self, line: bytes) -> FlowRecord:
        try:
            event = self._json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            if not self._recognised:
                raise self._stranger(line) from None
            is_text = not isinstance(error, UnicodeDecodeError) and "utf-8" not in str(error).lower()
            raise BadField("", "not JSON: cut or broken" if is_text else "not UTF-8") from None
        kind = event.get("event_type")
        if isinstance(kind, str) and "timestamp" in event:
            self._is_of("suricata", kind)
            return suricata.part_of(self._sensor, event)
        log = event.get("_path") or zeek.log_of(event) or ("unnamed" if "ts" in event and "uid" in event else "")
        if not isinstance(log, str) or not log:
            raise self._stranger(line)
        self._is_of("zeek", log)
        return zeek.part_of(log, self._sensor, [event.get(name) for name in FIELDS[log]])

    def _is_of(self, tool: Tool, log: str) -> None:
        """Raises: NotOfAFlow when it is not read."""
        self._recognised = True
        self._log = f"{tool}/{_printable(log)}"
        if self._tool not in {None, tool} or (tool == "zeek" and log not in FIELDS):
            raise NotOfAFlow

    def _stranger(self, line: bytes) -> Exception:
        self._strange += 1
        if self._strange > STRANGE_LINES_MAX and not self._recognised:
            return NotAFlowLog()
        return BadField("", "not a line of a flow log", line[:SAMPLE_CHARACTERS].decode("utf-8", "replace"))

    def _check(self, part: FlowRecord) -> None:
        if part.started_at < self._span.earliest:
            raise BadField(_TIME_FIELDS[part.tool], self._span.too_old, part.started_at)
        if part.started_at >= self._span.latest:
            raise BadField(_TIME_FIELDS[part.tool], self._span.too_new, part.started_at)


_TIME_FIELDS = {"zeek": "ts", "suricata": "timestamp"}


def _printable(name: str) -> str:
    """A name from the input, fit for a terminal and no longer than a name."""
    return ascii(name)[1:-1][:SAMPLE_CHARACTERS]
