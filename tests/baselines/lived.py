"""A role with a month behind it, written by SQL: what a few thousand agents' days would leave in the tables."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.clock import utc_now
from app.database import Database
from app.detection.behaviour import Behaviour, Direction, Platform, Program, Transport
from app.detection.standing import Subjects
from app.observations.store import ensure_partitions
from tests.observations.stored import ask, tell

SIGNER = "Till Ltd"


def a_program(name: str, folder: str = "c:\\program files\\till") -> Program:
    return Program(Platform.WINDOWS, f"{folder}\\{name}", name)


def outbound(name: str, port: str = "443") -> Behaviour:
    return Behaviour(a_program(name), Direction.OUTBOUND, Transport.TCP, port)


@dataclass(frozen=True)
class Past:
    """Days of a role's nodes, told in SQL."""

    database: Database
    role_id: int
    nodes: tuple[int, ...]

    async def shows(self, behaviour: Behaviour, days: int, nodes: int, *, signer: str = SIGNER) -> None:
        """The first `nodes` of the role on each of the last `days` whole days; signed, if at all, on all of them."""
        await _keep_behaviour(self.database, behaviour)
        some = list(self.nodes[:nodes])
        sightings = """
            INSERT INTO sightings (day, node_id, behaviour_id, role_id, first_seen_at, batch_day, batch_id,
                                   line_number, row_number)
            SELECT d.day, n.node, :behaviour, :role, d.day + time '12:00' AT TIME ZONE 'UTC', d.day,
                   '00000000-0000-0000-0000-000000000000', 0, 0
            FROM (SELECT (now() AT TIME ZONE 'UTC')::date - back AS day FROM generate_series(1, :days) back) d,
                 unnest(CAST(:nodes AS bigint[])) AS n(node)
        """
        of = {"behaviour": behaviour.behaviour_id, "role": self.role_id, "days": days, "nodes": some}
        await tell(self.database, sightings, **of)
        if signer:
            await self.signed(behaviour.program.path, some, signer)

    async def signed(self, path: str, nodes: Sequence[int], signer: str, trust: str = "trusted") -> None:
        statement = """
            INSERT INTO images (node_id, path, trust, signer, observed_at)
            SELECT node, :path, :trust, :signer, now() FROM unnest(CAST(:nodes AS bigint[])) AS n(node)
            ON CONFLICT (node_id, path) DO UPDATE SET trust = excluded.trust, signer = excluded.signer
        """
        await tell(self.database, statement, path=path, trust=trust, signer=signer, nodes=list(nodes))


async def a_past(database: Database, role: str, nodes: int, days: int) -> Past:
    """A role with so many nodes, and partitions for its days."""
    async with database.writing() as session:
        today = utc_now().date()
        await ensure_partitions(
            session, "sightings", [today.fromordinal(today.toordinal() - back) for back in range(days + 1)]
        )
    await tell(database, "INSERT INTO roles (name) VALUES (:role) ON CONFLICT DO NOTHING", role=role)
    added = """
        INSERT INTO nodes
          (host_identifier, hardware, hostname, platform, role_id, osquery_version, details, enrolled_at)
        SELECT :role || '-' || n, '', :role || '-' || n, 'windows', (SELECT role_id FROM roles WHERE name = :role),
               '5', '{}', now() FROM generate_series(1, :nodes) n
    """
    await tell(database, added, role=role, nodes=nodes)
    rows = await ask(
        database, "SELECT role_id, node_id FROM nodes JOIN roles USING (role_id) WHERE name = :r ORDER BY 2", r=role
    )
    return Past(database, int(rows[0][0]), tuple(int(node) for _, node in rows if _ == rows[0][0]))


async def _keep_behaviour(database: Database, behaviour: Behaviour) -> None:
    program = behaviour.program
    statement = """
        INSERT INTO behaviours
          (behaviour_id, program_id, platform, path, name, unit, direction, transport, bucket, subjects)
        VALUES (:id, :program, :platform, :path, :name, :unit, :direction, :transport, :bucket, :subjects)
        ON CONFLICT DO NOTHING
    """
    await tell(
        database, statement, id=behaviour.behaviour_id, program=program.program_id, platform=program.platform.value,
        path=program.path, name=program.name, unit=program.unit, direction=behaviour.direction.value,
        transport=behaviour.transport.value, bucket=behaviour.bucket, subjects=list(Subjects.of(behaviour).all),
    )  # fmt: skip
