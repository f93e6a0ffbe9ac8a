"""The guard of the versions is the same whether the migrations or the models made the tables."""

from collections.abc import Callable

from sqlalchemy import NullPool, create_engine, text

from app.database import Table, migrate
from tests.house.test_migrations import named_in_env

GUARD = """
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'knob_versions'::regclass AND NOT tgisinternal
UNION ALL SELECT prosrc FROM pg_proc WHERE proname = 'knob_versions_are_kept'
"""


def guard_of(url: str) -> list[str]:
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        return sorted(connection.scalars(text(GUARD)))


def test_migrations_and_models_make_the_same_guard(empty_database: Callable[[], str]) -> None:
    assert "app.tuning.models" in named_in_env()
    migrated, created = empty_database(), empty_database()
    migrate(migrated)
    Table.metadata.create_all(create_engine(created, poolclass=NullPool))
    assert guard_of(migrated) == guard_of(created)
    assert len(guard_of(migrated)) == 3
