"""What a provider publishes about itself. Source: OpenID Connect Discovery 1.0 sections 3 and 4."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.access.openid.faults import ProviderFailed
from app.urls import is_plain, is_trustworthy

WELL_KNOWN = "/.well-known/openid-configuration"
BASIC, POST = "client_secret_basic", "client_secret_post"


@dataclass(frozen=True, slots=True)
class Metadata:
    """`secret_by`: how the client secret is sent. `says_issuer`: its answers name it, against mix-up (RFC 9207)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    secret_by: str
    says_issuer: bool


def metadata_address(issuer: str) -> str:
    return issuer.removesuffix("/") + WELL_KNOWN


def metadata_from(document: Mapping[str, object], issuer: str) -> Metadata:
    """Raises: ProviderFailed, naming what is wrong."""
    if document.get("issuer") != issuer:
        raise ProviderFailed("the provider's metadata name another issuer than the setting openid_issuer")
    return Metadata(
        issuer=issuer,
        authorization_endpoint=_address(document, "authorization_endpoint", issuer),
        token_endpoint=_address(document, "token_endpoint", issuer),
        jwks_uri=_address(document, "jwks_uri", issuer),
        userinfo_endpoint=_address(document, "userinfo_endpoint", issuer) if "userinfo_endpoint" in document else None,
        secret_by=_secret_by(document),
        says_issuer=document.get("authorization_response_iss_parameter_supported") is True,
    )


def _address(document: Mapping[str, object], name: str, issuer: str) -> str:
    """An issuer with TLS has no endpoint without."""
    url = document.get(name)
    if not isinstance(url, str) or not is_trustworthy(url, plain=is_plain(issuer)):
        raise ProviderFailed(f"the provider's metadata have no https address as {name}")
    return url


def _secret_by(document: Mapping[str, object]) -> str:
    """Basic is what a provider must know that says nothing, and the default of a client that is registered."""
    known = document.get("token_endpoint_auth_methods_supported", [BASIC])
    for method in (BASIC, POST):
        if isinstance(known, list) and method in known:
            return method
    raise ProviderFailed(f"the provider takes a client secret neither by {BASIC} nor by {POST}")
