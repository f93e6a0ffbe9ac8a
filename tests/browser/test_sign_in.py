"""Signing in, changing the password and signing out, as a person does; the browser has nothing to complain of."""

from tests.browser.chromium import Tab
from tests.browser.conftest import Served

NEW = "a harbour and its ledger"
#: What Chromium says itself of an answer that shows a form again.
SHOWN_AGAIN = "network: Failed to load resource: the server responded with a status of 422"


def focused(tab: Tab) -> object:
    return tab.run("document.activeElement.id")


def test_the_journey_from_a_wrong_password_to_signing_out(tab: Tab, served: Served) -> None:
    tab.open(f"{served.url}/?done=password-changed")
    assert tab.path == "/sign-in"
    assert focused(tab) == "name"
    tab.fill("#name", "admin")
    tab.fill("#password", "not the password")
    tab.press("main button")
    assert tab.run("document.querySelector('[role=alert]').innerText") == (
        "Not signed in: the name or the password is wrong."
    )
    assert (tab.run("document.querySelector('#name').value"), focused(tab)) == ("admin", "password")

    tab.fill("#password", served.password)
    tab.press("main button")
    assert tab.path == "/"
    assert "audit log" in tab.text
    assert "this one" in tab.text

    tab.fill("#old", served.password)
    tab.fill("#new", NEW)
    tab.fill("#again", NEW)
    tab.press(".fields button")
    assert tab.run("document.querySelector('[role=status]').innerText").startswith("Your password is changed")

    tab.press("header button")
    assert tab.path == "/sign-in"
    tab.open(f"{served.url}/")
    assert tab.path == "/sign-in"
    assert [each for each in tab.complaints if not each.startswith(SHOWN_AGAIN)] == []


def test_what_the_policy_forbids_is_noticed(tab: Tab, served: Served) -> None:
    """Else the journey could not fail."""
    tab.open(f"{served.url}/sign-in")
    tab.run("document.body.insertAdjacentHTML('beforeend', '<img src=https://elsewhere.test/x.png>')")
    tab.run("new Promise(done => setTimeout(done, 0))")
    tab.open(f"{served.url}/sign-in")
    assert any("Content Security Policy" in each or "ContentSecurityPolicy" in each for each in tab.complaints)
