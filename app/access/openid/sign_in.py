"""The way to the provider and back: at its end an operator is signed in, or hears why not."""

from dataclasses import dataclass
from datetime import datetime

import structlog

from app.access.actor import AuthMethod, nobody
from app.access.audit.actions import Action
from app.access.audit.deed import Deed, Outcome
from app.access.audit.record import record
from app.access.openid.asking import is_error_code
from app.access.openid.attempts import Secrets, begin_attempt, take_attempt
from app.access.openid.faults import IdentityRefused, ProviderFailed, SignInBroken
from app.access.openid.identity import Identity
from app.access.openid.linking import operator_of
from app.access.openid.provider import Provider
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


async def depart(database: Database, provider: Provider, next_path: str, now: datetime) -> Departure:
    """Begin a sign-in that shall lead to a path of this site. Raises: ProviderFailed."""
    secrets = Secrets()
    address = await provider.sign_in_address(secrets, now)
    await begin_attempt(database, secrets, next_path, now)
    return Departure(address, secrets.state)


async def arrive(database: Database, provider: Provider, arrival: Arrival, now: datetime) -> tuple[NewSignIn, str]:
    """Sign in whom the provider vouches for; with the path that was wanted.

    Raises: SignInBroken, ProviderFailed, IdentityRefused, which is in the audit log.
    """
    secrets, next_path = await take_attempt(database, arrival.state, arrival.cookie, now)
    await _check_way(provider, arrival, now)
    try:
        identity = await provider.redeem(arrival.code, secrets, now)
    except IdentityRefused as refusal:
        await _tell(database, arrival, provider.registration.issuer, refusal)
        raise
    return await _begin(database, identity, arrival, now), next_path


async def _check_way(provider: Provider, arrival: Arrival, now: datetime) -> None:
    """Source: RFC 9207 section 2.4, RFC 6749 section 4.1.2.1."""
    metadata = await provider.metadata(now)
    if arrival.issuer != metadata.issuer and (arrival.issuer is not None or metadata.says_issuer):
        raise SignInBroken("the answer is another provider's than the one that was asked")
    if arrival.error:
        code = arrival.error if is_error_code(arrival.error) else "an error"
        log.warning("openid_sign_in_refused", error=code)
        raise ProviderFailed(f"the provider refused the sign-in: {code}")
    if not arrival.code:
        raise SignInBroken("the answer has neither a code nor an error")


async def _begin(database: Database, identity: Identity, arrival: Arrival, now: datetime) -> NewSignIn:
    try:
        async with database.writing() as session:
            operator = await operator_of(session, identity)
            return await begin(session, operator, AuthMethod.OPENID, arrival.source_ip, now)
    except IdentityRefused as refusal:
        await _tell(database, arrival, identity.key, refusal)
        raise


async def _tell(database: Database, arrival: Arrival, whom: str, refusal: IdentityRefused) -> None:
    """`whom`: the issuer, and the subject where it is to be believed."""
    stranger = nobody("", source_ip=arrival.source_ip)
    deed = Deed(Action.SIGN_IN_DENIED, "identity", whom, outcome=Outcome.DENIED, reason=refusal.detail)
    async with database.writing() as session:
        record(session, stranger, deed)
