"""Start the service: Postgres, schema, certificate, then workers until a signal ends them."""

import gc
import os
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from pydantic import SecretStr
from uvicorn.supervisors import Multiprocess

from app.main import create_app
from app.postgres import Cluster, attach
from app.server_log import configure_log
from app.settings import Settings
from app.tls import ensure_certificate

#: Forward secrecy and authenticated encryption; what osquery's OpenSSL and any newer client speak.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
GRACE_SECONDS = 15
#: Requests make few cycles, so the search for garbage may wait until there is more.
GARBAGE_THRESHOLDS = (50_000, 20, 100)


@contextmanager
def own_database(settings: Settings, on_wait: Callable[[str], None]) -> Iterator[str]:
    """The URL of the configured server, or of an embedded one that runs for this block.

    Raises: ClusterBusy when another process runs it.
    """
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    with Cluster(settings.data_dir / "postgres", settings.postgres_bin_dir, on_wait=on_wait).running() as url:
        yield url


@contextmanager
def any_database(settings: Settings, on_wait: Callable[[str], None]) -> Iterator[str]:
    """As `own_database`, but beside a server that runs on the same folder its database is shared."""
    running = attach(settings.data_dir / "postgres") if settings.database_url is None else None
    if running is not None:
        yield running
        return
    with own_database(settings, on_wait) as url:
        yield url


def certificate_of(settings: Settings) -> tuple[Path, Path] | None:
    """Certificate and key to serve with, or None for plain HTTP."""
    if settings.plain_http:
        return None
    if settings.tls_certificate and settings.tls_key:
        return settings.tls_certificate, settings.tls_key
    return ensure_certificate(settings.data_dir / "tls", settings.tls_hostnames)


def listen(settings: Settings) -> socket.socket:
    """Bound now, so that a taken port is known before anything else starts.

    Raises: OSError.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((settings.host, settings.port))
    listener.set_inheritable(True)
    return listener


def serve(settings: Settings, url: str, listener: socket.socket) -> None:
    """Until SIGINT or SIGTERM. One worker is this process; more are its children."""
    _allow_open_files()
    if settings.workers == 1:
        app = create_app(settings, url)
        _settle_memory()
        uvicorn.Server(_config(settings, app)).run([listener])
        return
    _hand_down(settings, url)
    config = _config(settings, "app.serving:worker")
    Multiprocess(config, [listener]).run()


def _allow_open_files() -> None:
    """As many as the system lets us: every agent leaves about three idle connections open."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def worker() -> object:
    """A child's application: its settings come down in the environment."""
    settings = Settings()
    configure_log(as_json=settings.log_json)
    assert settings.database_url is not None
    app = create_app(settings, settings.database_url.get_secret_value())
    _settle_memory()
    return app


def _settle_memory() -> None:
    """All that is loaded by now stays: to look through it for garbage again and again would be in vain."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)


def _hand_down(settings: Settings, url: str) -> None:
    values = settings.model_dump(exclude={"database_url", "tls_hostnames"}, exclude_none=True)
    for name, value in (values | {"database_url": url}).items():
        text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        os.environ[f"PORTBOOK_{name}".upper()] = text  # noqa: TID251 - Settings reads it in the children


def _config(settings: Settings, application: object) -> uvicorn.Config:
    certificate = certificate_of(settings)
    return uvicorn.Config(
        application,  # type: ignore[arg-type]
        factory=isinstance(application, str),
        workers=settings.workers,
        loop="uvloop",
        http="httptools",
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ssl_certfile=str(certificate[0]) if certificate else None,
        ssl_keyfile=str(certificate[1]) if certificate else None,
        ssl_ciphers=CIPHERS,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )
