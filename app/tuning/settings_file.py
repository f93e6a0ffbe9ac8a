"""Settings as a TOML file: read with the line of what is wrong, and written.

A file speaks of several scopes with tables `[every.…]`, `[platform.windows.…]`, `[role.laptop.macos.…]`, or of every
node with the knobs' own tables at the top.
"""

import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from app.detection.knobs import KnobsProblem
from app.detection.scopes import EVERY, Document, KnobsByScope, Scope, canonical, scope_from

FILE_MAX_BYTES = 1_048_576
_KINDS = ("every", "platform", "role")


class SettingsFileProblem(ValueError):
    """A settings file that cannot be used; the text names the file, the line as far as it is known, and the field."""


def read_settings(path: Path) -> dict[Scope, Document]:
    """The canonical documents of a file, each for itself.

    Raises:
        SettingsFileProblem: unreadable, no TOML, or an unknown or impossible knob.
    """
    text = _text(path)
    try:
        content = tomllib.loads(text)
    except (RecursionError, ValueError) as problem:
        raise SettingsFileProblem(f"{path}: {problem}") from None
    return _documents(path, text, content)


def read_knobs(path: Path) -> KnobsByScope:
    """What a file makes of the defaults, with no other settings in force.

    Raises:
        SettingsFileProblem: as `read_settings`, and when scopes contradict each other.
    """
    knobs = KnobsByScope(read_settings(path))
    try:
        knobs.check()
    except KnobsProblem as problem:
        raise SettingsFileProblem(f"{path}: {problem}") from None
    return knobs


def settings_text(documents: Mapping[Scope, Document]) -> str:
    """A file that `read_settings` reads as the same documents."""
    return "\n".join(line for scope in sorted(documents) for line in _scope_lines(scope, documents[scope]))


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(FILE_MAX_BYTES + 1)
        if len(content) > FILE_MAX_BYTES:
            raise SettingsFileProblem(f"{path}: longer than {FILE_MAX_BYTES:,} bytes")
        return content.decode()
    except OSError as problem:
        raise SettingsFileProblem(f"{path}: {problem.strerror}") from None
    except UnicodeDecodeError as problem:
        raise SettingsFileProblem(f"{path}: {problem}") from None


def _documents(path: Path, text: str, content: dict[str, Any]) -> dict[Scope, Document]:
    documents: dict[Scope, Document] = {}
    for table, given in _tables(path, text, content):
        try:
            scope = scope_from(".".join(table)) if table else EVERY
            documents[scope] = canonical(given)
        except KnobsProblem as problem:
            said = f"{'.'.join(table)}: {problem}" if table else str(problem)
            raise _problem(path, text, (*table, *_parts(problem.pointer)), said) from None
    return documents


def _problem(path: Path, text: str, names: tuple[str, ...], said: str) -> SettingsFileProblem:
    at = line_of(text, names)
    return SettingsFileProblem(f"{path}:{at}: {said}" if at else f"{path}: {said}")


def _tables(path: Path, text: str, content: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """The tables that speak of a scope; one without a name where the file speaks of every node."""
    if not content.keys() & set(_KINDS):
        yield (), content
        return
    for name in content:
        if name not in _KINDS:
            raise _problem(path, text, (name,), f"{name!r} stands beside scopes; write it into [every]")
    for table, given in _nested(content):
        if not isinstance(given, dict):
            raise _problem(path, text, table, f"{'.'.join(table)} must be a table")
        yield table, given


def _nested(content: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if "every" in content:
        yield ("every",), content["every"]
    yield from _items(("platform",), content.get("platform", {}))
    for role, platforms in _items(("role",), content.get("role", {})):
        yield from _items(role, platforms)


def _items(table: tuple[str, ...], given: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not isinstance(given, dict):
        yield table, given
        return
    for name, inner in given.items():
        yield (*table, name), inner


def _parts(pointer: str) -> tuple[str, ...]:
    """`$.Weights.novelty` → its names, without the number of an entry."""
    name, _, field = pointer.removeprefix("$").lstrip(".").partition(".")
    return tuple(part.partition("[")[0] for part in (name, field) if part)


def line_of(text: str, names: tuple[str, ...]) -> int:
    """The line that sets the value of that path, or opens the nearest table; 0 when none does."""
    best, at = 0, 0
    for number, path in _headings(text):
        shorter = min(len(path), len(names))
        common = shorter if path[:shorter] == names[:shorter] else 0
        if common > best:
            best, at = common, number
    return at


def _headings(text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Numbered lines that open a table or set a key, with the whole path; the insides of long values are none."""
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        found = _path(line.strip()) if line.lstrip().startswith("[") else _path(line.partition("=")[0] + "= 0")
        if found and line.lstrip().startswith("["):
            table = found
        if found:
            yield number, found if line.lstrip().startswith("[") else (*table, *found)


def _path(line: str) -> tuple[str, ...]:
    try:
        content: Any = tomllib.loads(line)
    except (tomllib.TOMLDecodeError, RecursionError):
        return ()
    path: list[str] = []
    while isinstance(content, dict) and content:
        name, content = next(iter(content.items()))
        path.append(name)
    return tuple(path)


def _scope_lines(scope: Scope, document: Document) -> Iterator[str]:
    yield f"[{_name(scope.path)}]"
    yield from (f"{name} = {_value(value)}" for name, value in document.items() if not isinstance(value, Mapping))
    for name, fields in document.items():
        if isinstance(fields, Mapping):
            yield from ("", f"[{_name((*scope.path, name))}]")
            yield from (f"{_name((field,))} = {_value(value)}" for field, value in fields.items())
    yield ""


def _name(parts: tuple[str, ...]) -> str:
    return ".".join(part if part.replace("_", "a").isalnum() and part.isascii() else _value(part) for part in parts)


def _value(value: Any) -> str:
    """JSON's numbers, texts and lists are TOML's too, as long as every character is visible."""
    return json.dumps(value, ensure_ascii=False)
