"""Writes docs/settings.md from app/settings.py: `python -m tests.house.settings_page`."""

import ast

from annotated_types import Ge, Le
from pydantic.fields import FieldInfo

from app.settings import MIB, Settings
from tests.house.tree import APP, ROOT, parsed

PAGE = ROOT / "docs" / "settings.md"
HEAD = """# Settings

Written from `app/settings.py` by `make format`; do not edit it by hand.

Each setting is an environment variable. Those that a person changes often are options of `portbook serve` too
(`--data-dir`, `--database-url`, `--host`, `--port`, `--workers`, `--tls-certificate`, `--tls-key`, `--tls-hostname`,
`--plain-http`); an option wins over its variable. An unknown or impossible value ends the start with a sentence that
names the setting. Lists are JSON: `PORTBOOK_TLS_HOSTNAMES='["portbook.example","192.0.2.10"]'`.

| variable | default | bounds | meaning |
|---|---|---|---|
"""


def render() -> str:
    words = meanings()
    return HEAD + "".join(_line(name, field, words.get(name, "")) for name, field in Settings.model_fields.items())


def meanings() -> dict[str, str]:
    """Field → the text that stands below it in the source."""
    (settings,) = (node for node in parsed(APP / "settings.py").body if isinstance(node, ast.ClassDef))
    pairs = zip(settings.body, settings.body[1:], strict=False)
    return {
        ast.unparse(field.target): " ".join(text.value.value.split())
        for field, text in pairs
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
    }


def _line(name: str, field: FieldInfo, meaning: str) -> str:
    return f"| `PORTBOOK_{name.upper()}` | {_default(field.default)} | {_bounds(field)} | {meaning} |\n"


def _default(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "", True: "`true`", False: "`false`"}[value]
    if isinstance(value, int) and value >= MIB and value % MIB == 0:
        return f"`{value}` ({value // MIB} MiB)"
    return f"`{', '.join(value)}`" if isinstance(value, tuple) else f"`{value}`"


def _bounds(field: FieldInfo) -> str:
    least = [f"≥ {bound.ge:,}" for bound in field.metadata if isinstance(bound, Ge)]
    return ", ".join(least + [f"≤ {bound.le:,}" for bound in field.metadata if isinstance(bound, Le)])


if __name__ == "__main__":
    PAGE.write_text(render(), "utf-8")
