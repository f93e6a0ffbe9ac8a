import socket
from pathlib import Path

import pytest
from psycopg import connect
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from app.postgres import ClusterBusy
from app.postgres.folder import Folder
from app.serving import _hand_down, any_database, certificate_of, listen, own_database
from app.settings import Settings

URL = "postgresql+psycopg://portbook:secret@db.test/portbook"


def say(_what: str) -> None:
    """Nobody listens."""


def test_a_server_that_was_named_is_used_as_it_is(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, database_url=SecretStr(URL))
    with own_database(settings, say) as own, any_database(settings, say) as any_:
        assert own == any_ == URL
    assert list(tmp_path.iterdir()) == []


def test_beside_a_running_server_its_database_is_shared_and_not_owned_twice(cluster: Folder) -> None:
    settings = Settings(data_dir=cluster.path.parent)
    with any_database(settings, say) as url:
        assert url == cluster.url()
    with pytest.raises(ClusterBusy), own_database(settings, say):
        pass
    query = make_url(cluster.url()).query
    with connect(host=str(query["host"]), user="portbook", passfile=str(query["passfile"]), password="") as still_there:
        assert still_there.execute("SELECT 1").fetchone() == (1,)


def test_a_given_certificate_wins_and_plain_http_has_none(tmp_path: Path) -> None:
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    given = Settings(data_dir=tmp_path, tls_certificate=chain, tls_key=key)
    assert certificate_of(given) == (chain, key)
    assert certificate_of(given.model_copy(update={"plain_http": True})) is None
    assert list(tmp_path.iterdir()) == []


def test_without_one_a_certificate_is_made_in_the_data_folder(tmp_path: Path) -> None:
    assert certificate_of(Settings(data_dir=tmp_path)) == (
        tmp_path / "tls" / "certificate.pem",
        tmp_path / "tls" / "key.pem",
    )


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def test_it_listens_where_it_is_told(tmp_path: Path, host: str, family: socket.AddressFamily) -> None:
    with listen(Settings(data_dir=tmp_path, host=host, port=0)) as listener:
        assert (listener.family, listener.getsockname()[0]) == (family, host)


def test_workers_hear_every_setting_secrets_too(monkeypatch: pytest.MonkeyPatch) -> None:
    given = Settings(
        workers=2,
        plain_http=True,
        public_url="https://portbook.example",
        openid_issuer="https://id.example",
        openid_client_id="portbook",
        openid_client_secret=SecretStr("s3cret"),
    )
    environment: dict[str, str] = {}
    monkeypatch.setattr("os.environ", environment)
    _hand_down(given, URL)
    assert environment["PORTBOOK_OPENID_CLIENT_SECRET"] == "s3cret"
    assert Settings() == given.model_copy(update={"database_url": SecretStr(URL)})
