"""Runs Canaille, a real OpenID Connect provider, until it is ended: run_canaille.py SOCKET SERVER_NAME REDIRECT_URI.

All that it knows is in memory: two people, and Portbook as a client that must be consented to.
"""

import asyncio
import sys

import canaille
from asgiref.wsgi import WsgiToAsgi
from canaille.app import models
from hypercorn.asyncio import serve
from hypercorn.config import Config
from joserfc.jwk import RSAKey

CLIENT_ID, CLIENT_SECRET = "portbook-at-canaille", "only-for-tests_0~1.2"
PASSWORD = "correct horse battery staple"
PEOPLE = ("ada", "grace")


def main(socket: str, server_name: str, redirect_uri: str) -> None:
    app = canaille.create_app(
        {
            "SECRET_KEY": "only for tests",
            "SERVER_NAME": server_name,
            "PREFERRED_URL_SCHEME": "http",
            "CANAILLE": {"DATABASE": "memory", "JAVASCRIPT": False, "HTMX": False, "LOGGING": None},
            "CANAILLE_OIDC": {"ACTIVE_JWKS": [RSAKey.generate_key(2048, auto_kid=True).as_dict(private=True)]},
        }
    )
    with app.app_context():
        populate(app, redirect_uri)
    config = Config()
    config.bind = [f"fd://{socket}"]
    asyncio.run(serve(WsgiToAsgi(app), config))


def populate(app, redirect_uri):
    for name in PEOPLE:
        person = models.User(
            user_name=f"{name}-1815",
            formatted_name=name.title(),
            family_name=name,
            display_name=name,
            emails=[f"{name}@example.com"],
            password=PASSWORD,
        )
        app.backend.save(person)
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
    app.backend.save(client)
    client.audience = [client]
    app.backend.save(client)


if __name__ == "__main__":
    main(*sys.argv[1:])
