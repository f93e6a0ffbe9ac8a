import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.detection.addresses import PeerScope, peer_scope


@pytest.mark.parametrize(
    ("address", "scope"),
    [
        ("8.8.8.8", PeerScope.PUBLIC),
        ("10.0.5.13", PeerScope.PRIVATE),
        ("100.64.0.1", PeerScope.PRIVATE),
        ("168.63.129.16", PeerScope.PUBLIC),
        ("127.0.0.53", PeerScope.LOOPBACK),
        ("169.254.169.254", PeerScope.LINK_LOCAL),
        ("239.255.255.250", PeerScope.LINK_LOCAL),
        ("0.0.0.0", PeerScope.UNKNOWN),
        ("::1", PeerScope.LOOPBACK),
        ("0:0:0:0:0:0:0:1", PeerScope.LOOPBACK),
        ("fe80:0:0:0:3b31:a8fa:5adc:7b9e", PeerScope.LINK_LOCAL),
        ("fe80::1%en0", PeerScope.LINK_LOCAL),
        ("fd12::1", PeerScope.PRIVATE),
        ("2606:4700::1111", PeerScope.PUBLIC),
        ("::ffff:10.0.0.1", PeerScope.PRIVATE),
        ("::ffff:8.8.8.8", PeerScope.PUBLIC),
        ("", PeerScope.UNKNOWN),
        ("0", PeerScope.UNKNOWN),
        ("evil.example", PeerScope.UNKNOWN),
    ],
)
def test_every_spelling_of_an_address_has_its_scope(address, scope):
    assert peer_scope(address) is scope


@given(st.text())
def test_rubbish_has_a_scope_too(address):
    assert peer_scope(address) in PeerScope
