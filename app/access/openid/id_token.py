"""Whether an ID token is to be believed. Source: OpenID Connect Core 1.0 section 3.1.3.7."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from joserfc import jwk, jws, jwt
from joserfc.errors import (
    BadSignatureError,
    ExpiredTokenError,
    InvalidClaimError,
    InvalidKeyIdError,
    JoseError,
    MissingClaimError,
    SecurityWarning,
    UnsupportedAlgorithmError,
)

from app.access.openid.faults import IdentityRefused, ProviderFailed

#: Signatures with a key pair only: with HS256 the client secret would sign, and `none` is no signature.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA")
LEEWAY_SECONDS = 60
SUBJECT_MAX = 255  #: Source: Core section 2
KEYS_MAX = 100

#: Headers that we do not know are none of our business, unless `crit` says so. Source: RFC 7515 section 4.
_REGISTRY = jws.JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)

Claims = dict[str, Any]


class UnknownKey(Exception):
    """Signed with a key that is not in the set: it may be a new one."""


@dataclass(frozen=True, slots=True)
class Expected:
    issuer: str
    client_id: str
    nonce: str


def keys_from(document: Mapping[str, object]) -> jwk.KeySet:
    """The keys of a JWK set that can be used; others are left out. Raises: ProviderFailed when there is none."""
    listed = document.get("keys")
    keys = [key for each in (listed[:KEYS_MAX] if isinstance(listed, list) else []) if (key := _key(each))]
    if not keys:
        raise ProviderFailed("the provider publishes no key that can be used")
    return jwk.KeySet(keys)


def _key(document: object) -> jwk.Key | None:
    """None for kinds and curves that are not known, and for keys that are too weak."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", SecurityWarning)
        try:
            return jwk.import_key(document) if isinstance(document, dict) else None
        except (JoseError, ValueError, LookupError, TypeError, SecurityWarning):
            return None


def claims_of(token: str, keys: jwk.KeySet, expected: Expected, now: datetime) -> Claims:
    """What a valid token says. Raises: UnknownKey, IdentityRefused."""
    claims = _verified(token, keys)
    try:
        _checks(expected, now).validate(claims)
    except ExpiredTokenError:
        raise _refused("has expired") from None
    except MissingClaimError as error:
        raise _refused(f"has no {error.claim}") from None
    except InvalidClaimError as error:
        raise _refused(f"has another {error.claim} than expected") from None
    _check_party(claims, expected)
    subject = claims["sub"]
    if not (subject.isprintable() and subject.isascii() and 0 < len(subject) <= SUBJECT_MAX):
        raise _refused("has an odd sub")
    return claims


def _verified(token: str, keys: jwk.KeySet) -> Claims:
    """The claims, when one of the keys signed them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)  # for EdDSA, whose new name is Ed25519
        try:
            return jwt.decode(token, keys, registry=_REGISTRY).claims
        except InvalidKeyIdError:
            raise UnknownKey from None
        except UnsupportedAlgorithmError:
            raise _refused("is signed by a method that is not allowed") from None
        except BadSignatureError:
            raise _refused("is not signed by the provider's key") from None
        except (JoseError, ValueError, RecursionError):
            raise _refused("cannot be read") from None


def _checks(expected: Expected, now: datetime) -> jwt.JWTClaimsRegistry:
    return jwt.JWTClaimsRegistry(
        now=int(now.timestamp()),
        leeway=LEEWAY_SECONDS,
        iss={"essential": True, "value": expected.issuer},
        aud={"essential": True, "value": expected.client_id},
        sub={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
        nonce={"essential": True, "value": expected.nonce},
    )


def _check_party(claims: Claims, expected: Expected) -> None:
    """A token that others may use too must have been issued to us; and the nonce is a text, not a list with it."""
    if claims["nonce"] != expected.nonce:
        raise _refused("has another nonce than expected")
    several = isinstance(claims["aud"], list) and claims["aud"] != [expected.client_id]
    if (several or "azp" in claims) and claims.get("azp") != expected.client_id:
        raise _refused("has another azp than expected")


def _refused(why: str) -> IdentityRefused:
    return IdentityRefused(f"the provider's ID token {why}")
