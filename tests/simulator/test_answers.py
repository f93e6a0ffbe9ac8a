import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.simulator.answers import Verdict, judge, node_key_of


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        (b"", Verdict.TAKEN),
        (b"{}", Verdict.TAKEN),
        (b'{"detail":"Not Found"}', Verdict.TAKEN),
        (b'{"node_invalid":false}', Verdict.TAKEN),
        (b'{"node_invalid":"true"}', Verdict.TAKEN),
        (b'{"status":"\xff\xfe"}', Verdict.TAKEN),
        (b'{"error":"busy"}', Verdict.REFUSED),
        (b'{"error":null}', Verdict.REFUSED),
        (b'{"error":false,"node_invalid":false}', Verdict.REFUSED),
        (b'{"node_invalid":true}', Verdict.NODE_INVALID),
        (b'{"error":"unknown key","node_invalid":true}', Verdict.NODE_INVALID),
        (b"Internal Server Error", Verdict.REFUSED),
        (b"<html><body>502</body></html>", Verdict.REFUSED),
        (b'{"queries":{', Verdict.REFUSED),
        (b" ", Verdict.REFUSED),
        (b'"text"', Verdict.REFUSED),
        (b"[]", Verdict.REFUSED),
    ],
)
def test_only_the_body_decides_what_becomes_of_the_lines(body: bytes, verdict: Verdict) -> None:
    assert judge(body) is verdict


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (b'{"node_key":"abc"}', "abc"),
        (b'{"id":"abc"}', "abc"),
        (b'{"node_key":"abc","node_invalid":true,"error":"x"}', "abc"),
        (b'{"node_key":""}', None),
        (b'{"node_key":7}', None),
        (b'{"node_invalid":true}', None),
        (b"{}", None),
        (b"", None),
        (b"no", None),
    ],
)
def test_an_enrollment_needs_a_key_of_text_and_nothing_else(body: bytes, key: str | None) -> None:
    assert node_key_of(body) == key


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_get_a_verdict(body: bytes) -> None:
    assert judge(body) in Verdict
