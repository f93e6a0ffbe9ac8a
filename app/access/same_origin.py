"""Whether a browser says that a request was made by a page of ours."""

from collections.abc import Mapping
from urllib.parse import urlsplit

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OURS = frozenset({"same-origin", "none"})


def is_from_elsewhere(headers: Mapping[str, str]) -> bool:
    """By Fetch Metadata, which every browser of today sends and no page can forge; by Origin where it is missing.

    A program that sends neither is no browser, and no other site can make it send a cookie.
    Source: OWASP Cross-Site Request Forgery Prevention Cheat Sheet.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in OURS
    origin = headers.get("origin")
    return origin is not None and _host_of(origin) != headers.get("host", "").lower()


def _host_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
