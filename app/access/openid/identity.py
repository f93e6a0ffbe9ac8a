"""Whom a provider vouches for, and by which names an operator may be known."""

from collections.abc import Mapping
from dataclasses import dataclass

NAME_MAX = 127  #: characters, as of an operator's name


@dataclass(frozen=True, slots=True)
class Identity:
    """`subject` never changes at its issuer; `names` may, so they count at the first sign-in only."""

    issuer: str
    subject: str
    names: tuple[str, ...]

    @property
    def key(self) -> str:
        """Issuer and subject in one: an issuer is a URL and has no space."""
        return f"{self.issuer} {self.subject}"


def names_in(claims: Mapping[str, object]) -> tuple[str, ...]:
    """In small letters, as operators are named: the e-mail address that the provider verified, the preferred name."""
    verified = claims.get("email") if claims.get("email_verified") is True else None
    said = (verified, claims.get("preferred_username"))
    return tuple(dict.fromkeys(name.lower() for name in said if isinstance(name, str) and _can_name(name)))


def _can_name(text: str) -> bool:
    """ASCII only: the Kelvin sign in small letters would be somebody else's k."""
    return text.isascii() and text.isprintable() and 0 < len(text) <= NAME_MAX
