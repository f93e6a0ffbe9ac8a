"""Writes the table of actions in docs/audit.md: `python -m tests.house.actions_page`."""

import re

from app.access.audit.actions import Action
from tests.house.tree import APP, ROOT

PAGE = ROOT / "docs" / "audit.md"
SOURCE = APP / "access" / "audit" / "actions.py"
BEGIN, END = "<!-- written from app/access/audit/actions.py by `make format` -->\n", "<!-- end -->\n"
HEAD = "\n| action | says |\n|---|---|\n"


def render(page: str) -> str:
    """The page with its table written anew."""
    before, after = page.split(BEGIN, maxsplit=1)[0], page.split(END)[1]
    words = meanings()
    lines = (f"| `{action}` | {words.get(action.name, '')} |\n" for action in Action)
    return before + BEGIN + HEAD + "".join(lines) + "\n" + END + after


def meanings() -> dict[str, str]:
    """Name → the text of its `#:` comment."""
    return dict(re.findall(r"^ {4}([A-Z_]+) = .*#: (.+)$", SOURCE.read_text("utf-8"), re.MULTILINE))


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text("utf-8")), "utf-8")
