"""The provider as Portbook meets it: what it publishes, remembered for a while, and codes redeemed for identities."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote_plus, urlencode

from joserfc.jwk import KeySet

from app.access.openid.asking import Question, ask
from app.access.openid.attempts import Secrets
from app.access.openid.faults import IdentityRefused, ProviderFailed
from app.access.openid.id_token import Claims, Expected, UnknownKey, claims_of, keys_from
from app.access.openid.identity import Identity, names_in
from app.access.openid.metadata import BASIC, Metadata, metadata_address, metadata_from
from app.access.openid.registration import SCOPE, Registration
from app.urls import host_of

#: How long what the provider publishes is believed without asking again; a new key is asked for at once.
REMEMBERED = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class _Published:
    metadata: Metadata
    keys: KeySet
    asked_at: datetime


class Provider:
    """One per worker. Remembers one copy of what the provider publishes, and nothing of whom it vouches for."""

    def __init__(self, registration: Registration) -> None:
        self.registration = registration
        self._published: _Published | None = None

    @property
    def host(self) -> str:
        return host_of(self.registration.issuer)

    async def metadata(self, now: datetime) -> Metadata:
        """Raises: ProviderFailed."""
        return (await self._look_up(now)).metadata

    async def sign_in_address(self, secrets: Secrets, now: datetime) -> str:
        """Where to send the browser. Raises: ProviderFailed."""
        endpoint = (await self.metadata(now)).authorization_endpoint
        asked = {
            "response_type": "code",
            "client_id": self.registration.client_id,
            "redirect_uri": self.registration.redirect_uri,
            "scope": SCOPE,
            "state": secrets.state,
            "nonce": secrets.nonce,
            "code_challenge": secrets.challenge,
            "code_challenge_method": "S256",
        }
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}"

    async def redeem(self, code: str, secrets: Secrets, now: datetime) -> Identity:
        """Whom the provider vouches for. Raises: ProviderFailed, IdentityRefused."""
        metadata = await self.metadata(now)
        answer = await ask(self._redemption(metadata, code, secrets))
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise ProviderFailed("the provider gave no ID token")
        claims = await self._believe(token, secrets, now)
        names = names_in(claims) or names_in(await self._more(metadata, answer, claims))
        return Identity(metadata.issuer, claims["sub"], names)

    async def _look_up(self, now: datetime, *, anew: bool = False) -> _Published:
        known = self._published
        if known is None or anew or now - known.asked_at >= REMEMBERED:
            issuer = self.registration.issuer
            metadata = metadata_from(await ask(Question("the provider's metadata", metadata_address(issuer))), issuer)
            keys = keys_from(await ask(Question("the provider's keys", metadata.jwks_uri)))
            known = self._published = _Published(metadata, keys, now)
        return known

    async def _believe(self, token: str, secrets: Secrets, now: datetime) -> Claims:
        """Asks for the keys once more when the token is signed with one that is not known."""
        expected = Expected(self.registration.issuer, self.registration.client_id, secrets.nonce)
        try:
            return claims_of(token, (await self._look_up(now)).keys, expected, now)
        except UnknownKey:
            keys = (await self._look_up(now, anew=True)).keys
        try:
            return claims_of(token, keys, expected, now)
        except UnknownKey:
            raise IdentityRefused("the provider's ID token is signed with a key that it does not publish") from None

    def _redemption(self, metadata: Metadata, code: str, secrets: Secrets) -> Question:
        """Source of the form: RFC 6749 sections 2.3.1 and 4.1.3, RFC 7636 section 4.5."""
        known = (self.registration.client_id, self.registration.client_secret.get_secret_value())
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.registration.redirect_uri,
            "code_verifier": secrets.verifier,
        }
        about, url = "the provider's tokens", metadata.token_endpoint
        if metadata.secret_by == BASIC:
            return Question(about, url, form, auth=(quote_plus(known[0]), quote_plus(known[1])))
        return Question(about, url, form | {"client_id": known[0], "client_secret": known[1]})

    async def _more(self, metadata: Metadata, answer: dict[str, object], claims: Claims) -> dict[str, object]:
        """Names from the UserInfo endpoint, for providers whose ID tokens have none. Source: Core section 5.3.2."""
        token = answer.get("access_token")
        if metadata.userinfo_endpoint is None or not isinstance(token, str) or not token.isascii():
            return {}
        headers = {"Authorization": f"Bearer {token}"}
        said = await ask(Question("the provider's UserInfo", metadata.userinfo_endpoint, headers=headers))
        return said if said.get("sub") == claims["sub"] else {}
