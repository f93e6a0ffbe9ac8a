"""Whom settings are for, and how those of several scopes become the knobs of one node."""

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Struct
from typing_extensions import override

from app.detection.behaviour import Platform
from app.detection.knob_rules import is_line
from app.detection.knobs import Knobs, KnobsProblem, fields_from, knobs_from

ROLE_MAX = 200  #: characters of a role's name

#: What one scope sets: a part of the knobs, by the names of the settings file.
Document = dict[str, Any]


class Scope(Struct, frozen=True, order=True):
    """Every node, those of a platform, or those of a role on a platform.

    Written `every`, `platform.windows`, `role.laptop.macos`.
    """

    platform: str = ""
    role: str = ""

    @override
    def __str__(self) -> str:
        if not self.platform:
            return "every"
        return f"role.{self.role}.{self.platform}" if self.role else f"platform.{self.platform}"

    @property
    def path(self) -> tuple[str, ...]:
        """The table of a settings file that speaks of it."""
        kinds = ("role", self.role) if self.role else ("platform",)
        return (*kinds, self.platform) if self.platform else ("every",)


EVERY = Scope()


def scope_from(text: str) -> Scope:
    """Raises: KnobsProblem."""
    kind, _, rest = text.partition(".")
    role, _, platform = rest.rpartition(".")
    scope = Scope(platform, role) if kind in {"platform", "role"} else EVERY
    known = scope == EVERY or (platform in set(Platform) and is_line(role or "-", ROLE_MAX))
    if str(scope) != text or not known:
        raise KnobsProblem(
            f"Expected `every`, `platform.PLATFORM` or `role.ROLE.PLATFORM` with {' or '.join(Platform)}, got {text!r}"
        )
    return scope


def scopes_of(role: str, platform: str) -> tuple[Scope, ...]:
    """The scopes that a node is in, the widest first."""
    narrower = (Scope(platform), Scope(platform, role)) if role else (Scope(platform),)
    return (EVERY, *narrower) if platform in set(Platform) else (EVERY,)


def canonical(document: Mapping[str, object]) -> Document:
    """The document in its one form: numbers of their type, lists in order, nothing that is empty.

    Raises:
        KnobsProblem: unknown or impossible field, with its path.
    """
    full = as_document(fields_from(document))
    found: Document = {}
    for name, given in document.items():
        value = full[name]
        kept = {field: value[field] for field in sorted(given)} if isinstance(given, Mapping) else value
        if kept or name == "ProcessAllowList":
            found[name] = kept
    return found


def document_sha256(document: Document) -> bytes:
    """Of a canonical document."""
    return sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).digest()


def as_document(knobs: Knobs) -> Document:
    """All knobs as a canonical document."""
    return {name: _plain(value) for name, value in msgspec.to_builtins(knobs, order="sorted").items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    return sorted(value) if isinstance(value, list | tuple | set | frozenset) else value


def merged(documents: Iterable[Document]) -> Document:
    """Field by field, a later document over an earlier one. A list is one field; a profile is one field."""
    found: Document = {}
    for document in documents:
        for name, value in document.items():
            found[name] = found.get(name, {}) | value if isinstance(value, Mapping) else value
    return found


class KnobsByScope:
    """Settings of several scopes upon the defaults; gives the knobs of a role and platform.

    Raises:
        KnobsProblem: from `of`, when what a scope sets contradicts what a wider one does.
    """

    def __init__(self, documents: Mapping[Scope, Document], defaults: Knobs | None = None) -> None:
        self._documents = documents
        self._defaults = as_document(defaults or Knobs())
        self._knobs: dict[tuple[Scope, ...], Knobs] = {}

    def of(self, role: str, platform: str) -> Knobs:
        setting = self.setting(role, platform)
        if setting not in self._knobs:
            self._knobs[setting] = knobs_from(merged([self._defaults, *map(self._documents.__getitem__, setting)]))
        return self._knobs[setting]

    def setting(self, role: str, platform: str) -> tuple[Scope, ...]:
        """The scopes that set anything for a role and platform, the widest first."""
        return tuple(scope for scope in scopes_of(role, platform) if scope in self._documents)

    def check(self) -> None:
        """Raises: KnobsProblem, naming the scope, when any role and platform would have contradicting knobs."""
        places = {(scope.role, platform) for scope in self._documents for platform in (scope.platform, *Platform)}
        for role, platform in sorted(places | {("", "")}):
            try:
                self.of(role, platform)
            except KnobsProblem as problem:
                narrowest = (EVERY, *self.setting(role, platform))[-1]
                raise KnobsProblem(f"{narrowest}: {problem}") from None


class Origin(Struct, frozen=True):
    """One value that is in force, and the scope that set it; None where it is the default."""

    field: str
    value: Any
    scope: Scope | None


def origins(documents: Iterable[tuple[Scope | None, Document]]) -> list[Origin]:
    """Of documents as for `merged`, each with its scope."""
    found: dict[str, Origin] = {}
    for scope, document in documents:
        for field, value in leaves(document).items():
            found[field] = Origin(field, value, scope)
    return list(found.values())


def leaves(document: Document) -> dict[str, Any]:
    """`Weights.novelty` → value; a profile's field is its path in brackets."""
    found: dict[str, Any] = {}
    for name, value in document.items():
        inner = value.items() if isinstance(value, Mapping) else ()
        found |= {
            f"{name}.{field}" if name != "BaselinePortProfiles" else f"{name}[{field}]": at for field, at in inner
        }
        if not isinstance(value, Mapping):
            found[name] = value
    return found
