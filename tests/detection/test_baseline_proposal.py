"""History proposes what is regular and signed, says why, and leaves to people what attackers like to hide in."""

from dataclasses import replace
from typing import Any

import pytest

from app.detection.addresses import PeerScope
from app.detection.baseline_proposal import Enough, LeftOut, Proposal, Shown, propose
from app.detection.behaviour import Behaviour, Direction, Platform, Program, Transport
from app.detection.context import Signer, Trust
from app.detection.expectations import faults

TILL = Program(Platform.WINDOWS, "c:\\program files\\till\\till.exe", "till.exe")
SIGNED = Signer(Trust.TRUSTED, "Till Ltd")
ENOUGH = Enough(nodes=50, days=14, window_days=30)


def shown(program: Program = TILL, port: str = "443", **given: Any) -> Shown:
    what = Behaviour(program, given.pop("direction", Direction.OUTBOUND), Transport.TCP, port)
    counts = {"nodes": 900, "days": 30, "node_days": 26_000, "signers": {SIGNED: 900}, "peers": {PeerScope.PUBLIC: 8}}
    return Shown(what, **counts | given)


def test_a_regular_signed_program_is_proposed_with_the_reason() -> None:
    found = propose(shown(), ENOUGH)
    assert isinstance(found, Proposal)
    assert str(found.expects) == (
        "till.exe (c:\\program files\\till\\till.exe, signed Till Ltd) connects out to tcp/443 at public peers"
    )
    assert found.why == (
        "Seen on 900 nodes (enough: 50), on 30 of 30 days (enough: 14), 26,000 node-days; signed so on all 900 nodes"
        " that said who signed it. All 8 rows looked at speak to public peers."
    )
    assert not found.flagged
    assert list(faults(found.expects)) == []


@pytest.mark.parametrize(
    ("what", "because"),
    [
        (shown(signers={}), "no node said who signed it"),
        (shown(signers={SIGNED: 800, Signer(Trust.UNSIGNED): 1}), "its signature is unsigned on 1 node"),
        (shown(signers={SIGNED: 800, Signer(Trust.BROKEN, "Till Ltd"): 2}), "its signature is broken on 2 nodes"),
        (shown(signers={SIGNED: 800, Signer(Trust.TRUSTED, "Other"): 9}), "it is signed by 2 different signers"),
        (shown(replace(TILL, name="powershell.exe")), "it runs whatever script it is given"),
        (shown(replace(TILL, name="notepad.exe")), "programs of its kind have no business on the network"),
        (shown(replace(TILL, name="svchost.exe")), "code of others is often injected into it"),
        (shown(replace(TILL, name="svchost.exe"), direction=Direction.LISTENING), "code of others is often injected"),
        (shown(replace(TILL, path="")), "no path of it is known"),
        (shown(direction=Direction.SERVICE), "it is an inventory fact"),
    ],
)
def test_what_people_must_enter_by_hand_is_left_out_with_the_reason(what: Shown, because: str) -> None:
    found = propose(what, ENOUGH)
    assert isinstance(found, LeftOut)
    assert because in found.because


@pytest.mark.parametrize(
    ("peers", "scope", "says"),
    [
        ({}, None, "No rows of it are kept"),
        ({PeerScope.PRIVATE: 3}, PeerScope.PRIVATE, "All 3 rows looked at speak to private peers."),
        ({PeerScope.PUBLIC: 7, PeerScope.PRIVATE: 1}, None, "7 public, 1 private, so peers anywhere"),
        ({PeerScope.UNKNOWN: 8}, None, "8 unknown"),
    ],
)
def test_peers_are_narrowed_only_where_all_rows_agree(
    peers: dict[PeerScope, int], scope: PeerScope | None, says: str
) -> None:
    found = propose(shown(peers=peers), ENOUGH)
    assert isinstance(found, Proposal)
    assert found.expects.peer_scope is scope
    assert says in found.why


def test_a_listener_has_no_peers_and_dynamic_ports_are_one() -> None:
    found = propose(shown(port="dynamic", direction=Direction.LISTENING), ENOUGH)
    assert isinstance(found, Proposal)
    assert (found.expects.ports, found.expects.peer_scope) == ("tcp/49152-65535", None)
    assert list(faults(found.expects)) == []


def test_what_has_open_findings_is_flagged() -> None:
    found = propose(shown(open_findings=2), ENOUGH)
    assert isinstance(found, Proposal)
    assert found.flagged
    assert found.why.endswith("Look first: 2 open findings on it.")
