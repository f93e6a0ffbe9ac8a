"""Which web addresses secrets may be sent to."""

from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

URL_MAX = 2_000  #: characters


def is_trustworthy(url: str, *, plain: bool = False) -> bool:
    """Whether it is an https URL; with `plain`, also http to this very host, which is for trials."""
    parts = _split(url)
    if parts is None or not parts.hostname or parts.username is not None or parts.fragment:
        return False
    return parts.scheme == "https" or (plain and parts.scheme == "http" and _is_loopback(parts.hostname))


def is_site(url: str) -> bool:
    """Whether it names a site and nothing on it: no path, no search."""
    return is_trustworthy(url, plain=True) and url.count("/") == len("//") and "?" not in url


def is_plain(url: str) -> bool:
    return url.startswith("http://")


def host_of(url: str) -> str:
    """As pages show it: host, and port unless it is the scheme's own."""
    return urlsplit(url).netloc


def _split(url: str) -> SplitResult | None:
    """None for what is no URL: odd ports and brackets, control characters, spaces."""
    if len(url) > URL_MAX or not url.isascii() or not url.isprintable() or " " in url:
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
