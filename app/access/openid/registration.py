"""How Portbook is registered with its OpenID Connect provider."""

from dataclasses import dataclass

from pydantic import SecretStr

from app.settings import Settings

START = "/sign-in/openid"
CALLBACK = f"{START}/callback"
#: `openid` makes it OpenID Connect, the others bring the names that link an operator at the first sign-in.
SCOPE = "openid profile email"


@dataclass(frozen=True, slots=True)
class Registration:
    issuer: str
    client_id: str
    client_secret: SecretStr
    redirect_uri: str


def registration_of(settings: Settings) -> Registration | None:
    """None where sign-in with OpenID Connect is not set up; `Settings` has made sure that nothing is missing."""
    if settings.openid_issuer is None:
        return None
    assert settings.openid_client_id is not None
    assert settings.openid_client_secret is not None
    assert settings.public_url is not None
    redirect_uri = settings.public_url + CALLBACK
    return Registration(settings.openid_issuer, settings.openid_client_id, settings.openid_client_secret, redirect_uri)
