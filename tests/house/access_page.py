"""Writes the table of permissions in docs/access.md from app/access/duties.py: `python -m tests.house.access_page`."""

from collections.abc import Iterator

from app.access.duties import DUTIES, MEANINGS, PERMISSIONS, Duty
from tests.house.tree import ROOT

PAGE = ROOT / "docs" / "access.md"
BEGIN, END = "<!-- written from app/access/duties.py by `make format` -->\n", "<!-- end -->\n"


def render(page: str) -> str:
    """The page with its tables written anew."""
    before, after = page.split(BEGIN, maxsplit=1)[0], page.split(END)[1]
    return before + BEGIN + "\n" + "".join(lines()) + "\n" + END + after


def lines() -> Iterator[str]:
    yield "| duty | what it is there for |\n|---|---|\n"
    yield from (f"| `{duty.value}` | {words} |\n" for duty, words in DUTIES.items())
    yield f"\n| permission | | {' | '.join(DUTIES)} |\n|---|---|{':-:|' * len(DUTIES)}\n"
    for permission, who in PERMISSIONS.items():
        marks = " | ".join("✓" if duty in who else "" for duty in Duty)
        yield f"| `{permission.value}` | {MEANINGS[permission]} | {marks} |\n"


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text("utf-8")), "utf-8")
