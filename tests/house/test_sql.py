"""SQL is written in store.py and models.py, so that whoever looks for a statement knows where it is."""

from tests.house.tree import APP, imported, short, sources

SQL_LIBRARIES = frozenset({"sqlalchemy", "psycopg"})
MAY_SPEAK_SQL = frozenset({"store.py", "models.py"})
EXCEPTIONS = {
    "app/database.py": "the engine and the sessions",
    "app/keyset.py": "adds conditions and order to the statement of a list",
    "app/observations/intake.py": "the type of the driver's cursor that it hands to its store",
    "app/postgres/folder.py": "SQLAlchemy's URL, no statement",
}
#: Web frameworks speak at the doors; a room behind them is the same for a page, a program and a test.
WEB_LIBRARIES = frozenset({"fastapi", "starlette"})
DOORS = frozenset({"app/main.py", "app/keyset.py", "app/request_body.py", "app/serving.py"})


def users_of(libraries: frozenset[str]) -> set[str]:
    return {short(path) for path in sources("app") if libraries & {name.partition(".")[0] for name in imported(path)}}


def test_sql_is_written_in_stores_and_models_only() -> None:
    elsewhere = {name for name in users_of(SQL_LIBRARIES) if name.rpartition("/")[2] not in MAY_SPEAK_SQL}
    assert elsewhere == set(EXCEPTIONS)


def test_http_is_spoken_at_the_doors_only() -> None:
    rooms = {
        name
        for name in users_of(WEB_LIBRARIES) - DOORS
        if not name.startswith(("app/agent_api/", "app/web/")) and not name.endswith("/api.py")
    }
    assert rooms == set()


def test_every_package_with_tables_has_a_store() -> None:
    assert [short(path) for path in APP.glob("*/models.py") if not (path.parent / "store.py").exists()] == []
