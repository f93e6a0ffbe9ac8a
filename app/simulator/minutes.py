"""The usual minute of a node, for ever: a few connections come, a few go. What a server under steady load receives."""

from collections.abc import Iterator

from app.simulator.life import HEARTBEAT, heartbeat_columns
from app.simulator.lines import Columns, Execution, result_lines
from app.simulator.nodes import Node
from app.simulator.outbox import Line
from app.simulator.processes import Day, running, talking
from app.simulator.rows import rows_of

NEW_TALKS = 3
HEARTBEAT_MINUTES = 2


class Minutes:
    """Goes on where the node's day ended; remembers what is open, so that it can be removed later."""

    def __init__(self, node: Node, day: Day, config_hash: str) -> None:
        self._node, self._day, self._config_hash = node, day, config_hash
        self._rows = rows_of(node)
        self._dice = node.dice("minutes")
        self._talks = [(process, talk) for process in running(node, day) for talk in process.program.talks]
        self._open: list[Columns] = []
        self._counters = {self._rows.OUTBOUND: 100}
        self._minute = 0

    def lines(self, at: int) -> tuple[Line, ...]:
        """The lines of the next minute, which ends at the unix time `at`."""
        self._minute += 1
        executions = [*self._outbound(at), *self._heartbeat(at)]
        return tuple(result_lines(self._node.identity, executions, epoch=self._day.epoch, counters=self._counters))

    def _outbound(self, at: int) -> Iterator[Execution]:
        removed, self._open = tuple(self._open), []
        chosen = self._dice.sample(self._talks, min(NEW_TALKS, len(self._talks)))
        links = [link for process, talk in chosen for link in talking(process, self._node, talk, self._dice)]
        self._open = [self._rows.outbound(link) for link in links]
        yield Execution(self._rows.OUTBOUND, at, tuple(self._open), removed)

    def _heartbeat(self, at: int) -> Iterator[Execution]:
        if self._minute % HEARTBEAT_MINUTES == 0:
            columns = heartbeat_columns(self._node.identity, at, self._config_hash)
            yield Execution(HEARTBEAT, at, (columns,), snapshot=True)
