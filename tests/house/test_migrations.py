import ast
from importlib import import_module

from app.database import Table
from tests.house.tree import APP, ROOT, parsed, short


def named_in_env() -> set[str]:
    """The modules in TABLES of migrations/env.py, by their dotted names."""
    for node in parsed(ROOT / "migrations" / "env.py").body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "TABLES":
            assert isinstance(node.value, ast.Tuple)
            return {ast.unparse(each) for each in node.value.elts}
    raise AssertionError("migrations/env.py has no TABLES")


def test_every_models_module_is_named_in_the_migrations_environment() -> None:
    present = {short(path).removesuffix(".py").replace("/", ".") for path in APP.rglob("models.py")}
    assert named_in_env() == present


def test_every_table_has_a_primary_key_and_instants_know_their_zone() -> None:
    for name in named_in_env():
        import_module(name)
    tables = Table.metadata.tables.values()
    naive = [
        str(column) for table in tables for column in table.columns if getattr(column.type, "timezone", True) is False
    ]
    assert [table.name for table in tables if not table.primary_key.columns] == []
    assert naive == []
