"""The state of an exception is what its decisions and the clock say, in Python and in SQL alike."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text

from app.baselines.exceptions import store
from app.baselines.exceptions.in_force import ExceptionsInForce, Shown, in_force
from app.baselines.exceptions.models import RequestedException
from app.baselines.exceptions.states import LONGEST, ExceptionState, state_of
from app.database import Database
from app.detection.behaviour import Behaviour, Direction, Platform, Program, Transport
from app.detection.context import Signer, Trust
from app.detection.expectations import Observed
from tests.baselines.excepting import ODD_NORMALISED

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
NODE, ROLE = 7, 3
_near = st.timedeltas(min_value=timedelta(microseconds=-2), max_value=timedelta(microseconds=2))


@dataclass
class Facts:
    decision: str | None
    revoked_at: datetime | None
    expires_at: datetime


_facts = st.builds(
    Facts, st.sampled_from([None, "approved", "rejected"]), st.sampled_from([None, NOW]), _near.map(lambda by: NOW + by)
)


@given(_facts)
def test_only_what_was_approved_and_not_taken_back_is_active_and_not_at_its_end(facts: Facts) -> None:
    approved = facts.decision == "approved" and facts.revoked_at is None
    assert (state_of(facts, NOW) is ExceptionState.ACTIVE) == (approved and facts.expires_at > NOW)


async def test_sql_says_the_same(database: Database) -> None:
    """Of every decision, taken back or not, a moment before, at and after the end."""
    one = RequestedException
    columns = "decision text, revoked_at timestamptz, expires_at timestamptz"
    moment = "interval '1 microsecond'"
    every = f"""
        INSERT INTO exceptions SELECT decision, at, CAST(:now AS timestamptz) + n * {moment}
        FROM unnest(ARRAY[NULL, 'approved', 'rejected']) AS decision,
             unnest(ARRAY[NULL, CAST(:now AS timestamptz)]) AS at, generate_series(-1, 1) AS n
    """
    async with database.writing() as session:  # a table of this session only, which hides the real one
        await session.execute(text(f"CREATE TEMPORARY TABLE exceptions ({columns}) ON COMMIT DROP"))
        await session.execute(text(every), {"now": NOW})
        query = select(one.decision, one.revoked_at, one.expires_at, store.state_at(NOW))
        found = (await session.execute(query)).all()
    assert len(found) == 18
    assert [said for *_, said in found] == [state_of(Facts(*facts), NOW).value for *facts, _ in found]


_patterns = st.builds(
    lambda first, more, program, nodes: RequestedException(
        exception_id=uuid4(), platform="windows", program=program, path=ODD_NORMALISED if program != "*" else "",
        signer="Acme" if program == "*" else "", direction="outbound", transport="tcp", first_port=first,
        last_port=first + more, unit=None, peer_scope=None, role_id=None if nodes else ROLE, node_ids=nodes,
        expires_at=NOW + LONGEST,
    ),
    st.integers(1, 6), st.integers(0, 3), st.sampled_from(["odd.exe", "other.exe", "*"]),
    st.sampled_from([None, [NODE], [NODE + 1]]),
)  # fmt: skip


@given(st.lists(_patterns, max_size=6), st.integers(1, 9), st.sampled_from(["", "Acme"]))
def test_the_index_finds_one_where_any_covers(rows: list[RequestedException], port: int, signer: str) -> None:
    cache = ExceptionsInForce()
    cache._take(rows)
    shown = a_sight(port, signer)
    covering = {each.exception_id for each in map(in_force, rows) if each.covers(shown, NOW)}
    chosen = cache.choose([shown], NOW)
    assert (chosen in covering) if covering else chosen is None
    for each in covering:
        assert cache.choose([shown], NOW, each) == each
    assert cache.choose([shown], NOW + LONGEST) is None


def a_sight(port: int, signer: str) -> Shown:
    program = Program(Platform.WINDOWS, ODD_NORMALISED, "odd.exe")
    behaviour = Behaviour(program, Direction.OUTBOUND, Transport.TCP, str(port))
    signed = Signer(Trust.TRUSTED, signer) if signer else Signer()
    return Shown(NODE, ROLE, Observed(behaviour, signed))
