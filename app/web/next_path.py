"""Where to go after signing in: a place of ours, whatever the link said that led here."""

HOME = "/"
LENGTH_MAX = 2_000


def local_path(wanted: str) -> str:
    r"""`wanted` where every browser takes it for a path on this host, else the first page.

    Browsers take `\` for `/`, drop tabs and line ends, and read `//host` as another host. Source: WHATWG URL.
    """
    is_path = wanted.startswith("/") and not wanted.startswith("//") and len(wanted) <= LENGTH_MAX
    is_plain = all("!" <= sign <= "~" and sign != "\\" for sign in wanted)
    return wanted if is_path and is_plain else HOME
