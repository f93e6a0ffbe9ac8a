"""The lines that an agent keeps until a server has acknowledged them."""

from dataclasses import dataclass

#: osquery's `logger_tls_max_lines`: the most lines that one request carries.
LINES_MAX = 1024


@dataclass(frozen=True, slots=True)
class Line:
    """One JSON line, encoded once, so that it is sent byte for byte the same again."""

    at: int  #: unix time of logging
    text: bytes


class Outbox:
    """Oldest first; within a second by number *as text* (10 before 2), as the keys of the agent's database sort."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, str, bytes]] = []
        self._numbered = 0
        self._offered = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, *lines: Line) -> None:
        for line in lines:
            self._numbered += 1
            self._waiting.append((line.at, str(self._numbered), line.text))
        self._waiting.sort()

    def head(self, most: int = LINES_MAX) -> tuple[list[bytes], int]:
        """The lines to send next, and how many of them were sent before."""
        batch = [text for _, _, text in self._waiting[:most]]
        again = min(self._offered, len(batch))
        self._offered = max(self._offered, len(batch))
        return batch, again

    def drop(self, count: int) -> None:
        del self._waiting[:count]
        self._offered = max(0, self._offered - count)
