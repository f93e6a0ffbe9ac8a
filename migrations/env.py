"""Alembic's environment: one migration run at a time, under short lock and statement limits."""

from alembic import context
from sqlalchemy import Connection, create_engine, text

import app.access.audit.models
import app.access.models
import app.access.openid.models
import app.analysis.jobs.models
import app.analysis.models
import app.analysis.starts.models
import app.baselines.exceptions.models
import app.baselines.models
import app.baselines.reviews.models
import app.findings.investigations.models
import app.findings.models
import app.fleet.models
import app.flows.models
import app.observations.models
import app.software.models
import app.tuning.models
from app.database import Table, connect_args

#: Named, so that no linter takes the imports away and the tables with them.
TABLES = (
    app.fleet.models,
    app.observations.models,
    app.analysis.models,
    app.analysis.jobs.models,
    app.analysis.starts.models,
    app.findings.models,
    app.findings.investigations.models,
    app.access.models,
    app.access.audit.models,
    app.access.openid.models,
    app.flows.models,
    app.software.models,
    app.tuning.models,
    app.baselines.models,
    app.baselines.reviews.models,
    app.baselines.exceptions.models,
)

#: Any number that is ours alone: two servers that start together migrate one after the other.
MIGRATION_LOCK = 0x506F7274


def is_ours(_object: object, name: str | None, type_: str, _reflected: bool, compare_to: object) -> bool:  # noqa: FBT001
    """Day partitions come and go at run time; they are no business of a migration."""
    return not (type_ == "table" and compare_to is None and name is not None and name.rpartition("_p")[2].isdigit())


def run(connection: Connection) -> None:
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
    connection.execute(text("SET lock_timeout = '4s'"))
    connection.commit()
    context.configure(
        connection=connection, target_metadata=Table.metadata, include_object=is_ours, compare_server_default=True
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": MIGRATION_LOCK})
    connection.commit()


def main() -> None:
    url = context.config.attributes["url"]
    engine = create_engine(url, connect_args=connect_args(url))
    with engine.connect() as connection:
        run(connection)
    engine.dispose()


main()
