import pytest

from app.detection.context import Context, PeerScope, Signer, Trust, context_of, more_exposed
from tests.detection.rows import MACOS_LISTEN, WINDOWS_OUT, socket

SIGNER = Signer(Trust.TRUSTED, "Google LLC")


def test_a_socket_row_tells_peer_parent_and_command():
    row = socket(
        r"C:\a\a.exe",
        remote_address="8.8.8.8",
        conn_state="attempt",
        username="bob",
        parent_path=r"C:\b.exe",
        pid=42,
        proc_start="1795289290",
        cmdline="a.exe -x",
    )
    assert context_of(WINDOWS_OUT, row, node="PRD01", signer=SIGNER) == Context(
        node="PRD01",
        path=r"C:\a\a.exe",
        peer_address="8.8.8.8",
        peer_scope=PeerScope.PUBLIC,
        attempt_only=True,
        user="bob",
        parent=r"C:\b.exe",
        command_line="a.exe -x",
        process_id="42",
        process_started="1795289290",
        local_port="51000",
        signer=SIGNER,
    )


def test_a_listener_has_a_bind_scope_and_no_peer():
    context = context_of(MACOS_LISTEN, socket("/a/b", bind_scope="any"), node="m", signer=Signer())
    assert (context.bind_scope, context.peer_scope) == ("any", PeerScope.UNKNOWN)


@pytest.mark.parametrize("row", [{}, {"bind_scope": "everywhere", "remote_address": None, "pid": ["x"], "cmdline": 7}])
def test_odd_rows_have_a_context_too(row):
    assert context_of(WINDOWS_OUT, row, node="n", signer=Signer()).bind_scope == ""


def test_a_program_cannot_hide_the_world_behind_itself():
    inside, outside = (Context("n", peer_scope=scope) for scope in (PeerScope.LOOPBACK, PeerScope.PUBLIC))
    assert more_exposed(inside, outside) is more_exposed(outside, inside) is outside
    shut, wide = (Context("n", bind_scope=scope) for scope in ("loopback", "any"))
    assert more_exposed(shut, wide) is more_exposed(wide, shut) is wide
    first, second = Context("n", user="a"), Context("n", user="b")
    assert more_exposed(first, second) is first
