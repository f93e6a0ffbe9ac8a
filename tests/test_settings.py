"""Settings that make no sense together end the start with a sentence, and secrets stay secrets."""

import pytest
from pydantic import SecretStr, ValidationError

from app.settings import Settings

OPENID = {
    "public_url": "https://portbook.example",
    "openid_issuer": "https://id.example/realm/",
    "openid_client_id": "portbook",
    "openid_client_secret": SecretStr("s3cret"),
}


def test_sign_in_by_a_provider_is_set_up_whole() -> None:
    settings = Settings(**OPENID)  # type: ignore[arg-type]
    assert settings.openid_issuer == "https://id.example/realm/"
    assert "s3cret" not in repr(settings)


@pytest.mark.parametrize("name", OPENID)
def test_half_of_it_is_refused_and_what_is_missing_named(name: str) -> None:
    for given in (OPENID | {name: None}, OPENID | {name: SecretStr("") if name.endswith("secret") else None}):
        with pytest.raises(ValidationError, match=rf"OpenID Connect also needs {name}\b"):
            Settings(**given)  # type: ignore[arg-type]


def test_where_portbook_is_reached_may_be_said_without_a_provider() -> None:
    assert Settings(public_url="https://portbook.example:8443/").public_url == "https://portbook.example:8443"
    assert Settings(public_url="http://127.0.0.1:8443").public_url == "http://127.0.0.1:8443"


@pytest.mark.parametrize("url", ["http://portbook.example", "portbook.example", "https://portbook.example/x", ""])
def test_browsers_reach_portbook_by_tls_at_the_root_of_its_host(url: str) -> None:
    with pytest.raises(ValidationError, match="must be https://HOST"):
        Settings(public_url=url)


@pytest.mark.parametrize("url", ["http://id.example", "id.example", "ftp://id.example"])
def test_the_provider_is_reached_by_tls(url: str) -> None:
    with pytest.raises(ValidationError, match="must be an https address"):
        Settings(**OPENID | {"openid_issuer": url})  # type: ignore[arg-type]
