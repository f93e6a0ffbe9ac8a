"""A sign-in by a provider ends with an operator, or with a clear answer and nothing changed."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwk
from pydantic import SecretStr

from app.access.duties import Duty
from app.access.openid.attempts import LIFE
from app.access.openid.faults import IdentityRefused, ProviderFailed, SignInUnfinished
from app.access.openid.provider import REMEMBERED, Provider
from app.access.openid.sign_in import Arrival, Departure, arrive, depart
from app.access.sign_ins import Limits, find
from app.clock import utc_now
from app.database import Database
from app.tls import ensure_certificate
from tests.access.openid.lying_provider import CLIENT_ID, CLIENT_SECRET, LyingProvider, basic, lying_provider
from tests.access.test_audit import lines
from tests.factories import a_name, an_operator
from tests.observations.stored import ask, tell

LIMITS = Limits(timedelta(minutes=30), timedelta(hours=12))
ODD = ["\0", "\ud800", "x" * 100_000, "日本"]


async def set_out(database: Database, provider: Provider, now: datetime | None = None) -> Departure:
    return await depart(database, provider, "/findings", now or utc_now())


def back(came: str, **given: Any) -> Arrival:
    """With this state, as an honest browser brings it from an honest provider, but for what is given."""
    return replace(Arrival(came, "a code", "", None, came, "192.0.2.1"), **given)


async def sign_in(database: Database, lying: LyingProvider, **said: object) -> str:
    """Sign in whom the provider says these claims of. Returns the operator's name."""
    provider = Provider(lying.registration)
    departure = await set_out(database, provider)
    arrived = await arrive(database, provider, back(lying.vouch(departure, **said)), utc_now())
    assert arrived.next_path == "/findings"
    known = await find(database, arrived.begun.token, LIMITS, utc_now())
    assert known is not None
    assert known.sign_in.method == "openid"
    return known.actor.name


async def changes(database: Database) -> list[tuple[Any, ...]]:
    """What a sign-in that fails must leave as it was."""
    operators = "SELECT operator_id, openid_subject, disabled_at FROM operators ORDER BY operator_id"
    return [*await ask(database, operators), *await ask(database, "SELECT sign_in_id FROM sign_ins ORDER BY 1")]


async def test_the_browser_is_sent_with_all_that_binds_the_answer_to_it(database: Database) -> None:
    async with lying_provider() as lying:
        departure = await set_out(database, Provider(lying.registration))
    asked = {name: values[0] for name, values in parse_qs(urlsplit(departure.address).query).items()}
    assert departure.address.startswith(f"{lying.url}/authorization_endpoint?")
    assert asked.pop("state") == departure.state
    assert len(asked.pop("nonce")) == len(asked.pop("code_challenge")) == 43
    assert asked == {
        "response_type": "code",
        "client_id": CLIENT_ID,
        "redirect_uri": "https://portbook.test/sign-in/openid/callback",
        "scope": "openid profile email",
        "code_challenge_method": "S256",
    }


async def test_an_address_that_has_a_query_keeps_it(database: Database) -> None:
    async with lying_provider() as lying:
        lying.lies = {"authorization_endpoint": f"{lying.url}/authorize?tenant=1"}
        departure = await set_out(database, Provider(lying.registration))
    assert departure.address.startswith(f"{lying.url}/authorize?tenant=1&response_type=code&")


@pytest.mark.parametrize("taken", ["client_secret_basic", "client_secret_post"])
async def test_a_code_is_redeemed_with_verifier_and_secret(database: Database, taken: str) -> None:
    name = await an_operator(database, Duty.VIEWER)
    async with lying_provider() as lying:
        lying.lies = {"token_endpoint_auth_methods_supported": [taken]}
        assert await sign_in(database, lying, sub=name, preferred_username=name) == name
        ((headers, form),) = lying.asked_for("/token_endpoint")
    assert len(form.pop("code_verifier")) == 64
    if taken == "client_secret_basic":
        assert basic(headers) == "portbook+at+the+provider:s3cret+%2B%2F%25"
    else:
        assert (form.pop("client_id"), form.pop("client_secret")) == (CLIENT_ID, CLIENT_SECRET)
    assert form == {
        "grant_type": "authorization_code",
        "code": "a code",
        "redirect_uri": "https://portbook.test/sign-in/openid/callback",
    }


async def test_the_second_sign_in_goes_by_subject_whatever_the_names_say(database: Database) -> None:
    name, other = await an_operator(database, Duty.VIEWER), await an_operator(database, Duty.VIEWER)
    async with lying_provider() as lying:
        assert await sign_in(database, lying, sub=name, preferred_username=name) == name
        assert await sign_in(database, lying, sub=name, preferred_username=other) == name
        assert await sign_in(database, lying, sub=name) == name
    assert [each["action"] for each in (await lines(database))[-4:]] == [
        "operator_linked", "signed_in", "signed_in", "signed_in",
    ]  # fmt: skip


def told(subject: str, name: str) -> tuple[int, bytes]:
    return 200, json.dumps({"sub": subject, "preferred_username": name}).encode()


async def test_names_may_come_from_the_userinfo_of_the_same_subject(database: Database) -> None:
    name = await an_operator(database, Duty.VIEWER)
    async with lying_provider() as lying:
        lying.answers["/userinfo_endpoint"] = told("another", name)
        with pytest.raises(IdentityRefused):
            await sign_in(database, lying, sub=name)
        lying.answers["/userinfo_endpoint"] = (
            200,
            b'{"sub": "%s", "preferred_username": "%s"}' % ((name.encode(),) * 2),
        )
        assert await sign_in(database, lying, sub=name) == name
        assert lying.asked_for("/userinfo_endpoint")[-1][0]["authorization"] == "Bearer at"


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({"nonce": "another"}, "nonce"),
        ({"aud": "another"}, "aud"),
        ({"iss": "https://another.example"}, "iss"),
        ({"exp": 1}, "expired"),
    ],
)
async def test_a_token_that_is_not_for_this_sign_in_is_refused_and_told(
    database: Database, said: dict[str, Any], named: str
) -> None:
    name = await an_operator(database, Duty.VIEWER)
    before = await changes(database)
    async with lying_provider() as lying:
        with pytest.raises(IdentityRefused, match=named):
            await sign_in(database, lying, preferred_username=name, **said)
    last = (await lines(database))[-1]
    assert (last["action"], last["outcome"], last["object_id"]) == ("sign_in_denied", "denied", lying.url)
    assert (last["source_ip"], named in last["reason"]) == ("192.0.2.1", True)
    assert await changes(database) == before


async def test_a_token_that_another_key_signed_is_refused(database: Database) -> None:
    name = await an_operator(database, Duty.VIEWER)
    async with lying_provider() as lying:
        lying.published, lying.key = [lying.key], jwk.ECKey.generate_key("P-256", {"kid": str(lying.key.kid)})
        with pytest.raises(IdentityRefused, match="not signed by"):
            await sign_in(database, lying, preferred_username=name)
        lying.key = jwk.ECKey.generate_key("P-256", auto_kid=True)
        with pytest.raises(IdentityRefused, match="does not publish"):
            await sign_in(database, lying, preferred_username=name)


async def test_a_new_key_is_asked_for_once_and_what_is_published_remembered(database: Database) -> None:
    name, now = await an_operator(database, Duty.VIEWER), utc_now()
    async with lying_provider() as lying:
        provider = Provider(lying.registration)
        for new_key, asked in ((False, 1), (False, 1), (True, 2), (False, 2)):
            if new_key:
                lying.key = jwk.OKPKey.generate_key("Ed25519", auto_kid=True)
            departure = await set_out(database, provider, now)
            state = lying.vouch(departure, sub=name, preferred_username=name)
            await arrive(database, provider, back(state), now)
            assert len(lying.asked_for("/jwks_uri")) == asked
        await set_out(database, provider, now + REMEMBERED)
        assert len(lying.asked_for("/jwks_uri")) == 3


async def broken(database: Database, lying: LyingProvider, match: str, **given: Any) -> None:
    """Come back otherwise than an honest browser does: nothing is redeemed, nobody signed in."""
    provider = Provider(lying.registration)
    before = await changes(database)
    state = lying.vouch(await set_out(database, provider))
    with pytest.raises(SignInUnfinished, match=match):
        await arrive(database, provider, back(state, **given), utc_now())
    assert lying.asked_for("/token_endpoint") == []
    assert await changes(database) == before


@pytest.mark.parametrize("cookie", ["", "another", *ODD])
async def test_another_browser_cannot_end_what_one_began(database: Database, cookie: str) -> None:
    async with lying_provider() as lying:
        await broken(database, lying, "another browser", cookie=cookie)


@pytest.mark.parametrize("state", ["", "unknown", *ODD])
async def test_a_state_that_was_not_given_out_is_refused(database: Database, state: str) -> None:
    async with lying_provider() as lying:
        await broken(database, lying, "unknown or was used", state=state, cookie=state)


async def test_a_sign_in_comes_back_once(database: Database) -> None:
    name = await an_operator(database, Duty.VIEWER)
    async with lying_provider() as lying:
        provider = Provider(lying.registration)
        state = lying.vouch(await set_out(database, provider), sub=name, preferred_username=name)
        await arrive(database, provider, back(state), utc_now())
        before = await changes(database)
        with pytest.raises(SignInUnfinished, match="used already"):
            await arrive(database, provider, back(state), utc_now())
    assert await changes(database) == before


async def test_a_sign_in_that_took_too_long_is_over(database: Database) -> None:
    async with lying_provider() as lying:
        provider = Provider(lying.registration)
        state = lying.vouch(await set_out(database, provider))
        with pytest.raises(SignInUnfinished, match="10 minutes"):
            await arrive(database, provider, back(state), utc_now() + LIFE)


async def test_an_answer_of_another_issuer_is_no_answer(database: Database) -> None:
    async with lying_provider() as lying:
        await broken(database, lying, "another provider", issuer="https://another.example")
        await broken(database, lying, "another provider", issuer="")
        lying.lies = {"authorization_response_iss_parameter_supported": True}
        await broken(database, lying, "another provider", issuer=None)
        await broken(database, lying, "neither a code", issuer=lying.url, code="")


@pytest.mark.parametrize(
    ("error", "shown"),
    [("access_denied", "access_denied"), ("<b>call 0800</b>", "an error"), *((odd, "an error") for odd in ODD)],
)
async def test_the_provider_may_refuse(database: Database, error: str, shown: str) -> None:
    async with lying_provider() as lying:
        await broken(database, lying, f"refused the sign-in: {shown}$", error=error)


@pytest.mark.parametrize(
    ("path", "status", "content", "match"),
    [
        ("/token_endpoint", 400, b'{"error": "invalid_grant"}', "tokens: status 400, invalid_grant"),
        ("/token_endpoint", 400, b'{"error": "<b>"}', "tokens: status 400$"),
        ("/token_endpoint", 200, b"{}", "no ID token"),
        ("/token_endpoint", 200, b'{"id_token": 7}', "no ID token"),
        ("/token_endpoint", 302, b"", "status 302"),
        ("/token_endpoint", 200, b"[]", "no JSON object"),
        ("/token_endpoint", 200, b"{" * 100_000, "no JSON object"),
        ("/token_endpoint", 200, b" " * 300_000, "longer than"),
        ("/jwks_uri", 200, b'{"keys": []}', "no key"),
        ("/.well-known/openid-configuration", 404, b"", "metadata: status 404"),
        ("/.well-known/openid-configuration", 200, b'{"issuer": "https://another.example"}', "another issuer"),
    ],
)
async def test_a_provider_that_fails_is_said_to(
    database: Database, path: str, status: int, content: bytes, match: str
) -> None:
    async with lying_provider() as lying:
        lying.answers[path] = (status, content)
        with pytest.raises(ProviderFailed, match=match):
            await sign_in(database, lying, preferred_username=a_name("operator"))


async def test_a_provider_that_is_not_there_is_said_to_be(database: Database) -> None:
    async with lying_provider() as lying:
        registration = lying.registration
    with pytest.raises(ProviderFailed, match="ConnectError"):
        await set_out(database, Provider(registration))


async def test_a_provider_that_is_silent_is_waited_for_so_long(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.access.openid.asking.SECONDS", 0.1)
    async with lying_provider() as lying:
        lying.answers["/.well-known/openid-configuration"] = (200, None)
        with pytest.raises(ProviderFailed, match="metadata: no answer within"):
            await set_out(database, Provider(lying.registration))


async def test_a_provider_whose_certificate_nobody_vouches_for_is_not_asked(database: Database, tmp_path: Path) -> None:
    tls = SSLContext(PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*ensure_certificate(tmp_path, ("localhost",)))
    async with lying_provider(tls) as lying:
        with pytest.raises(ProviderFailed, match="ConnectError"):
            await set_out(database, Provider(lying.registration))
        assert lying.asked == []


async def test_no_secret_is_shown_or_logged(database: Database, logged: list[Any]) -> None:
    async with lying_provider() as lying:
        departure = await set_out(database, Provider(lying.registration))
        with pytest.raises(IdentityRefused):
            await sign_in(database, lying, preferred_username=a_name("operator"))
    said = f"{lying.registration}{logged}{await lines(database)}"
    assert CLIENT_SECRET not in said
    assert departure.state not in said
    assert SecretStr(CLIENT_SECRET) == lying.registration.client_secret


async def test_a_disabled_operator_stays_out(database: Database) -> None:
    name = await an_operator(database, Duty.VIEWER)
    async with lying_provider() as lying:
        await sign_in(database, lying, sub=name, preferred_username=name)
        await tell(database, "UPDATE operators SET disabled_at = now() WHERE name = :name", name=name)
        before = await changes(database)
        with pytest.raises(IdentityRefused, match="disabled"):
            await sign_in(database, lying, sub=name)
    assert await changes(database) == before
    assert (await lines(database))[-1]["object_id"] == f"{lying.url} {name}"
