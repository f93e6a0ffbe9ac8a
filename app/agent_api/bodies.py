"""Read a request's body with every growth bounded: bytes as sent, bytes after gunzip, bytes of all requests at once."""

import re
import zlib
from dataclasses import dataclass
from typing import cast

from isal import isal_zlib
from isal.igzip_lib import IsalError
from starlette.requests import Request

GZIP_WINDOW = 31  #: zlib's window bits for a gzip header
STORED_LEVEL = 1
#: isal's stubs take its error for an instance.
BROKEN_GZIP = (cast("type[Exception]", IsalError), zlib.error)
TAIL_BYTES = 1024
_NODE_KEY = re.compile(rb'("node_key"\s*:\s*)"([^"\\]*)"')


class BodyRefused(ValueError):
    """The body is too long, or says it is gzip and is not. The text goes to the agent."""


@dataclass(slots=True)
class Budget:
    """Bytes that all requests of a worker may hold at once."""

    free_bytes: int

    def take(self, size: int) -> None:
        """Raises: BodyRefused."""
        if size > self.free_bytes:
            raise BodyRefused("the server is busy: too many bytes are being received")
        self.free_bytes -= size

    def give_back(self, size: int) -> None:
        self.free_bytes += size


async def read_body(request: Request, *, max_bytes: int, budget: Budget) -> bytes:
    """The body as sent.

    Raises: BodyRefused.
    """
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > max_bytes:
        raise BodyRefused(f"body of {declared} bytes is over the limit of {max_bytes}")
    chunks, size = [], 0
    try:
        async for chunk in request.stream():
            budget.take(len(chunk))
            size += len(chunk)
            if size > max_bytes:
                raise BodyRefused(f"body is over the limit of {max_bytes} bytes")
            chunks.append(chunk)
    finally:
        budget.give_back(size)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def inflate(body: bytes, *, max_bytes: int) -> bytes:
    """Gunzip, never past `max_bytes`: a body of 3 KB may be a bomb.

    Raises: BodyRefused.
    """
    inflater = isal_zlib.decompressobj(wbits=GZIP_WINDOW)
    try:
        inflated = inflater.decompress(body, max_bytes + 1)
    except BROKEN_GZIP as error:
        raise BodyRefused(f"body is not gzip: {error}") from error
    if len(inflated) > max_bytes:
        raise BodyRefused(f"body inflates to over {max_bytes} bytes")
    if not inflater.eof:
        raise BodyRefused("gzip body is cut")
    return bytes(inflated)


def stored_form(body: bytes, node_key: str) -> bytes:
    """The body as it is kept: gzip, with the node key blanked, for keys are kept as hashes only.

    Only where it stands as the key: an agent could otherwise name a word of its lines as its key, to have it wiped out.
    """
    blanked = _without(node_key.encode("utf-8", "surrogatepass"), body) if node_key else body
    return bytes(isal_zlib.compress(blanked, STORED_LEVEL, wbits=GZIP_WINDOW))


def _without(node_key: bytes, body: bytes) -> bytes:
    """Agents write the key last: where it stands nowhere else, only the end is searched by pattern."""
    end = len(body) - TAIL_BYTES
    start = end if end > 0 and body.find(node_key, 0, end + TAIL_BYTES // 2) < 0 else 0
    return body[:start] + _NODE_KEY.sub(
        lambda found: found[1] + b'""' if found[2] == node_key else found[0], body[start:]
    )
