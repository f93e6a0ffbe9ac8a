"""Tests mirror the code, so that whoever changes a module knows which test to run."""

import ast
from pathlib import Path

from tests.house.tree import APP, TESTS, functions, short, sources

#: What makes a module more than values and straight calls.
BRANCHES = (ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.Match, ast.BoolOp, ast.comprehension)
#: SQL and tables are tested through the verbs of their package, on a real PostgreSQL.
THROUGH_THEIR_PACKAGE = frozenset({"__init__.py", "models.py", "store.py"})
EXCEPTIONS: dict[str, str] = {}


def has_logic(path: Path) -> bool:
    return any(isinstance(node, BRANCHES) for function in functions(path) for node in ast.walk(function))


def test_every_module_with_logic_has_its_test() -> None:
    untested = {
        short(path)
        for path in sources("app")
        if path.name not in THROUGH_THEIR_PACKAGE
        and has_logic(path)
        and not (TESTS / path.relative_to(APP).parent / f"test_{path.name}").exists()
    }
    assert sorted(untested) == sorted(EXCEPTIONS)
