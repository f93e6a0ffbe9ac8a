import asyncio
import ssl
from pathlib import Path

import pytest
from fake_portbook import CUT, SILENCE, FakeServer, Reply

from app.simulator import connection as module
from app.simulator.connection import Connection, ServerAddress, Unanswered, connected
from app.tls import ensure_certificate


async def test_requests_share_a_connection(server: FakeServer, connection: Connection) -> None:
    for _ in range(3):
        await connection.post("/osquery/log", b"{}")

    assert server.connections == 1


async def test_each_request_has_a_connection_of_its_own_when_asked_to(server: FakeServer) -> None:
    async with connected(ServerAddress(server.url, new_connections=True)) as connection:
        agent = connection.for_agent()
        for _ in range(3):
            await agent.post("/osquery/log", b"{}")

    assert [asked.connection for asked in server.asked] == [1, 2, 3]


async def test_a_path_in_the_address_comes_before_the_endpoint(server: FakeServer) -> None:
    async with connected(ServerAddress(f"{server.url}/portbook/")) as connection:
        await connection.post("/osquery/log", b"{}")

    assert server.asked[0].head[0] == "POST /portbook/osquery/log HTTP/1.1"


async def test_an_answer_in_chunks_is_put_together(server: FakeServer, connection: Connection) -> None:
    chunked = b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
    server.script["log"] = [Reply(raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked)]

    assert await connection.post("/osquery/log", b"{}") == b"hello world"


async def test_the_same_request_is_sent_again_when_the_connection_breaks(
    server: FakeServer, connection: Connection
) -> None:
    server.script["log"] = [CUT]

    assert await connection.post("/osquery/log", b'{"a":1}') == b"{}"
    first, second = server.asked
    assert (first.head, first.raw) == (second.head, second.raw)


async def test_a_connection_that_breaks_twice_is_no_answer(server: FakeServer, connection: Connection) -> None:
    server.script["log"] = [CUT, CUT]

    with pytest.raises(Unanswered, match="closed the connection"):
        await connection.post("/osquery/log", b"{}")


@pytest.mark.parametrize("rubbish", [b"no http at all\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"])
async def test_a_server_that_speaks_no_http_or_half_of_it_is_no_answer(
    server: FakeServer, connection: Connection, rubbish: bytes
) -> None:
    server.script["log"] = [Reply(raw=rubbish), Reply(raw=rubbish)]

    with pytest.raises(Unanswered):
        await connection.post("/osquery/log", b"{}")


async def test_an_idle_connection_that_the_server_closed_is_replaced(
    server: FakeServer, connection: Connection
) -> None:
    server.script["log"] = [Reply(b"{}", headers=("Connection: close",))]

    await connection.post("/osquery/log", b"{}")
    await connection.post("/osquery/log", b"{}")

    assert server.connections == 2


async def test_an_answer_that_takes_too_long_is_none(
    server: FakeServer, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWER_TIMEOUT_SECONDS", 0.05)
    server.script["log"] = [SILENCE]

    with pytest.raises(Unanswered, match="in time"):
        await connection.post("/osquery/log", b"{}")


async def test_nobody_there_is_no_answer() -> None:
    async with connected(ServerAddress("http://127.0.0.1:1")) as connection:
        with pytest.raises(Unanswered, match=r"127\.0\.0\.1:1"):
            await connection.post("/log", b"{}")


async def test_a_missing_authority_file_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises((OSError, ssl.SSLError)):
        async with connected(ServerAddress("https://localhost", tmp_path / "none.pem")):
            pass


async def test_a_server_is_trusted_by_its_authority_and_by_no_other(tmp_path: Path) -> None:
    ours = ensure_certificate(tmp_path / "ours", ("localhost",))
    other, _ = ensure_certificate(tmp_path / "other", ("localhost",))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*ours)
    fake = FakeServer()
    listener = await asyncio.start_server(fake.serve, "localhost", 0, ssl=context)
    url = f"https://localhost:{listener.sockets[0].getsockname()[1]}"

    async with listener:
        async with connected(ServerAddress(url, ours[0])) as connection:
            assert await connection.post("/osquery/log", b"{}") == b"{}"
        async with connected(ServerAddress(url, other)) as connection:
            with pytest.raises(Unanswered, match="certificate"):
                await connection.post("/osquery/log", b"{}")
