"""The files that the rules of the house look at."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
APP = ROOT / "app"
TESTS = ROOT / "tests"

Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources(*folders: str) -> list[Path]:
    """Python files below the named folders of the project; below all that hold code without one."""
    return sorted(
        path for folder in folders or ("app", "tests", "migrations") for path in (ROOT / folder).rglob("*.py")
    )


def pages() -> list[Path]:
    """Everything that people read."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "packs").glob("*.md")])


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def functions(path: Path) -> Iterator[Function]:
    return (node for node in ast.walk(parsed(path)) if isinstance(node, Function))


def imported(path: Path) -> set[str]:
    """Full names of the modules that a file imports, wherever in it."""
    nodes = list(ast.walk(parsed(path)))
    plain = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    return plain | {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}


def short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()
