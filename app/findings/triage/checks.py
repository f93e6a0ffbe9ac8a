"""What a closing demands: five things, each checked and said what was found, or stated unknown and said why. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from app.findings.triage.words import TEXT_MAX, is_text

#: What a response playbook wants to know of a connection before anybody forgets it.
DEMANDED = ("process", "user", "host", "destination", "justification")
_HOW = '{"checked": true, "note": "what you found"}, or {"unknown": "why nobody can tell"}'


def faults(checks: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    """Pointer and sentence of whatever is missing or says nothing. The database demands the same."""
    given = checks or {}
    for name in DEMANDED:
        if name not in given:
            yield f"checks/{name}", f"check it, or state it unknown with a reason: {_HOW}"
        else:
            yield from _faults_of(f"checks/{name}", given[name])
    for name in given.keys() - DEMANDED:
        yield f"checks/{name[:100]}", f"not one of {', '.join(DEMANDED)}"


def _faults_of(pointer: str, said: Any) -> Iterator[tuple[str, str]]:
    keys = set(said) if isinstance(said, dict) else set()
    if keys == {"checked", "note"} and said["checked"] is True:
        text, of = said["note"], f"{pointer}/note"
    elif keys == {"unknown"}:
        text, of = said["unknown"], f"{pointer}/unknown"
    else:
        yield pointer, f"say {_HOW}"
        return
    if not isinstance(text, str) or not is_text(text):
        yield of, f"visible text of at most {TEXT_MAX:,} characters"
