"""Writes the table of knobs in docs/tuning.md from app/detection/knobs.py: `python -m tests.house.knobs_page`."""

import ast
import re
from collections.abc import Iterator
from typing import Any

from msgspec.inspect import CollectionType, FloatType, IntType, StructType, Type, type_info

from app.detection.knobs import Knobs
from app.detection.scopes import as_document
from tests.house.tree import APP, ROOT, parsed

PAGE = ROOT / "docs" / "tuning.md"
SOURCE = APP / "detection" / "knobs.py"
BEGIN, END = "<!-- written from app/detection/knobs.py by `make format` -->\n", "<!-- end -->\n"
HEAD = "\n| knob | default | bounds | meaning |\n|---|---|---|---|\n"


def render(page: str) -> str:
    """The page with its table written anew."""
    before, after = page.split(BEGIN, maxsplit=1)[0], page.split(END)[1]
    return before + BEGIN + HEAD + "".join(lines()) + "\n" + END + after


def lines() -> Iterator[str]:
    words, defaults = meanings(), as_document(Knobs())
    knobs = type_info(Knobs)
    assert isinstance(knobs, StructType)
    for table in knobs.fields:
        if isinstance(table.type, StructType):
            for field in table.type.fields:
                name = f"{table.encode_name}.{field.name}"
                yield _line(name, defaults[table.encode_name][field.name], field.type, words.get(name, ""))
        else:
            default = defaults[table.encode_name]
            yield _line(table.encode_name, default, table.type, words.get(f"Knobs.{table.name}", ""))


def meanings() -> dict[str, str]:
    """`Class.field` → the text of its `#:` comment, behind it or above it."""
    source = SOURCE.read_text("utf-8").splitlines()
    return {
        f"{node.name}.{ast.unparse(field.target)}": " ".join(_comment(source, field))
        for node in parsed(SOURCE).body
        if isinstance(node, ast.ClassDef)
        for field in node.body
        if isinstance(field, ast.AnnAssign)
    }


def _comment(source: list[str], field: ast.AnnAssign) -> list[str]:
    behind = re.search(r"#: (.*)$", source[(field.end_lineno or 0) - 1])
    if behind:
        return [behind[1]]
    above = []
    for line in reversed(source[: field.lineno - 1]):
        if not line.strip().startswith("#: "):
            break
        above.insert(0, line.strip().removeprefix("#: "))
    return above


def _line(name: str, default: Any, kind: Type, meaning: str) -> str:
    return f"| `{name}` | {_default(default)} | {_bounds(kind)} | {meaning} |\n"


def _default(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"`{path}`: {', '.join(buckets)}" for path, buckets in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return f"{value:g}"


def _bounds(kind: Type) -> str:
    inner = kind.item_type if isinstance(kind, CollectionType) else kind
    if not isinstance(inner, IntType | FloatType):
        return ""
    limits = ((">", inner.gt), ("≥", inner.ge), ("≤", inner.le))
    return ", ".join(f"{sign} {limit:,}" for sign, limit in limits if limit is not None)


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text("utf-8")), "utf-8")
