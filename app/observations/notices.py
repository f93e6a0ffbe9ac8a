"""Status lines that mean lost or doubtful rows.

Source: osquery plugins/logger/buffered.cpp and osquery/dispatcher/scheduler.cpp.
"""

from collections.abc import Iterable

from app.osquery.protocol import StatusLine
from app.osquery.results import clean

#: Words in the agent's own message → what they mean for what we can see.
KINDS = {
    "Linesize exceeds TLS logger maximum": "line_dropped_as_too_long",
    "Purging buffered logs limit": "lines_purged_from_full_buffer",
    "Error executing scheduled query": "query_failed",
    "Scheduled query may have failed": "query_killed_by_watchdog",
    "updateSource failed to parse config": "configuration_refused",
    "was queried without a required column": "query_lacks_constraint",
}
TEXT_MAX = 500


def notices_in(lines: Iterable[StatusLine | None]) -> dict[str, tuple[int, str]]:
    """Kind → how often, and the last text."""
    found: dict[str, tuple[int, str]] = {}
    for line in filter(None, lines):
        kind = next((kind for words, kind in KINDS.items() if words in line.message), None)
        if kind is not None:
            found[kind] = (found.get(kind, (0, ""))[0] + 1, clean(line.message[:TEXT_MAX]))
    return found
