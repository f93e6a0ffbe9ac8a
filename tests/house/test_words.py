"""GLOSSARY.md: a word that is not in it may not enter the core or the database as a public name."""

import ast
import re
from importlib import import_module

from app.database import Table
from tests.house.tree import APP, ROOT, parsed, sources

GLOSSARY = (ROOT / "GLOSSARY.md").read_text("utf-8")
EXPLAINED = set(re.findall(r"`([A-Za-z_.]+)`", GLOSSARY))


def test_every_public_class_of_the_core_is_explained() -> None:
    classes = {
        node.name
        for path in sources("app/detection")
        for node in parsed(path).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    }
    assert sorted(classes - EXPLAINED) == []


def test_every_table_is_explained() -> None:
    for path in APP.rglob("models.py"):
        import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    names = set(Table.metadata.tables) | {mapper.class_.__name__ for mapper in Table.registry.mappers}
    assert sorted(names - EXPLAINED) == []
