"""Runs Canaille, a real OpenID Connect provider, until it is ended: run_canaille.py SOCKET SERVER_NAME REDIRECT_URI.

All that it knows is in memory: three people, and Portbook as a client that must be consented to.
"""

import asyncio
import sys
from typing import Any

import canaille
from asgiref.wsgi import WsgiToAsgi
from canaille.app import models
from canaille.backends.memory.backend import MemoryBackend
from hypercorn.asyncio import serve
from hypercorn.config import Config
from joserfc.jwk import RSAKey

CLIENT_ID, CLIENT_SECRET = "portbook-at-canaille", "only-for-tests_0~1.2"
PASSWORD = "correct horse battery staple"
PEOPLE = ("ada", "grace", "hedy")


_find = MemoryBackend.do_query


def find_all_of(memory: MemoryBackend, model: Any, *_: Any, **wanted: Any) -> list[Any]:
    """What fulfils every condition, as in Canaille's other backends; in 0.3.6 its memory takes any for enough."""
    found = [_find(memory, model, **{name: value}) for name, value in wanted.items()] or [_find(memory, model)]
    return [each for each in found[0] if all(each in others for others in found[1:])]


MemoryBackend.do_query = find_all_of


def main(socket: str, server_name: str, redirect_uri: str) -> None:
    settings: dict[str, Any] = {
        "SECRET_KEY": "only for tests",
        "SERVER_NAME": server_name,
        "PREFERRED_URL_SCHEME": "http",
        "CANAILLE": {"DATABASE": "memory", "JAVASCRIPT": False, "HTMX": False},
        "CANAILLE_OIDC": {"ACTIVE_JWKS": [RSAKey.generate_key(2048, auto_kid=True).as_dict(private=True)]},
    }
    app = canaille.create_app(settings)
    with app.app_context():
        populate(app.backend, redirect_uri)
    config = Config()
    config.bind = [f"fd://{socket}"]
    asyncio.run(serve(WsgiToAsgi(app), config))


def populate(backend: MemoryBackend, redirect_uri: str) -> None:
    for name in PEOPLE:
        said = {"formatted_name": name.title(), "family_name": name, "emails": [f"{name}@example.com"]}
        backend.save(models.User(user_name=f"{name}-1815", display_name=name, password=PASSWORD, **said))
    client = models.Client(
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        client_name="Portbook",
        client_uri="https://portbook.test",
        redirect_uris=[redirect_uri],
        grant_types=["authorization_code"],
        response_types=["code"],
        scope=["openid", "profile", "email"],
        token_endpoint_auth_method="client_secret_basic",
    )
    backend.save(client)
    client.audience = [client]
    backend.save(client)


if __name__ == "__main__":
    main(*sys.argv[1:])
