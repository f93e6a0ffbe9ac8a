"""Inventory facts as behaviours: who signed a program, how a service or a launchd job is configured."""

import re
from collections.abc import Mapping

from app.detection.behaviour import Behaviour, Direction, Platform, Program, Transport, digest
from app.detection.columns import RejectedRow, text
from app.detection.context import Signer, Trust
from app.detection.paths import file_name, normalised, shortened_name, stable_folder, stable_label
from app.detection.queries import UNDERSTOOD, QueryKind

_LONGEST_BUCKET = 200
_PER_LOGON = re.compile(r"_[0-9a-f]{4,8}\Z")
_QUOTED = re.compile(r'\A"(?P<program>[^"]+)"(?P<rest>.*)\Z', re.DOTALL)
_UNQUOTED = re.compile(
    r"\A(?P<program>.+?\.(?:exe|sys|dll|com|bat|cmd))(?P<rest>(?:[ \t,].*)?)\Z", re.IGNORECASE | re.DOTALL
)
#: Where macOS keeps programs in folders with spaces, and their words up to an option, another path or a setting.
_SPACED = r"/(?:Applications|Library|System|Users|Volumes)(?=/)(?:[^ =:]|[ ](?![-/]))*"
_LAUNCHED = re.compile(
    rf"""\A(?:
        {_SPACED}/(?P<bundle>[^/]+)\.app/Contents/MacOS/(?P=bundle)(?=[ ]|\Z)
      | {_SPACED}/[^ /]+
      | [^ ]*
    )""",
    re.VERBOSE,
)
_RELATIVE_DRIVER = re.compile(r"\A(?=system32\\)", re.IGNORECASE)

#: Source: osquery/tables/system/windows/authenticode.cpp; `valid` is good, but nobody decided to trust it.
_AUTHENTICODE = {
    "trusted": Trust.TRUSTED,
    "valid": Trust.TRUSTED,
    "missing": Trust.UNSIGNED,
    "untrusted": Trust.BROKEN,
    "distrusted": Trust.BROKEN,
    "invalid": Trust.BROKEN,
}


def signer_of(query: str, columns: Mapping[str, object]) -> tuple[str, Signer] | None:
    """The normalised path that a signature row speaks of and its signer; None for rows of other queries."""
    platform, kind = UNDERSTOOD.get(query, (None, QueryKind.CONTEXT))
    if platform is None or kind is not QueryKind.SIGNATURE:
        return None
    path = normalised(platform, text(columns, "path"))
    return path, _authenticode(columns) if platform is Platform.WINDOWS else _code_signature(columns)


def signature(platform: Platform, columns: Mapping[str, object]) -> Behaviour | None:
    path = _path(platform, columns)
    signer = _authenticode(columns) if platform is Platform.WINDOWS else _code_signature(columns)
    program = Program(platform, path, file_name(platform, path))
    return None if signer.trust is Trust.UNKNOWN else _fact(program, Direction.SIGNATURE, signed_by(signer))


def signed_by(signer: Signer) -> str:
    """A signer in words that are the same wherever they are said, e.g. `trusted: Google LLC`."""
    says = {Trust.BROKEN: "untrusted"}.get(signer.trust, signer.trust.value)
    return f"{says}: {signer.name}" if signer.name else says


def service(platform: Platform, columns: Mapping[str, object]) -> Behaviour:
    """What a Windows service runs and how it starts. Instances of per-user services are one service."""
    name = _PER_LOGON.sub("", text(columns, "name").lower())
    command = text(columns, "path")
    path, arguments = split_command(command)
    module = text(columns, "module_path")
    path = normalised(platform, module or path)
    configured = f"{text(columns, 'start_type')} as {text(columns, 'user_account')}: {path}{_stable_words(arguments)}"
    return _fact(
        Program(platform, path, file_name(platform, path) or shortened_name(name), name), Direction.SERVICE, configured
    )


def launchd_job(platform: Platform, columns: Mapping[str, object]) -> Behaviour:
    """What a launchd job runs and from which plist."""
    arguments = text(columns, "program_arguments")
    path = normalised(platform, text(columns, "program") or launched_program(arguments))
    label = stable_label(text(columns, "label"))
    plist = normalised(platform, text(columns, "plist_path"))
    program = Program(platform, path, file_name(platform, path) or shortened_name(label), label)
    return _fact(program, Direction.LAUNCHD, f"{plist}:{_stable_words(' ' + arguments)}")


def split_command(command: str) -> tuple[str, str]:
    """The program and the arguments of a Windows service's command line, which may or may not be quoted."""
    match = _QUOTED.match(command) or _UNQUOTED.match(command)
    program, rest = (match["program"], match["rest"]) if match else (command.partition(" ")[0], "")
    return _RELATIVE_DRIVER.sub(r"c:\\windows\\", program), rest


def launched_program(arguments: str) -> str:
    """The program among a launchd job's arguments, which osquery joins by spaces that folders may have as well.

    A program that bears its bundle's name is known by it; of any other, the file's own name ends at the first space.
    """
    match = _LAUNCHED.match(arguments)
    return match[0] if match else ""


def _authenticode(columns: Mapping[str, object]) -> Signer:
    trust = _AUTHENTICODE.get(text(columns, "sign_status").lower(), Trust.UNKNOWN)
    unnamed = trust in {Trust.UNSIGNED, Trust.UNKNOWN}
    return Signer(trust, "" if unnamed else text(columns, "subject_name"))


def _code_signature(columns: Mapping[str, object]) -> Signer:
    """An ad-hoc signature names nobody, so it counts as none."""
    signed, authority, team = (text(columns, name) for name in ("signed", "authority", "team_identifier"))
    if signed not in {"0", "1"}:
        return Signer()
    if not authority:
        return Signer(Trust.UNSIGNED if signed == "0" or not team else Trust.BROKEN, team)
    name = authority if not team or team in authority else f"{authority} ({team})"
    return Signer(Trust.TRUSTED if signed == "1" else Trust.BROKEN, name)


def _path(platform: Platform, columns: Mapping[str, object]) -> str:
    if path := normalised(platform, text(columns, "path")):
        return path
    raise RejectedRow("path_empty", "path")


def _fact(program: Program, direction: Direction, says: str) -> Behaviour:
    if len(says) > _LONGEST_BUCKET:
        says = f"{says[:_LONGEST_BUCKET]}… {digest(says)}"
    return Behaviour(program, direction, Transport.NONE, says)


def _stable_words(arguments: str) -> str:
    return " ".join(map(stable_folder, arguments.split(" ")))
