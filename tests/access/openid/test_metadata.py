"""What a provider publishes about itself is used only when it is about that provider, and secrets go by TLS."""

import pytest

from app.access.openid.faults import ProviderFailed
from app.access.openid.metadata import BASIC, POST, metadata_address, metadata_from

ISSUER = "https://id.example/realm"
PUBLISHED = {
    "issuer": ISSUER,
    "authorization_endpoint": "https://id.example/authorize?tenant=1",
    "token_endpoint": "https://tokens.example/",
    "jwks_uri": "https://id.example/keys",
}


def test_the_address_is_below_the_issuers() -> None:
    assert metadata_address("https://id.example") == "https://id.example/.well-known/openid-configuration"
    assert metadata_address("https://id.example/") == "https://id.example/.well-known/openid-configuration"
    assert metadata_address(ISSUER) == "https://id.example/realm/.well-known/openid-configuration"


@pytest.mark.parametrize("issuer", ["https://id.example", f"{ISSUER}/", ISSUER.upper(), None, 7])
def test_the_issuer_is_exactly_the_one_that_was_set(issuer: object) -> None:
    with pytest.raises(ProviderFailed, match="another issuer"):
        metadata_from(PUBLISHED | {"issuer": issuer}, ISSUER)


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"])
@pytest.mark.parametrize(
    "url",
    [
        "http://id.example/",
        "http://127.0.0.1/",
        "https://",
        "https:///x",
        "javascript:alert(1)",
        "https://a b/",
        "x",
        7,
    ],
)
def test_every_address_has_tls(name: str, url: object) -> None:
    with pytest.raises(ProviderFailed, match=name):
        metadata_from(PUBLISHED | {name: url}, ISSUER)


def test_a_provider_of_this_host_may_do_without() -> None:
    here = "http://127.0.0.1:5000"
    published = {name: f"{here}/{name}" for name in PUBLISHED} | {"issuer": here}
    assert metadata_from(published, here).token_endpoint == f"{here}/token_endpoint"
    with pytest.raises(ProviderFailed, match="token_endpoint"):
        metadata_from(published | {"token_endpoint": "http://id.example/"}, here)


@pytest.mark.parametrize(
    ("known", "used"),
    [(None, BASIC), ([BASIC, POST], BASIC), ([POST, BASIC], BASIC), (["private_key_jwt", POST], POST)],
)
def test_the_secret_is_sent_as_the_provider_takes_it(known: list[str] | None, used: str) -> None:
    said = {"token_endpoint_auth_methods_supported": known} if known else {}
    assert metadata_from(PUBLISHED | said, ISSUER).secret_by == used


@pytest.mark.parametrize("known", [[], ["none"], "client_secret_basic", None])
def test_a_provider_that_takes_no_secret_cannot_be_used(known: object) -> None:
    with pytest.raises(ProviderFailed, match="client secret"):
        metadata_from(PUBLISHED | {"token_endpoint_auth_methods_supported": known}, ISSUER)


@pytest.mark.parametrize(("said", "says"), [(True, True), ("true", False), (None, False)])
def test_whether_answers_name_the_issuer(said: object, says: bool) -> None:
    published = PUBLISHED | {"authorization_response_iss_parameter_supported": said}
    assert metadata_from(published, ISSUER).says_issuer is says
