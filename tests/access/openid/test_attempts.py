from datetime import timedelta

from app.access.openid import store
from app.access.openid.attempts import LIFE, Secrets, begin_attempt
from app.clock import utc_now
from app.database import Database
from tests.observations.stored import ask, tell

FILL = """
INSERT INTO openid_attempts
SELECT sha256(convert_to(n::text, 'UTF8')), 'nonce', 'verifier', '/', cast(:now AS timestamptz) - n * interval '1 s'
FROM generate_series(1, :count) n
"""


async def test_the_challenge_is_that_of_the_rfc() -> None:
    """Source: RFC 7636 appendix B."""
    secrets = Secrets("state", "nonce", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    assert secrets.challenge == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


async def test_no_two_sign_ins_share_a_secret() -> None:
    made = [Secrets() for _ in range(100)]
    assert len({part for each in made for part in (each.state, each.nonce, each.verifier)}) == 300
    assert made[0].state not in repr(made[0])


async def test_attempts_end_by_themselves_and_are_bounded(database: Database) -> None:
    now = utc_now()
    await begin_attempt(database, Secrets(), "/", now - LIFE)
    await tell(database, FILL, now=now, count=50)
    async with database.writing() as session:
        await store.drop_attempts(session, before=now - timedelta(seconds=40), most=30)
    kept = [
        created_at for (created_at,) in await ask(database, "SELECT created_at FROM openid_attempts ORDER BY 1 DESC")
    ]
    assert kept == [now - timedelta(seconds=n) for n in range(1, 31)]
    async with database.writing() as session:
        await store.drop_attempts(session, before=now - timedelta(seconds=20), most=30)
    assert len(await ask(database, "SELECT created_at FROM openid_attempts")) == 19
    await begin_attempt(database, Secrets(), "/", now + LIFE)
    assert await ask(database, "SELECT created_at FROM openid_attempts") == [(now + LIFE,)]
