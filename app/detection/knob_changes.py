"""What differs between two documents of settings, in data and in words."""

from typing import Any

from msgspec import Struct

from app.detection.scopes import Document, leaves


class KnobChange(Struct, frozen=True):
    """One field that differs; None where a document leaves it to the wider scopes."""

    field: str
    before: Any
    after: Any

    @property
    def words(self) -> str:
        if isinstance(self.before, list) and isinstance(self.after, list):
            added = [each for each in self.after if each not in self.before]
            gone = [each for each in self.before if each not in self.after]
            parts = [f"adds {_words(added)}"] if added else []
            parts += [f"removes {_words(gone)}"] if gone else []
            return f"{self.field} {' and '.join(parts)}"
        if self.before is None:
            return f"{self.field} is set to {_words(self.after)}"
        if self.after is None:
            return f"{self.field} is no longer set (was {_words(self.before)})"
        return f"{self.field} goes from {_words(self.before)} to {_words(self.after)}"


def changes(before: Document, after: Document) -> list[KnobChange]:
    """In the order of the fields' names."""
    old, new = leaves(before), leaves(after)
    return [
        KnobChange(field, old.get(field), new.get(field))
        for field in sorted(old.keys() | new.keys())
        if old.get(field) != new.get(field)
    ]


def _words(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "nothing"
    return f"{value:g}" if isinstance(value, float) else str(value)
