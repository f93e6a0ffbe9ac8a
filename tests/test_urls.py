import pytest

from app.urls import host_of, is_site, is_trustworthy


@pytest.mark.parametrize("url", ["https://id.example", "https://id.example:8443/realm?x=1", "https://[2001:db8::1]/"])
def test_https_can_be_trusted(url: str) -> None:
    assert is_trustworthy(url)


@pytest.mark.parametrize(
    "url",
    [
        "", "https://", "http://id.example", "http://localhost", "//id.example", "ftp://id.example", "https://a:x/",
        "https://[::1", "https://ada@id.example", "https://id.example/#x", "https://id.example/\n", "https://íd.example",
        "https://id.example/" + "x" * 2000,
    ],
)  # fmt: skip
def test_anything_else_cannot(url: str) -> None:
    assert not is_trustworthy(url)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:5000", "[::1]", "127.8.8.8"])
def test_plain_http_is_for_this_host(host: str) -> None:
    assert is_trustworthy(f"http://{host}/", plain=True)
    assert not is_trustworthy(f"http://{host}/")


@pytest.mark.parametrize("host", ["id.example", "localhost.example", "10.0.0.1", "0.0.0.0", "127.0.0.1.example"])
def test_and_for_no_other(host: str) -> None:
    assert not is_trustworthy(f"http://{host}/", plain=True)


def test_a_site_has_no_path() -> None:
    assert is_site("https://portbook.example:8443")
    assert not any(map(is_site, ["https://portbook.example/", "https://portbook.example?x", "http://portbook.example"]))


def test_a_host_is_shown_with_its_port() -> None:
    assert host_of("https://id.example:8443/realm") == "id.example:8443"
