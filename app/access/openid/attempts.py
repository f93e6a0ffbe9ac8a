"""Sign-ins that are on their way through the provider: each comes back once, soon, and to the browser that began it."""

from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from secrets import token_urlsafe

from app.access.openid import store
from app.access.openid.faults import SignInUnfinished
from app.database import Database

LIFE = timedelta(minutes=10)
#: Beyond it the oldest give way: to fill the table must not shut out who comes next.
ATTEMPTS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Secrets:
    """What binds the parts of one sign-in together.

    `state` goes by the browser and comes back, `nonce` comes back inside the ID token, `verifier` proves to the
    provider that who redeems the code asked for it. Source: RFC 6749 section 10.12, Core section 15.5.2, RFC 7636.
    """

    state: str = field(default_factory=lambda: token_urlsafe(32), repr=False)
    nonce: str = field(default_factory=lambda: token_urlsafe(32), repr=False)
    verifier: str = field(default_factory=lambda: token_urlsafe(48), repr=False)

    @property
    def challenge(self) -> str:
        """Source: RFC 7636 section 4.2, S256."""
        return urlsafe_b64encode(sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()


async def begin_attempt(database: Database, secrets: Secrets, next_path: str, now: datetime) -> None:
    async with database.writing() as session:
        await store.drop_attempts(session, before=now - LIFE, most=ATTEMPTS_MAX - 1)
        await store.insert_attempt(
            session,
            state_sha256=_hash(secrets.state),
            nonce=secrets.nonce,
            verifier=secrets.verifier,
            next_path=next_path,
            created_at=now,
        )


async def take_attempt(database: Database, state: str, cookie: str, now: datetime) -> tuple[Secrets, str]:
    """Its secrets and where it shall lead to; nobody can take it again.

    `cookie` is the state as the browser kept it. Raises: SignInUnfinished.
    """
    if not compare_digest(_hash(state), _hash(cookie)):
        raise SignInUnfinished("this sign-in was begun in another browser or tab; begin it anew")
    async with database.writing() as session:
        attempt = await store.take_attempt(session, _hash(state))
    if attempt is None:
        raise SignInUnfinished("this sign-in is unknown or was used already; begin it anew")
    if now - attempt.created_at >= LIFE:
        raise SignInUnfinished(f"this sign-in took more than {LIFE.seconds // 60} minutes; begin it anew")
    return Secrets(state, attempt.nonce, attempt.verifier), attempt.next_path


def _hash(state: str) -> bytes:
    return sha256(state.encode("utf-8", "surrogatepass")).digest()
