"""Where the setting allows, high findings are investigated by themselves: bounded, once, and by Portbook's own name."""

from itertools import count

import pytest

from app.clock import utc_now
from app.collection.questions import load_questions
from app.findings.investigations import tending
from app.findings.investigations.tending import investigate_new_high
from app.settings import Settings
from tests.factories import Server
from tests.findings.investigations.conftest import Case, a_case
from tests.observations.stored import ask, tell

QUESTIONS = load_questions()
_ports = count(4444)


async def a_lone_case(server: Server) -> Case:
    """On a port of its own, so that no fleet finding comes to speak for it."""
    return await a_case(server, remote_port=str(next(_ports)))


WITHDRAWN = """
    WITH told AS (
      INSERT INTO finding_changes (finding_id, node_id, at, kind, actor_name, from_state, to_state, reason)
      SELECT finding_id, node_id, now(), 'state', 'portbook', 'open', 'withdrawn', 'light' FROM findings
      WHERE node_id = :node)
    UPDATE findings SET state = 'withdrawn', is_open = false WHERE node_id = :node
"""


async def make_high(case: Case, severity: str = "high") -> None:
    statement = "UPDATE findings SET severity = :severity WHERE node_id = :node"
    await tell(case.server.database, statement, severity=severity, node=case.node_id)


async def asked_by(case: Case) -> list[str]:
    statement = "SELECT actor_name FROM investigations WHERE node_id = :node"
    return [name for (name,) in await ask(case.server.database, statement, node=case.node_id)]


async def tended(server: Server) -> int:
    return await investigate_new_high(server.database, QUESTIONS, utc_now())


@pytest.fixture(autouse=True)
async def nothing_else(server: Server) -> None:
    """Findings of other tests of this module are no concern of this one."""
    await tell(server.database, "UPDATE findings SET severity = 'low'")


def test_it_is_off_unless_somebody_wants_it() -> None:
    assert Settings().investigate_high is False


async def test_a_new_high_finding_is_investigated_once_by_portbook(prompt: Server) -> None:
    high, medium = await a_lone_case(prompt), await a_lone_case(prompt)
    await make_high(high)
    await make_high(medium, "medium")
    assert await tended(prompt) == 1
    assert await tended(prompt) == 0
    assert (await asked_by(high), await asked_by(medium)) == (["portbook"], [])
    assert len(await high.fetches()) == 6


async def test_what_somebody_asked_already_is_not_asked_again(prompt: Server) -> None:
    case = await a_lone_case(prompt)
    await make_high(case)
    asked = await case.asks()
    assert await tended(case.server) == 0
    assert await asked_by(case) == [asked["asked_by"]]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE findings SET opened_at = now() - interval '25 hours' WHERE node_id = :node",
        WITHDRAWN,
        "UPDATE nodes SET revoked_at = now() WHERE node_id = :node",
        "UPDATE nodes SET platform = 'other' WHERE node_id = :node",
        "DELETE FROM node_keys WHERE node_id = :node",
        "UPDATE findings SET fleet_finding_id = gen_random_uuid() WHERE node_id = :node",
    ],
)
async def test_what_is_old_closed_or_cannot_be_asked_is_left_alone(prompt: Server, change: str) -> None:
    case = await a_lone_case(prompt)
    await make_high(case)
    await tell(case.server.database, change, node=case.node_id)
    assert await tended(case.server) == 0


async def test_a_node_and_a_day_have_their_bounds(prompt: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    case, other = await a_lone_case(prompt), await a_lone_case(prompt)
    copied = """
        INSERT INTO findings SELECT (f).* FROM (
          SELECT jsonb_populate_record(f, jsonb_build_object('finding_id', gen_random_uuid(),
                                                             'behaviour_id', b.behaviour_id)) AS f
          FROM findings f JOIN behaviours b ON b.behaviour_id <> f.behaviour_id AND b.direction = 'outbound'
          WHERE f.node_id = :node LIMIT 1) AS copy
    """
    await make_high(case)
    await tell(prompt.database, copied, node=case.node_id)
    monkeypatch.setattr(tending, "PER_NODE_AND_DAY", 1)
    assert await tended(prompt) == 1
    assert await tended(prompt) == 0
    await make_high(other)
    ((so_far,),) = await ask(prompt.database, "SELECT count(*) FROM investigations WHERE operator_id IS NULL")
    monkeypatch.setattr(tending, "PER_DAY", so_far)
    assert await tended(prompt) == 0
    monkeypatch.setattr(tending, "PER_DAY", so_far + 1)
    assert await tended(prompt) == 1
