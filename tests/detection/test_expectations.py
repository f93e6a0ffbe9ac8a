"""Patterns cover what people meant and nothing beside it; what cannot be meant is named."""

from dataclasses import replace
from typing import Any

import pytest

from app.detection.addresses import PeerScope
from app.detection.behaviour import Behaviour, Direction, Platform, Program, Transport
from app.detection.context import Signer, Trust
from app.detection.expectations import Expectation, Observed, breadth, faults, overlap

CHROME = "c:\\program files\\google\\chrome\\application\\chrome.exe"
GOOGLE = Signer(Trust.TRUSTED, "Google LLC")
WANTED = Expectation(
    Platform.WINDOWS, "chrome.exe", "", "Google LLC", Direction.OUTBOUND, Transport.TCP, 443, 443, "", PeerScope.PUBLIC
)


def seen(bucket: str = "443", *, path: str = CHROME, unit: str = "", **given: Any) -> Observed:
    program = Program(Platform.WINDOWS, path, path.rpartition("\\")[2], unit)
    behaviour = Behaviour(program, Direction.OUTBOUND, Transport.TCP, bucket)
    return Observed(**{"behaviour": behaviour, "signer": GOOGLE, "peer_scope": PeerScope.PUBLIC} | given)


def test_it_covers_what_it_says() -> None:
    assert WANTED.covers(seen())
    assert str(WANTED) == "chrome.exe (signed Google LLC) connects out to tcp/443 at public peers"


@pytest.mark.parametrize(
    "other",
    [
        seen("444"),
        seen("dynamic"),
        seen(path=CHROME.replace("chrome.exe", "chrome2.exe")),
        seen(unit="netsvcs"),
        seen(signer=Signer(Trust.TRUSTED, "Somebody Else")),
        seen(signer=Signer(Trust.BROKEN, "Google LLC")),
        seen(signer=Signer()),
        seen(peer_scope=PeerScope.PRIVATE),
        seen(peer_scope=PeerScope.UNKNOWN),
        replace(seen(), behaviour=replace(seen().behaviour, direction=Direction.LISTENING)),
        replace(seen(), behaviour=replace(seen().behaviour, transport=Transport.UDP)),
    ],
)
def test_it_covers_nothing_beside_it(other: Observed) -> None:
    assert not WANTED.covers(other)


def test_a_path_holds_whoever_signed_it() -> None:
    by_path = replace(WANTED, path=CHROME, signer="")
    assert by_path.covers(seen(signer=Signer()))
    assert not by_path.covers(seen(path="c:\\users\\*\\downloads\\chrome.exe"))


def test_the_dynamic_ports_are_covered_whole() -> None:
    wide = replace(WANTED, first_port=1024, last_port=65535)
    assert wide.covers(seen("dynamic"))
    assert wide.covers(seen("8080"))
    assert not wide.covers(seen("443"))


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"first_port": 0}, "first_port"),
        ({"last_port": 70000}, "last_port"),
        ({"first_port": 500}, "last_port"),
        ({"last_port": 50000}, "last_port"),
        ({"first_port": 50000, "last_port": 65535}, "last_port"),
        ({"signer": ""}, "path"),
        ({"program": "*", "path": CHROME, "signer": ""}, "signer"),
        ({"program": ""}, "program"),
        ({"program": " chrome.exe"}, "program"),
        ({"path": "C:\\Program Files\\x.exe"}, "path"),
        ({"transport": Transport.NONE}, "transport"),
        ({"direction": Direction.SERVICE, "peer_scope": None}, "direction"),
        ({"direction": Direction.LISTENING}, "peer_scope"),
        ({"peer_scope": PeerScope.LOOPBACK}, "peer_scope"),
    ],
)
def test_what_cannot_be_meant_is_named_by_field(given: dict[str, Any], field: str) -> None:
    assert list(faults(WANTED)) == []
    assert field in {name for name, _ in faults(replace(WANTED, **given))}


def test_ports_of_one_program_overlap() -> None:
    ports = replace(WANTED, first_port=8000, last_port=8100)
    assert overlap(ports, replace(ports, first_port=8100, last_port=8200))
    assert not overlap(ports, replace(ports, first_port=8101, last_port=8200))
    assert not overlap(ports, replace(ports, transport=Transport.UDP))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"program": "*"}, "every program of the signer"),
        ({"signer": "Microsoft Windows"}, "signs hundreds"),
        ({"last_port": 9000}, "8,558 ports"),
        ({"peer_scope": None}, "peers anywhere"),
        ({"program": "svchost.exe", "unit": None}, "whichever service"),
    ],
)
def test_what_is_wide_is_said(given: dict[str, Any], says: str) -> None:
    assert breadth(WANTED) == ()
    assert any(says in sentence for sentence in breadth(replace(WANTED, **given)))
