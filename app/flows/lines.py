"""Bytes of a stream, plain or gzip, in pieces of any size → lines, with every growth bounded."""

import zlib
from collections.abc import Iterator
from typing import cast

from isal import isal_zlib
from isal.igzip_lib import IsalError

GZIP_MAGIC = b"\x1f\x8b"
GZIP_WINDOW = 31  #: zlib's window bits for a gzip header
PIECE_BYTES = 256 * 1024
LINE_MAX_BYTES = 1024 * 1024
#: A line that goes on so far has no end.
ENDLESS_BYTES = 64 * LINE_MAX_BYTES
#: Logs shrink to a tenth or twentieth; what inflates further than this was made to.
RATIO_MAX = 250
RATIO_GRACE_BYTES = 64 * 1024 * 1024
#: isal's stubs take its error for an instance.
BROKEN_GZIP = (cast("type[Exception]", IsalError), zlib.error)


class UnreadableStream(Exception):
    """Bytes that cannot be read on: broken or cut gzip, a bomb, more than the limit."""


class Inflated:
    """Gunzips a stream if it starts as one, members one after the other; passes any other on."""

    def __init__(self, max_bytes: int | None = None) -> None:
        self.bytes_out = 0
        self._bytes_in = 0
        self._max_bytes = max_bytes
        self._head = b""
        self._is_gzip: bool | None = None
        self._inflater = isal_zlib.decompressobj(wbits=GZIP_WINDOW)

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        """Raises: UnreadableStream."""
        self._bytes_in += len(chunk)
        if self._is_gzip is None:
            chunk, self._head = self._head + chunk, b""
            if len(chunk) < len(GZIP_MAGIC):
                self._head = chunk
                return
            self._is_gzip = chunk.startswith(GZIP_MAGIC)
        for piece in self._gunzip(chunk) if self._is_gzip else _cut(chunk):
            self._count(len(piece))
            yield piece

    def rest(self) -> bytes:
        """What is left when the stream ends. Raises: UnreadableStream."""
        if self._is_gzip and not self._inflater.eof:
            raise UnreadableStream("the gzip data is cut or broken")
        return self._head

    def _gunzip(self, chunk: bytes) -> Iterator[bytes]:
        while chunk:
            if self._inflater.eof:
                chunk = chunk.lstrip(b"\0")  # padding after the last member
                if not chunk:
                    return
                self._inflater = isal_zlib.decompressobj(wbits=GZIP_WINDOW)
            try:
                piece = self._inflater.decompress(chunk, PIECE_BYTES)
            except BROKEN_GZIP as error:
                raise UnreadableStream(f"the gzip data is broken: {error}") from error
            rest = self._inflater.unused_data if self._inflater.eof else self._inflater.unconsumed_tail
            if not piece and len(rest) == len(chunk):
                raise UnreadableStream("the gzip data is broken: it goes nowhere")
            chunk = rest
            yield bytes(piece)

    def _count(self, size: int) -> None:
        self.bytes_out += size
        if self._max_bytes is not None and self.bytes_out > self._max_bytes:
            raise UnreadableStream(f"more than {self._max_bytes:,} bytes, inflated")
        if self._is_gzip and self.bytes_out > RATIO_GRACE_BYTES + RATIO_MAX * self._bytes_in:
            raise UnreadableStream(f"inflates to more than {RATIO_MAX} times its size: no log does")


def _cut(chunk: bytes) -> Iterator[bytes]:
    return (chunk[start : start + PIECE_BYTES] for start in range(0, len(chunk), PIECE_BYTES))


class Lines:
    """Cuts pieces into lines. Of one that is longer than the limit only the fact is kept."""

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._size = 0  #: of the line that has not ended, held or not

    def of(self, piece: bytes) -> list[bytes | None]:
        """Lines that ended, without their end; None for one that is too long. Raises: UnreadableStream."""
        first, *others = piece.split(b"\n")
        self._hold(first)
        if not others:
            return []
        found = [self._line(), *(line if len(line) <= LINE_MAX_BYTES else None for line in others[:-1])]
        self._held, self._size = [], 0
        self._hold(others[-1])
        return found

    def last(self) -> list[bytes | None]:
        """What stands after the last end of line, if anything does."""
        return [self._line()] if self._size else []

    def _hold(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > ENDLESS_BYTES:
            raise UnreadableStream(f"a line of more than {ENDLESS_BYTES:,} bytes")
        if self._size > LINE_MAX_BYTES:
            self._held.clear()
        elif part:
            self._held.append(part)

    def _line(self) -> bytes | None:
        return None if self._size > LINE_MAX_BYTES else b"".join(self._held)
