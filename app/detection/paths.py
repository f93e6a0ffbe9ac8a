"""Normalises program paths, so that updates and user names do not make a new program out of an old one.

What is replaced is always one folder name by one `*`, and only what looks like a version, a GUID, a hash or a user
name: the depth stays, so no path that an ordinary user can write to turns into the path of an installed program.
"""

import re
import unicodedata
from functools import lru_cache

from app.detection.behaviour import Platform

LONGEST_PATH = 600  #: characters, so that any fits an index of the database; a longer path loses its middle
LONGEST_FOLDER = 255  #: what both platforms' file systems allow; longer ones are hostile and stay as they are

_REPLACEMENT = "\ufffd"
_ESCAPED_BYTES = re.compile(r"(?:\\x[0-9A-F]{2})+")

_VERSION = r"v?\d+[._+-]\d[0-9a-z._+-]*"
_GUID = r"\{?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\}?"
_HASH = r"(?=[a-f]*\d)[0-9a-f]{16,}"
_WHOLE = re.compile(rf"(?:{_VERSION}|\d+|{_GUID}|{_HASH})\Z", re.IGNORECASE | re.ASCII)
_NAMED = re.compile(rf"(?P<stem>[a-z][a-z0-9 .+]*?[ _@-])(?:{_VERSION}|{_GUID}|\d{{4}})\Z", re.IGNORECASE | re.ASCII)
_BUNDLE = re.compile(r"(?P<stem>.+?[ _-])v?\d+(?:\.\d+)*(?P<suffix>\.(?:app|framework|bundle))\Z", re.ASCII)
_STORE_PACKAGE = re.compile(r"(?P<stem>[a-z0-9.-]+)_[0-9.]+_[a-z0-9]+_[^_]*_(?P<publisher>[a-z0-9]{13})\Z", re.ASCII)
_SIDE_BY_SIDE = re.compile(r"(?P<stem>[a-z0-9_.-]+_[0-9a-f]{16})_[0-9.]+_[a-z-]+_[0-9a-f]{16}\Z", re.ASCII)

_WINDOWS_PREFIXES = (
    (re.compile(r"\A\\(?:\\[?.]|\?\?)\\unc\\", re.IGNORECASE), r"\\\\"),
    (re.compile(r"\A\\(?:\\[?.]|\?\?)\\(?=[a-z]:)", re.IGNORECASE), ""),
    # The filtering platform names volumes, not letters. Windows stands on one of the first; a stick comes after them.
    (
        re.compile(
            r"\A\\device\\harddiskvolume[1-4]\\(?=(?:windows|program files(?: \(x86\))?|programdata|users)\\)",
            re.IGNORECASE,
        ),
        r"c:\\",
    ),
    (re.compile(r"\A\\device\\harddiskvolume\d+(?=\\|\Z)", re.IGNORECASE), r"\\device\\harddiskvolume*"),
    (re.compile(r"\A(?:\\systemroot|%systemroot%|%windir%)(?=\\|\Z)", re.IGNORECASE), r"c:\\windows"),
    (re.compile(r"\A%programfiles%(?=\\|\Z)", re.IGNORECASE), r"c:\\program files"),
    (re.compile(r"\A%programdata%(?=\\|\Z)", re.IGNORECASE), r"c:\\programdata"),
)
_MACOS_PREFIXES = (
    (re.compile(r"\A/System/Volumes/Data(?=/(?:Users|Applications|Library|opt|private|usr/local)(?:/|\Z))"), ""),
    (re.compile(r"\A/(?=(?:var|tmp|etc)(?:/|\Z))"), "/private/"),
)
_SHARED_HOMES = frozenset({"public", "default", "all users", "shared"})


@lru_cache(maxsize=16_384)
def normalised(platform: Platform, path: str) -> str:
    """The path under which a program is known; never raises, and normalising twice changes nothing."""
    path = shortened_path(visible(path).strip())
    return _windows(path) if platform is Platform.WINDOWS else _macos(path)


def visible(text: str) -> str:
    """What of `text` a terminal and a database can show: hidden characters become U+FFFD, never nothing.

    Trailing NULs, with which some agents pad, are dropped. osquery's hexadecimal escapes are read back as UTF-8.
    Source: osquery/core/sql/query_data.cpp (escapeNonPrintableBytes).
    """
    text = text.rstrip("\0")
    if "\\x" in text:
        text = _ESCAPED_BYTES.sub(_unescaped, text)
    return text if text.isprintable() else "".join(map(_shown, text))


def file_name(platform: Platform, path: str) -> str:
    return shortened_name(path.rpartition("\\" if platform is Platform.WINDOWS else "/")[2])


def shortened_name(name: str) -> str:
    """A name that a file can have, and an index can hold."""
    return name if len(name) <= LONGEST_FOLDER else f"{name[:200]}…{name[-54:]}"


def stable_folder(folder: str) -> str:
    """One folder name with its version, GUID or hash replaced by `*`."""
    if len(folder) > LONGEST_FOLDER:
        return folder
    if _WHOLE.match(folder):
        return "*"
    for pattern, template in (
        (_STORE_PACKAGE, r"\g<stem>_*_\g<publisher>"),
        (_SIDE_BY_SIDE, r"\g<stem>_*"),
        (_BUNDLE, r"\g<stem>*\g<suffix>"),
        (_NAMED, r"\g<stem>*"),
    ):
        if match := pattern.match(folder):
            return match.expand(template)
    return folder


def stable_label(label: str) -> str:
    """A launchd label as programs bear it, each of its parts as `stable_folder`."""
    return ".".join(map(stable_folder, label.split(".")))


def _unescaped(match: re.Match[str]) -> str:
    raw = bytes.fromhex(match[0].replace("\\x", ""))
    if all(byte < 0x20 for byte in raw):  # noqa: PLR2004 - what osquery escapes: controls and bytes above ASCII
        return _REPLACEMENT * len(raw)
    try:
        return raw.decode() if min(raw) >= 0x80 else match[0]  # noqa: PLR2004
    except UnicodeDecodeError:
        return match[0]


def _shown(character: str) -> str:
    return character if character.isprintable() else _REPLACEMENT


def shortened_path(path: str) -> str:
    return path if len(path) <= LONGEST_PATH else f"{path[:350]}…{path[-249:]}"


def _windows(path: str) -> str:
    path = path.replace("/", "\\")
    for prefix, replacement in _WINDOWS_PREFIXES:
        path = prefix.sub(replacement, path, count=1)
    *folders, name = path.lower().split("\\")
    homes = {"users", "documents and settings"}
    return "\\".join([*_stable(folders, homes), name])


def _macos(path: str) -> str:
    path = unicodedata.normalize("NFC", path)
    for prefix, replacement in _MACOS_PREFIXES:
        path = prefix.sub(replacement, path, count=1)
    *folders, name = path.split("/")
    if folders[:4] == ["", "private", "var", "folders"]:
        folders[4:6] = ["*"] * len(folders[4:6])
    return "/".join([*_stable(folders, {"Users"}), name])


def _stable(folders: list[str], homes: set[str]) -> list[str]:
    result = [stable_folder(folder) for folder in folders]
    if len(folders) > 2 and folders[1] in homes and folders[2].lower() not in _SHARED_HOMES:  # noqa: PLR2004
        result[2] = "*"
    return result
