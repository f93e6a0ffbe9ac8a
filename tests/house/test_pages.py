"""What people read: true links, decisions of one form, every command named, nothing of the place it was written at."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer.main

import app as app_package
from app.cli import app
from tests.house.tree import ROOT, pages, short, sources

DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
HEADINGS = ["Context", "Decision", "Consequences", "Alternatives", "Check"]
DECISION_MAX_LINES = 60

#: Put together here, so that this file does not hold what it looks for.
PLACES = [
    "pypi" + ".org", "python" + "hosted", "npm" + "js.org", "npm" + "js.com", "deb." + "debian",
    "/ro" + "ot/", "/ho" + "me/", "C:\\Users" + "\\Admin",
]  # fmt: skip


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_is_short_and_has_the_five_headings(path: Path) -> None:
    text = path.read_text("utf-8")
    assert re.match(rf"# {int(path.name[:4])}\. \S", text)
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == HEADINGS
    assert len(text.splitlines()) <= DECISION_MAX_LINES


def test_decisions_are_numbered_without_gaps() -> None:
    assert [int(path.name[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))


def test_every_command_is_named_in_a_page() -> None:
    said = "\n".join(path.read_text("utf-8") for path in pages())
    assert [command for command in commands(typer.main.get_group(app)) if f"portbook {command}" not in said] == []


def commands(group: Any, prefix: str = "") -> list[str]:
    found = []
    for name, command in group.commands.items():
        found += commands(command, f"{prefix}{name} ") if hasattr(command, "commands") else [prefix + name]
    return found


def test_every_relative_link_leads_somewhere() -> None:
    links = {
        (short(page), link.partition("#")[0])
        for page in pages()
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8"))
        if "://" not in link and not link.startswith(("#", "mailto:"))
    }
    assert sorted(pair for pair in links if not ((ROOT / pair[0]).parent / pair[1]).exists()) == []


def test_no_text_holds_a_registry_or_somebodys_folder() -> None:
    texts = [*pages(), *sources(), *(ROOT / "packs").rglob("*.sql"), *(ROOT / "app").rglob("*.toml")]
    texts += [ROOT / name for name in ("pyproject.toml", "requirements.lock", "Makefile", ".ci/run")]
    found = {(short(path), place) for path in texts for place in PLACES if place in path.read_text("utf-8")}
    assert sorted(found) == []


def test_every_file_that_a_page_names_is_there() -> None:
    named = re.compile(r"\b(?:app|tests|packs|migrations|docs)/[\w./-]*\w\.(?:py|toml|md|tsv|lock)\b")
    found = {(short(page), name) for page in pages() for name in named.findall(page.read_text("utf-8"))}
    assert sorted(pair for pair in found if not (ROOT / pair[1]).exists()) == []


def test_the_map_in_the_package_names_files_that_are_there() -> None:
    named = re.findall(r"\b\w+/\w+\.py\b", app_package.__doc__ or "")
    assert named
    assert [name for name in named if not (ROOT / "app" / name).exists()] == []
