"""The way to the provider and back: at its end an operator is signed in, or hears why not."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import structlog

from app.access.actor import Actor, AuthMethod, nobody
from app.access.audit.actions import Action
from app.access.audit.deed import Deed
from app.access.denials import tell_denial
from app.access.openid.asking import is_error_code
from app.access.openid.attempts import Secrets, begin_attempt, take_attempt
from app.access.openid.faults import IdentityRefused, ProviderFailed, SignInUnfinished
from app.access.openid.linking import operator_of
from app.access.openid.provider import Provider
from app.access.operators import actor_of
from app.access.sign_ins import NewSignIn, begin
from app.database import Database

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Departure:
    """`address`: where to send the browser. `state`: what its cookie must bring back."""

    address: str
    state: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """What came back: from the provider, by way of the browser; and from the browser's own cookie.

    `issuer` is None where the provider does not name itself.
    """

    state: str
    code: str
    error: str
    issuer: str | None
    cookie: str
    source_ip: str


@dataclass(frozen=True, slots=True)
class Arrived:
    actor: Actor
    begun: NewSignIn
    next_path: str


async def depart(database: Database, provider: Provider, next_path: str, now: datetime) -> Departure:
    """Begin a sign-in that shall lead to a path of this site. Raises: ProviderFailed."""
    secrets = Secrets()
    with _logged():
        address = await provider.sign_in_address(secrets, now)
    await begin_attempt(database, secrets, next_path, now)
    return Departure(address, secrets.state)


async def arrive(database: Database, provider: Provider, arrival: Arrival, now: datetime) -> Arrived:
    """Sign in whom the provider vouches for.

    Raises: SignInUnfinished, ProviderFailed; IdentityRefused, which is in the audit log.
    """
    secrets, next_path = await take_attempt(database, arrival.state, arrival.cookie, now)
    whom = provider.registration.issuer
    try:
        with _logged():
            await _check_way(provider, arrival, now)
            identity = await provider.redeem(arrival.code, secrets, now)
        whom = identity.key
        async with database.writing() as session:
            operator = await operator_of(session, identity)
            begun = await begin(session, operator, AuthMethod.OPENID, arrival.source_ip, now)
    except IdentityRefused as refusal:
        await _tell(database, nobody("unknown", arrival.source_ip), whom, refusal, now)
        raise
    return Arrived(actor_of(operator, AuthMethod.OPENID), begun, next_path)


async def _check_way(provider: Provider, arrival: Arrival, now: datetime) -> None:
    """Source: RFC 9207 section 2.4, RFC 6749 section 4.1.2.1."""
    metadata = await provider.metadata(now)
    if arrival.issuer != metadata.issuer and (arrival.issuer is not None or metadata.says_issuer):
        raise SignInUnfinished("the answer is another provider's than the one that was asked")
    if arrival.error:
        code = arrival.error if is_error_code(arrival.error) else "an error"
        log.warning("openid_sign_in_refused", error=code)
        raise SignInUnfinished(f"the provider refused the sign-in: {code}")
    if not arrival.code:
        raise SignInUnfinished("the answer has neither a code nor an error")


@contextmanager
def _logged() -> Iterator[None]:
    """Whoever runs Portbook must hear of it too: a person who signs in can mend nothing there."""
    try:
        yield
    except ProviderFailed as problem:
        log.warning("openid_provider_failed", detail=problem.detail)
        raise


async def _tell(database: Database, stranger: Actor, whom: str, refusal: IdentityRefused, now: datetime) -> None:
    """`whom`: the issuer, and the subject where the ID token is to be believed."""
    deed = Deed(Action.SIGN_IN_DENIED, "identity", whom, reason=refusal.detail)
    await tell_denial(database, whom, stranger, deed, now)
