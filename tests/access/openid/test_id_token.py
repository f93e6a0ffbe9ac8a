"""An ID token is believed only when the provider signed it, now, for us, and for this sign-in."""

import json
from base64 import urlsafe_b64encode
from datetime import timedelta
from typing import Any

import pytest
from joserfc import jwk, jws, jwt
from joserfc.registry import HeaderParameter

from app.access.openid.faults import IdentityRefused, ProviderFailed
from app.access.openid.id_token import ALGORITHMS, LEEWAY_SECONDS, Expected, UnknownKey, claims_of, keys_from
from app.clock import utc_now

NOW = utc_now()
AT = int(NOW.timestamp())
EXPECTED = Expected("https://id.example", "portbook", "the nonce")
RSA = jwk.RSAKey.generate_key(2048, auto_kid=True)
EC = jwk.ECKey.generate_key("P-256", auto_kid=True)
OKP = jwk.OKPKey.generate_key("Ed25519", auto_kid=True)
KEYS = jwk.KeySet([RSA, EC, OKP])
SECRET = jwk.OctKey.import_key("the client secret, which the provider knows too", {"kid": RSA.kid})
ODD = {"odd": HeaderParameter("what nobody has heard of", "int")}
ANY = jws.JWSRegistry(ODD, [*ALGORITHMS, "HS256", "none"], strict_check_header=False)
VALID = {
    "iss": EXPECTED.issuer,
    "sub": "s-1",
    "aud": EXPECTED.client_id,
    "exp": AT + 300,
    "iat": AT,
    "nonce": EXPECTED.nonce,
}


def a_token(key: jwk.Key = RSA, algorithm: str = "RS256", *, header: dict[str, Any] | None = None, **said: Any) -> str:
    """A valid one, but for what is said otherwise; a claim of None is left out."""
    claims = {name: value for name, value in (VALID | said).items() if value is not None}
    return jwt.encode({"alg": algorithm, "kid": key.kid} | (header or {}), claims, key, registry=ANY)


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(RSA, "RS256"), (RSA, "PS512"), (EC, "ES256"), (OKP, "Ed25519"), (OKP, "EdDSA")],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
def test_a_valid_token_is_believed(key: jwk.Key, algorithm: str) -> None:
    assert claims_of(a_token(key, algorithm), KEYS, EXPECTED, NOW) == VALID


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({"iss": "https://id.example/"}, "iss"),
        ({"iss": None}, "iss"),
        ({"aud": "another"}, "aud"),
        ({"aud": []}, "aud"),
        ({"aud": None}, "aud"),
        ({"aud": ["portbook", "another"]}, "azp"),
        ({"aud": ["portbook", "another"], "azp": "another"}, "azp"),
        ({"azp": "another"}, "azp"),
        ({"exp": AT - LEEWAY_SECONDS}, "expired"),
        ({"exp": None}, "exp"),
        ({"exp": "tomorrow"}, "exp"),
        ({"iat": AT + LEEWAY_SECONDS + 1}, "iat"),
        ({"iat": None}, "iat"),
        ({"nbf": AT + LEEWAY_SECONDS + 1}, "nbf"),
        ({"nonce": "another"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"nonce": ["another", "the nonce"]}, "nonce"),
        ({"sub": None}, "sub"),
        ({"sub": ""}, "sub"),
        ({"sub": 7}, "sub"),
        ({"sub": "x" * 256}, "sub"),
        ({"sub": "a\nb"}, "sub"),
    ],
)
def test_what_a_token_says_must_be_as_expected(said: dict[str, Any], named: str) -> None:
    with pytest.raises(IdentityRefused, match=rf"\b{named}\b"):
        claims_of(a_token(**said), KEYS, EXPECTED, NOW)


def test_a_token_for_others_too_is_believed_when_it_was_issued_to_us() -> None:
    said = {"aud": ["another", "portbook"], "azp": "portbook"}
    assert claims_of(a_token(**said), KEYS, EXPECTED, NOW)["aud"] == said["aud"]


def test_clocks_may_differ_a_little() -> None:
    token = a_token(iat=AT + LEEWAY_SECONDS, exp=AT - LEEWAY_SECONDS + 1)
    assert claims_of(token, KEYS, EXPECTED, NOW)
    with pytest.raises(IdentityRefused):
        claims_of(token, KEYS, EXPECTED, NOW + timedelta(seconds=1))


@pytest.mark.parametrize("algorithm", ["HS256", "none"])
@pytest.mark.filterwarnings("ignore:JWS algorithm")
def test_the_client_secret_signs_nothing_and_nothing_is_no_signature(algorithm: str) -> None:
    with pytest.raises(IdentityRefused, match="not allowed"):
        claims_of(a_token(SECRET, algorithm), KEYS, EXPECTED, NOW)


def test_a_public_key_is_no_secret_to_sign_with() -> None:
    """The classic confusion: HS256 with the provider's public key as its secret."""
    public = jwk.OctKey.import_key(json.dumps(RSA.as_dict(private=False)), {"kid": RSA.kid})
    with pytest.raises(IdentityRefused, match="not allowed"):
        claims_of(a_token(public, "HS256"), KEYS, EXPECTED, NOW)


def test_a_key_that_says_to_be_the_providers_is_not() -> None:
    other = jwk.ECKey.generate_key("P-256", {"kid": str(EC.kid)})
    for header in ({}, {"jwk": other.as_dict(private=False)}, {"jku": "https://evil.example/keys"}):
        with pytest.raises(IdentityRefused, match="not signed by"):
            claims_of(a_token(other, "ES256", header=header), KEYS, EXPECTED, NOW)


def test_a_key_that_is_not_published_is_told_apart() -> None:
    with pytest.raises(UnknownKey):
        claims_of(a_token(jwk.RSAKey.generate_key(2048, auto_kid=True)), KEYS, EXPECTED, NOW)


def test_a_header_that_must_be_understood_is_not_passed_over() -> None:
    assert claims_of(a_token(header={"odd": 1}), KEYS, EXPECTED, NOW)
    with pytest.raises(IdentityRefused, match="cannot be read"):
        claims_of(a_token(header={"odd": 1, "crit": ["odd"]}), KEYS, EXPECTED, NOW)


def _encoded(document: object) -> str:
    return urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "token",
    [
        "",
        "...",
        "a.b.c",
        "\ud800.b.c",
        "x" * 200_000,
        "e30.e30.e30",
        f"{_encoded([])}.e30.AA",
        f"{_encoded({'alg': []})}.e30.AA",
    ],
)
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(IdentityRefused, match="cannot be read"):
        claims_of(token, KEYS, EXPECTED, NOW)


def test_claims_must_be_an_object_and_not_too_deep() -> None:
    for payload in (b"[]", b"[" * 100_000, b"\xff"):
        token = jws.serialize_compact({"alg": "RS256", "kid": RSA.kid}, payload, RSA, registry=ANY)
        with pytest.raises(IdentityRefused, match="cannot be read"):
            claims_of(token, KEYS, EXPECTED, NOW)


def test_keys_that_are_odd_or_weak_are_left_out() -> None:
    with pytest.warns(match="2048"):
        weak = jwk.RSAKey.generate_key(1024)
    odd = [{}, 7, {"kty": "EC", "crv": "P-999", "x": "a", "y": "b"}, {"kty": ["a"]}, {"kty": "RSA", "n": 1}]
    document = {"keys": [*odd, weak.as_dict(private=False), EC.as_dict(private=False)]}
    assert [key.kid for key in keys_from(document)] == [EC.kid]


@pytest.mark.parametrize("document", [{}, {"keys": None}, {"keys": []}, {"keys": [{"kty": "unheard of"}]}])
def test_a_provider_without_keys_has_failed(document: dict[str, object]) -> None:
    with pytest.raises(ProviderFailed, match="no key"):
        keys_from(document)
