"""The packs for other managers: `.conf` files for osquery's filesystem configuration, specs for Fleet."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from app.collection.packs import ANY_PLATFORM, Mode, Pack, Query

Target = Literal["osquery", "fleet"]


def export(packs: Sequence[Pack], target: Target, directory: Path, *, replace: bool = False) -> tuple[Path, ...]:
    """One file per pack in `directory`; a file that is there already and differs is replaced only on demand.

    Raises:
        FileExistsError: a file differs and `replace` is not set; nothing was written.
    """
    texts = {directory / _file_name(pack, target): _text(pack, target) for pack in packs}
    changed = {path: text for path, text in texts.items() if not _is_there(path, text)}
    if foreign := sorted(path for path in changed if path.exists() and not replace):
        raise FileExistsError(f"{foreign[0]} exists with other contents; say replace to write over it")
    directory.mkdir(parents=True, exist_ok=True)
    for path, text in changed.items():
        _write(path, text)
    return tuple(texts)


def _file_name(pack: Pack, target: Target) -> str:
    return f"{pack.name}.conf" if target == "osquery" else f"{pack.name}.yml"


def _text(pack: Pack, target: Target) -> str:
    if target == "osquery":
        return _pretty(pack.document().as_json())
    return "".join(f"---\n{_pretty(fleet_spec(query))}" for query in pack.queries)


def fleet_spec(query: Query) -> Mapping[str, object]:
    """A `kind: query` document for `fleetctl apply`; JSON is YAML. Newer Fleets call it `report` and read both.

    Fleet stores no rows of its own here (`discard_data`): they go to its log destination.
    """
    spec = {
        "name": f"{query.pack}/{query.name}",
        "description": f"{query.title}. Needs: {query.needs} Noise: {query.noise}",
        "query": query.statement,
        "interval": query.interval_seconds,
        "platform": "" if query.platform == ANY_PLATFORM else query.platform,
        "min_osquery_version": query.version,
        "observer_can_run": False,
        "automations_enabled": True,
        "logging": _fleet_logging(query),
        "discard_data": True,
    }
    return {"apiVersion": "v1", "kind": "query", "spec": spec}


def _fleet_logging(query: Query) -> str:
    if query.mode is Mode.SNAPSHOT:
        return "snapshot"
    return "differential" if query.removed else "differential_ignore_removals"


def _pretty(document: Mapping[str, object]) -> str:
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def _is_there(path: Path, text: str) -> bool:
    return path.is_file() and path.read_bytes() == text.encode()


def _write(path: Path, text: str) -> None:
    """A reader sees the old file or the new one, never half of it."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(text.encode())
    part.replace(path)
