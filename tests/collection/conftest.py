"""A folder of one small, sound pack, to break one thing at a time."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

HEADER = {
    "title": "Who listens",
    "interval": "300",
    "mode": "differential",
    "platform": "windows",
    "version": "5.15.0",
    "removed": "true",
    "denylist": "true",
    "needs": "SYSTEM",
    "noise": "None",
    "references": "osquery processes",
}
MANIFEST = {"purpose": "Sockets", "platform": "windows", "version": "5.15.0", "asked": "scheduled"}
STATEMENT = "SELECT pid, name,\n       path\nFROM processes"
QUESTION = "SELECT pid, name,\n       path\nFROM processes WHERE pid = :pid\nLIMIT 5"
#: Where it begins.
QUESTION_LINE = 9


@dataclass(frozen=True)
class Shelf:
    root: Path

    def manifest(self, **changes: str) -> Path:
        path = self.root / "small" / "pack.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f'{name} = "{value}"\n' for name, value in {**MANIFEST, **changes}.items()))
        return path

    def query(self, statement: str = STATEMENT, *, name: str = "sockets", **changes: str | None) -> Path:
        """Writes a query; a header field set to None is left out."""
        path = self.root / "small" / f"{name}.sql"
        fields = {field: value for field, value in {**HEADER, **changes}.items() if value is not None}
        path.write_text("".join(f"-- {field}: {value}\n" for field, value in fields.items()) + f"\n{statement}\n")
        return path

    def question(self, statement: str = QUESTION, *, name: str = "sockets", **changes: str | None) -> Path:
        """Makes the pack one that is asked when somebody investigates, and writes a query of it."""
        self.manifest(asked="distributed")
        of_questions = dict.fromkeys(("interval", "mode", "removed", "denylist")) | {"parameters": "pid"}
        return self.query(statement, name=name, **of_questions | changes)

    def examples(self, *rows: object, name: str = "sockets") -> Path:
        path = self.root / "small" / f"{name}.examples.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    made = Shelf(tmp_path)
    made.manifest()
    made.query()
    made.examples(*[{"pid": str(pid), "name": "a.exe", "path": "C:\\a.exe"} for pid in (1, 2)])
    return made
