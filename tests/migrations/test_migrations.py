"""The schema that migrations build is the schema that the code means, however often and by however many they run."""

import subprocess
import sys
from collections.abc import Callable
from importlib import import_module

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import NullPool, create_engine, text

from app.database import Table, migrate, migration_config
from tests.house.tree import APP, ROOT

MakeDatabase = Callable[[], str]

#: Tables with their options and partition keys, columns, constraints and indexes as PostgreSQL spells them.
SCHEMA = """
SELECT concat_ws(' ', relname, relkind, reloptions, pg_get_partkeydef(oid))
FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
UNION ALL
SELECT concat_ws(' ', table_name, column_name, udt_name, is_nullable, column_default, identity_generation)
FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL
SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid))
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL
SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
"""


def schema_of(url: str) -> list[str]:
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        found = connection.scalars(text(SCHEMA)).all()
    return sorted(line for line in found if "alembic_version" not in line)


def run(url: str, statement: str) -> None:
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text(statement))


@pytest.fixture
def migrated(empty_database: MakeDatabase) -> str:
    url = empty_database()
    migrate(url)
    return url


def test_up_down_and_up_again_is_the_same_schema(migrated: str) -> None:
    first = schema_of(migrated)
    command.downgrade(migration_config(migrated), "base")
    assert schema_of(migrated) == []
    migrate(migrated)
    assert schema_of(migrated) == first


def test_the_migrated_schema_is_the_one_that_the_models_mean(migrated: str, empty_database: MakeDatabase) -> None:
    for path in APP.rglob("models.py"):
        import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    fresh = empty_database()
    engine = create_engine(fresh, poolclass=NullPool)
    Table.metadata.create_all(engine)
    assert schema_of(migrated) == schema_of(fresh)


def test_alembic_finds_nothing_to_migrate(migrated: str) -> None:
    command.check(migration_config(migrated))


def test_alembic_would_find_a_forgotten_column(migrated: str) -> None:
    run(migrated, "ALTER TABLE nodes DROP COLUMN hostname")
    with pytest.raises(CommandError, match="hostname"):
        command.check(migration_config(migrated))


def test_day_partitions_are_no_business_of_a_migration(migrated: str) -> None:
    run(
        migrated, "CREATE TABLE batches_p20260101 PARTITION OF batches FOR VALUES FROM ('2026-01-01') TO ('2026-01-02')"
    )
    command.check(migration_config(migrated))


def test_servers_that_start_together_migrate_one_after_the_other(empty_database: MakeDatabase) -> None:
    url = empty_database()
    program = "import sys; from app.database import migrate; migrate(sys.argv[1])"
    starting = [subprocess.Popen([sys.executable, "-c", program, url], cwd=ROOT) for _ in range(2)]
    assert [process.wait() for process in starting] == [0, 0]
    command.check(migration_config(url))


def test_there_is_one_newest_version() -> None:
    assert len(ScriptDirectory.from_config(migration_config("")).get_heads()) == 1
