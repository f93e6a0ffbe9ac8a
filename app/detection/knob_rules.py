"""What the type of a knob cannot say: lists without repetition, patterns that leave something to judge, buckets."""

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from app.detection.behaviour import DYNAMIC, DYNAMIC_PORT

TEXT_MAX = 600  #: characters of a path or pattern
ENTRIES_MAX = 1_000  #: of one list or table

#: Programs that have nothing in common but the platform. A pattern that fits them all would blind the judgement.
_UNLIKE = (
    (
        "c:\\windows\\system32\\svchost.exe",
        "c:\\program files\\mozilla firefox\\firefox.exe",
        "c:\\users\\*\\appdata\\local\\temp\\a.exe",
    ),
    (
        "/usr/libexec/rapportd",
        "/Applications/Firefox.app/Contents/MacOS/firefox",
        "/Users/*/Downloads/a",
        "/private/tmp/x",
    ),
)


def faults(document: Mapping[str, object]) -> Iterator[str]:
    """Sentences in msgspec's form, each with its place, about a document whose types are right already."""
    yield from _allow_list(document.get("ProcessAllowList", ()))
    yield from _profiles(document.get("BaselinePortProfiles", {}))
    yield from _repeated(document, "$")


def _repeated(value: object, place: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        if len(value) > ENTRIES_MAX:
            yield f"Expected at most {ENTRIES_MAX} entries - at `{place}`"
        for name, inner in value.items():
            yield from _repeated(inner, f"{place}.{name}")
    elif isinstance(value, list | tuple):
        if len(value) > ENTRIES_MAX:
            yield f"Expected at most {ENTRIES_MAX} entries - at `{place}`"
        twice = [each for index, each in enumerate(value[:ENTRIES_MAX]) if each in value[:index]]
        if twice:
            yield f"Expected each entry once, got {twice[0]!r} twice - at `{place}`"


def _allow_list(patterns: object) -> Iterator[str]:
    assert isinstance(patterns, Sequence)
    for index, pattern in enumerate(patterns):
        place = f"$.ProcessAllowList[{index}]"
        if not is_line(pattern, TEXT_MAX):
            yield f"Expected a path of 1 to {TEXT_MAX} visible characters - at `{place}`"
        elif any(all(fnmatchcase(path, pattern) for path in unlike) for unlike in _UNLIKE):
            yield f"Expected a pattern that does not fit every program, got {pattern!r} - at `{place}`"


def _profiles(profiles: object) -> Iterator[str]:
    assert isinstance(profiles, Mapping)
    for path, buckets in profiles.items():
        place = f"$.BaselinePortProfiles.{path}" if is_line(path, TEXT_MAX) else "$.BaselinePortProfiles"
        if not (is_line(path, TEXT_MAX) and path.startswith("/")):
            yield f"Expected the absolute path of a macOS program - at `{place}`"
        for bucket in buckets:
            if bucket != DYNAMIC and not _is_port(bucket):
                yield f"Expected a port below {DYNAMIC_PORT} or {DYNAMIC!r}, got {bucket[:40]!r} - at `{place}`"


def _is_port(bucket: str) -> bool:
    plain = bucket.isascii() and bucket.isdigit() and (bucket == "0" or not bucket.startswith("0"))
    return plain and len(bucket) < len("100000") and int(bucket) < DYNAMIC_PORT


def is_line(text: str, most: int) -> bool:
    """Whether a text is one visible line that says something."""
    return text.isprintable() and bool(text.strip()) and len(text) <= most
