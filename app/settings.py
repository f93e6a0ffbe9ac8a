"""Every setting of the server, typed, with its unit in its name. Environment variables carry the prefix PORTBOOK_."""

from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Le
from pydantic import SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.urls import is_site, is_trustworthy

MIB = 1024 * 1024


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="PORTBOOK_", frozen=True, extra="forbid")

    data_dir: Path = Path("portbook-data")
    """Where the embedded Postgres, the certificate and its key live."""
    database_url: SecretStr | None = None
    """`postgresql+psycopg://…` of a server to use instead of the embedded one."""
    postgres_bin_dir: Path | None = None
    """Binaries of a Postgres 15 or newer to launch instead of the packaged ones."""
    host: str = "127.0.0.1"
    """Address to listen on; `0.0.0.0` or `::` for every one."""
    port: Annotated[int, Ge(0), Le(65535)] = 8443
    """Port to listen on; 0 takes a free one."""
    tls_certificate: Path | None = None
    """PEM chain; without it a self-signed ECDSA P-256 certificate is made in the data folder."""
    tls_key: Path | None = None
    """PEM private key of that certificate."""
    tls_hostnames: tuple[str, ...] = ("localhost", "127.0.0.1")
    """Names and addresses the self-signed certificate is valid for."""
    plain_http: bool = False
    """Serve without TLS: only behind a proxy on this very host that terminates it."""
    keep_alive_seconds: Annotated[int, Ge(1), Le(86400)] = 620
    """How long an idle connection stays open; longer than an agent's longest poll spares it a handshake."""
    workers: Annotated[int, Ge(1), Le(256)] = 1
    """Web processes; one a core is right."""
    analyse: bool = True
    """Whether the web workers also judge; false where `portbook worker` runs beside them."""

    public_url: str | None = None
    """`https://…` as browsers reach Portbook; the provider sends them back to it."""
    openid_issuer: str | None = None
    """`https://…` of an OpenID Connect provider, exactly as it calls itself; operators may then sign in with it."""
    openid_client_id: str | None = None
    """What the provider calls Portbook."""
    openid_client_secret: SecretStr | None = None
    """How the provider knows that it is Portbook."""
    investigate_high: bool = False
    """Whether Portbook asks the node of a new high finding by itself: at most 5 a node and 500 in all in 24 hours."""

    body_max_bytes: Annotated[int, Ge(1024)] = 16 * MIB
    """Longest request body as sent."""
    inflated_max_bytes: Annotated[int, Ge(1024)] = 64 * MIB
    """Longest request body after gunzip: 1,024 lines of the agent's default make about 1 MiB."""
    intake_queue_max_bytes: Annotated[int, Ge(1024)] = 128 * MIB
    """Bodies waiting for a commit; past it agents hear `error` and keep their lines."""
    known_sightings_max: Annotated[int, Ge(1000)] = 2_000_000
    """Sightings of a day that a worker remembers, so that it need not ask the database."""
    node_key_cache_seconds: Annotated[float, Ge(0)] = 30.0
    """How long a worker trusts a node key before it asks again: the longest a revocation can take."""

    batch_retention_days: Annotated[int, Ge(1)] = 30
    """How long batches are kept as received, and the counts of lines not understood."""
    history_days: Annotated[int, Ge(1), Le(400)] = 30
    """How long sightings are kept, and the window of the statistics."""
    flow_retention_days: Annotated[int, Ge(1), Le(90)] = 7
    """How long flow records are kept, by the day of their start."""
    flow_body_max_bytes: Annotated[int, Ge(1024)] = 1024 * MIB
    """Longest body of flow log lines after gunzip; it is read as a stream and never held whole."""
    clock_tolerance_hours: Annotated[int, Ge(1), Le(48)] = 24
    """How far ahead of ours a node's clock may be before its rows are dated by ours."""
    sign_in_idle_minutes: Annotated[int, Ge(1), Le(1440)] = 30
    """How long a sign-in lasts without a request."""
    sign_in_hours: Annotated[int, Ge(1), Le(168)] = 12
    """How long a sign-in lasts at most, however busy."""
    log_json: bool | None = None
    """JSON lines; by default only when the log is not a terminal."""

    @field_validator("public_url")
    @classmethod
    def _is_site(cls, url: str | None) -> str | None:
        if url is not None and not is_site(url.removesuffix("/")):
            raise ValueError("must be https://HOST or https://HOST:PORT; http is for this very host, in trials")
        return url.removesuffix("/") if url else None

    @field_validator("openid_issuer")
    @classmethod
    def _is_trustworthy(cls, url: str | None) -> str | None:
        if url is not None and not is_trustworthy(url, plain=True):
            raise ValueError("must be an https address; http is for this very host, in trials")
        return url

    @model_validator(mode="after")
    def _openid_is_whole(self) -> "Settings":
        names = ("openid_issuer", "openid_client_id", "openid_client_secret")
        missing = [name for name in (*names, "public_url") if not getattr(self, name)]
        if missing and any(getattr(self, name) for name in names):
            raise ValueError(f"sign-in with OpenID Connect also needs {', '.join(missing)}")
        return self
