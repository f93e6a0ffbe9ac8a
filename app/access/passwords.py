"""Passwords: what may be one, and argon2 away from the event loop, a few at a time."""

import asyncio
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from secrets import token_urlsafe
from typing import ParamSpec, TypeVar

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from app.problems import Busy, InvalidRequest

LENGTH_MIN = 12
LENGTH_MAX = 256
DISTINCT_MIN = 5
NAME_MIN = 4  #: a shorter name stands in many a good password by chance

P = ParamSpec("P")
T = TypeVar("T")

#: Argon2id; each takes 64 MiB for some 50 ms. Source: RFC 9106 section 4, second recommendation.
ARGON2 = Argon2Hasher()
_argon2 = PasswordHash((ARGON2,))


@dataclass(frozen=True, slots=True)
class Match:
    """Whether a password is the right one; `renewed` is its hash anew when the old one has yesterday's parameters."""

    holds: bool
    renewed: str | None = None


class _Apart:
    """A few threads and a short line before them: who floods us with passwords takes no more memory than that."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="argon2")
        self._places = at_once + waiting

    async def run(self, act: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Raises: Busy."""
        if self._places == 0:
            raise Busy("too many passwords are being checked; try again in a moment")
        self._places -= 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: act(*arguments, **named))
        finally:
            self._places += 1


_apart = _Apart(at_once=2, waiting=32)


def a_password() -> str:
    """A random one, to be shown once."""
    return token_urlsafe(18)


def check_new(password: str, name: str, field: str = "password") -> None:
    """Length before all else, and nothing that a guesser tries first. Source: NIST SP 800-63B section 3.1.1.2.

    Raises: InvalidRequest.
    """
    plain = _normal(password)
    if plain is None or not LENGTH_MIN <= len(plain) <= LENGTH_MAX:
        raise InvalidRequest(f"a password has {LENGTH_MIN} to {LENGTH_MAX} characters", field=field)
    if len(set(plain)) < DISTINCT_MIN:
        raise InvalidRequest(f"a password has at least {DISTINCT_MIN} different characters", field=field)
    guessed = ["portbook", "password", *([name.casefold()] if len(name) >= NAME_MIN else [])]
    if any(word in plain.casefold() for word in guessed):
        raise InvalidRequest("a password contains neither your name nor “portbook” nor “password”", field=field)


async def hashed(password: str) -> str:
    """Raises: Busy."""
    plain = _normal(password)
    assert plain is not None
    return await _apart.run(_argon2.hash, plain)


async def match(password: str, password_hash: str | None) -> Match:
    """Takes as long without a hash, of somebody unknown, as with one. Raises: Busy."""
    return await _apart.run(_match, _normal(password), password_hash)


def _match(plain: str | None, password_hash: str | None) -> Match:
    nobodys = _nobodys()
    holds, renewed = _argon2.verify_and_update(plain or "", password_hash or nobodys)
    known = plain is not None and password_hash is not None
    return Match(holds and known, renewed if holds and known else None)


@cache
def _nobodys() -> str:
    """The hash of a password that nobody has."""
    return _argon2.hash(token_urlsafe(32))


def _normal(password: str) -> str | None:
    """One form for the same signs typed on two keyboards; None for what is no text."""
    try:
        password.encode()
    except UnicodeEncodeError:
        return None
    return unicodedata.normalize("NFKC", password)
