"""A provider on a socket of this host that says what a test wants it to say, true or not."""

import asyncio
import json
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from joserfc import jwk, jws, jwt
from pydantic import SecretStr

from app.access.openid.id_token import ALGORITHMS
from app.access.openid.registration import CALLBACK, Registration
from app.access.openid.sign_in import Departure
from app.clock import utc_now

CLIENT_ID, CLIENT_SECRET = "portbook at the provider", "s3cret +/%"
REGISTRY = jws.JWSRegistry(algorithms=ALGORITHMS)
Document = dict[str, Any]


@dataclass
class LyingProvider:
    """`lies` stand in for parts of the metadata; `said` are further claims; `answers` replace a whole answer by path.

    An answer without bytes never comes. `key` signs; `published` are the keys that it shows, `key` alone unless said
    otherwise.
    """

    url: str = ""
    lies: Document = field(default_factory=dict)
    said: Document = field(default_factory=dict)
    answers: dict[str, tuple[int, bytes | None]] = field(default_factory=dict)
    key: jwk.Key = field(default_factory=lambda: jwk.ECKey.generate_key("P-256", auto_kid=True))
    published: list[jwk.Key] | None = None
    nonce: str = ""
    asked: list[tuple[str, dict[str, str], dict[str, str]]] = field(default_factory=list)

    @property
    def registration(self) -> Registration:
        return Registration(self.url, CLIENT_ID, SecretStr(CLIENT_SECRET), "https://portbook.test" + CALLBACK)

    def asked_for(self, path: str) -> list[tuple[dict[str, str], dict[str, str]]]:
        """Headers, in small letters, and forms of the requests for a path."""
        return [(headers, form) for asked, headers, form in self.asked if asked == path]

    def vouch(self, departure: Departure, **said: object) -> str:
        """Sign somebody in. Returns the state that comes back."""
        parts = {name: values[0] for name, values in parse_qs(urlsplit(departure.address).query).items()}
        self.nonce, self.said = parts["nonce"], dict(said)
        return parts["state"]

    def metadata(self) -> Document:
        names = ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri")
        return {"issuer": self.url} | {name: f"{self.url}/{name}" for name in names} | self.lies

    def token(self) -> str:
        now = int(utc_now().timestamp())
        claims = {"iss": self.url, "sub": "1", "aud": CLIENT_ID, "iat": now, "exp": now + 60, "nonce": self.nonce}
        algorithm = {"EC": "ES256", "RSA": "RS256", "OKP": "Ed25519"}[self.key.key_type]
        return jwt.encode({"alg": algorithm, "kid": self.key.kid}, claims | self.said, self.key, registry=REGISTRY)

    def answer(self, path: str) -> tuple[int, bytes | None]:
        if path in self.answers:
            return self.answers[path]
        documents: dict[str, Any] = {
            "/.well-known/openid-configuration": self.metadata,
            "/jwks_uri": lambda: jwk.KeySet(self.published or [self.key]).as_dict(),
            "/token_endpoint": lambda: {"id_token": self.token(), "access_token": "at", "token_type": "Bearer"},
            "/userinfo_endpoint": lambda: {"sub": "1"},
        }
        return 200, json.dumps(documents[path]()).encode()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        path = first.split(" ")[1]
        self.asked.append((path, headers, dict(parse_qsl(body.decode()))))
        status, content = self.answer(path)
        if content is None:
            content = await reader.read()  # until the other side gives up
        head = f"HTTP/1.1 {status} Status\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + content)
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def lying_provider(tls: SSLContext | None = None) -> AsyncIterator[LyingProvider]:
    provider = LyingProvider()
    server = await asyncio.start_server(provider.serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        provider.url = f"http{'s' if tls else ''}://localhost:{server.sockets[0].getsockname()[1]}"
        yield provider


def basic(headers: dict[str, str]) -> str:
    """What a request says by HTTP Basic."""
    return b64decode(headers["authorization"].removeprefix("Basic ")).decode()
