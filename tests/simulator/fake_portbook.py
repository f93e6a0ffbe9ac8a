"""A server on a socket of this host that answers like Portbook's agent door and remembers what it was sent."""

import asyncio
import gzip
import json
from dataclasses import dataclass, field

CONFIG = b'{"options":{"pack_delimiter":"/"},"schedule":{}}'


@dataclass(frozen=True, eq=False)
class Reply:
    """An answer with a status, or CUT: the connection ends instead, or SILENCE: nothing comes."""

    body: bytes | None = b"{}"
    status: int = 200
    headers: tuple[str, ...] = ()
    raw: bytes | None = None  #: these bytes instead of a reply, then the connection ends

    def encoded(self) -> bytes:
        if self.raw is not None:
            return self.raw
        body = self.body or b""
        lines = [f"HTTP/1.1 {self.status} Status", f"Content-Length: {len(body)}", *self.headers, "", ""]
        return "\r\n".join(lines).encode() + body


CUT = Reply(None)
SILENCE = Reply(None)


@dataclass(frozen=True)
class Asked:
    path: str
    head: list[str]
    raw: bytes  #: the body, unzipped
    connection: int

    @property
    def body(self) -> dict[str, object]:
        return json.loads(self.raw)  # type: ignore[no-any-return]

    @property
    def lines(self) -> list[str]:
        return [json.dumps(line) for line in self.body["data"]]  # type: ignore[attr-defined]

    def header(self, name: str) -> str | None:
        return next((line.partition(": ")[2] for line in self.head if line.startswith(f"{name}: ")), None)


@dataclass
class FakeServer:
    """`script` holds, for the last part of a path, the replies to give first."""

    script: dict[str, list[bytes | Reply]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    keys: int = 0
    connections: int = 0
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                if not await self._answer(reader, writer, head.split("\r\n")[:-2], number):
                    return
        except asyncio.IncompleteReadError:
            return
        finally:
            writer.close()

    def to(self, name: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.path == name]

    def lines(self) -> list[str]:
        return [line for asked in self.to("log") if asked.body["log_type"] == "result" for line in asked.lines]

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: list[str], connection: int
    ) -> bool:
        length = next(int(line.partition(": ")[2]) for line in head if line.startswith("Content-Length"))
        raw = await reader.readexactly(length)
        if "Content-Encoding: gzip" in head:
            raw = gzip.decompress(raw)
        name = head[0].split()[1].rpartition("osquery/")[2]
        self.asked.append(Asked(name, head, raw, connection))
        scripted = self.script.get(name)
        reply = scripted.pop(0) if scripted else self._usual(name)
        reply = Reply(reply) if isinstance(reply, bytes) else reply
        if reply is SILENCE:
            return True
        if reply is not CUT:
            writer.write(reply.encoded())
            await writer.drain()
        return reply is not CUT and reply.raw is None

    def _usual(self, name: str) -> bytes:
        if name == "enroll":
            self.keys += 1
            return b'{"node_key":"key-%d"}' % self.keys
        return {"config": CONFIG, "distributed/read": b'{"queries":{}}'}.get(name, b"{}")
