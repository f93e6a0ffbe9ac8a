"""What MITRE ATT&CK says of T1571, pinned: technique, detection strategy, analytics, log sources, mutable elements.

Source: STIX objects of Enterprise ATT&CK; attack.json names release, repository and commit, and holds the licence.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

import msgspec
from msgspec import Struct

TECHNIQUE, STRATEGY, ANALYTICS = "T1571", "DET0227", ("AN0633", "AN0635")
_TYPES = {
    TECHNIQUE: "attack-pattern",
    STRATEGY: "x-mitre-detection-strategy",
    **dict.fromkeys(ANALYTICS, "x-mitre-analytic"),
}


class AttackProblem(ValueError):
    """A bundle or pinned file that is not what it should be; the text says which object and field."""


class LogSource(Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    channel: str


class MutableElement(Struct, frozen=True, forbid_unknown_fields=True):
    """What ATT&CK leaves to whoever runs an analytic; ours bear the same names."""

    field: str
    description: str


class AttackObject(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A technique, strategy or analytic; lists are empty where its kind has none."""

    id: str
    stix_id: str
    name: str
    url: str
    version: str
    modified: str
    description: str = ""
    platforms: tuple[str, ...] = ()
    log_sources: tuple[LogSource, ...] = ()
    mutable_elements: tuple[MutableElement, ...] = ()


class Attack(Struct, frozen=True, forbid_unknown_fields=True):
    """`objects_sha256` is of the canonical JSON of `objects`; `source_sha256` of the bundle's bytes, where known."""

    release: str
    source: str
    objects_sha256: str
    copyright: str
    licence: str
    objects: tuple[AttackObject, ...]
    source_sha256: str = ""

    def find(self, attack_id: str) -> AttackObject:
        """Raises: KeyError."""
        return {each.id: each for each in self.objects}[attack_id]

    @property
    def mutable_elements(self) -> frozenset[str]:
        return frozenset(element.field for each in self.objects for element in each.mutable_elements)


@cache
def attack() -> Attack:
    """The pinned objects. Raises: AttackProblem when they are not what was pinned."""
    return attack_from(files("app.detection").joinpath("attack.json").read_bytes())


def attack_from(content: bytes) -> Attack:
    """Raises: AttackProblem."""
    try:
        found = msgspec.json.decode(content, type=Attack)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise AttackProblem(str(problem)) from None
    if objects_sha256(found.objects) != found.objects_sha256:
        raise AttackProblem("the objects are not those of objects_sha256")
    return found


def objects_sha256(objects: Iterable[AttackObject]) -> str:
    plain = msgspec.to_builtins(tuple(objects))
    return sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def refreshed(pinned: Attack, content: bytes, source: str) -> Attack:
    """The pinned objects anew, out of a STIX bundle of Enterprise ATT&CK; copyright and licence stay.

    Raises:
        AttackProblem: no bundle, not of ATT&CK, without a release, or one of the objects is missing or withdrawn.
    """
    try:
        bundle = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise AttackProblem(f"no JSON: {problem}") from None
    listed = bundle.get("objects") if isinstance(bundle, dict) and bundle.get("type") == "bundle" else None
    if not isinstance(listed, list):
        raise AttackProblem("no STIX bundle: there is no list `objects` in an object of type `bundle`")
    by_id = {attack_id: each for each in listed if (attack_id := _wanted(each))}
    objects = tuple(_object(attack_id, by_id) for attack_id in _TYPES)
    _belong_together(objects, by_id[STRATEGY])
    return Attack(
        release=_release(listed),
        source=source,
        source_sha256=sha256(content).hexdigest(),
        objects_sha256=objects_sha256(objects),
        copyright=_copyright(listed) or pinned.copyright,
        licence=pinned.licence,
        objects=objects,
    )


def differences(before: Attack, after: Attack) -> Iterator[str]:
    """What changed, as sentences."""
    if before.release != after.release:
        yield f"release goes from {before.release} to {after.release}"
    for old, new in zip(before.objects, after.objects, strict=True):
        for field in AttackObject.__struct_fields__:
            was, now = getattr(old, field), getattr(new, field)
            if was != now:
                yield f"{new.id} {field} goes from {_said(was)} to {_said(now)}"


def _said(value: object) -> str:
    return repr(value) if isinstance(value, str) else json.dumps(msgspec.to_builtins(value), ensure_ascii=False)


def _wanted(each: object) -> str:
    """The ATT&CK id of an object that we pin."""
    if not isinstance(each, dict) or each.get("type") not in _TYPES.values():
        return ""
    attack_id = _reference(each).get("external_id")
    return attack_id if isinstance(attack_id, str) and _TYPES.get(attack_id) == each["type"] else ""


def _reference(each: Mapping[str, Any]) -> Mapping[str, Any]:
    references = each.get("external_references")
    listed = references if isinstance(references, list) else []
    ours = (one for one in listed if isinstance(one, dict) and one.get("source_name") == "mitre-attack")
    return next(ours, {})


def _object(attack_id: str, by_id: Mapping[str, Mapping[str, Any]]) -> AttackObject:
    if attack_id not in by_id:
        raise AttackProblem(f"{attack_id} is not in the bundle; is it Enterprise ATT&CK 18 or newer?")
    each = by_id[attack_id]
    if each.get("revoked") or each.get("x_mitre_deprecated"):
        raise AttackProblem(f"{attack_id} is revoked or deprecated; the knobs' names need a decision")
    sources = each.get("x_mitre_log_source_references") or []
    try:
        return msgspec.convert(
            {
                "id": attack_id,
                "stix_id": each.get("id"),
                "name": each.get("name"),
                "url": _reference(each).get("url"),
                "version": each.get("x_mitre_version"),
                "modified": each.get("modified"),
                "description": each.get("description", ""),
                "platforms": each.get("x_mitre_platforms", []),
                "log_sources": [{key: source[key] for key in ("name", "channel")} for source in sources],
                "mutable_elements": each.get("x_mitre_mutable_elements") or [],
            },
            AttackObject,
        )
    except (msgspec.ValidationError, KeyError, TypeError) as problem:
        raise AttackProblem(f"{attack_id}: {problem}") from None


def _belong_together(objects: Iterable[AttackObject], strategy: Mapping[str, Any]) -> None:
    named = strategy.get("x_mitre_analytic_refs")
    for each in objects:
        if each.id in ANALYTICS and each.stix_id not in (named if isinstance(named, list) else []):
            raise AttackProblem(f"{STRATEGY} does not name {each.id} among its analytics")


def _release(listed: Iterable[object]) -> str:
    for each in listed:
        if isinstance(each, dict) and each.get("type") == "x-mitre-collection":
            version = each.get("x_mitre_version")
            if each.get("name") == "Enterprise ATT&CK" and isinstance(version, str):
                return version
    raise AttackProblem("no release: there is no x-mitre-collection named `Enterprise ATT&CK` with a version")


def _copyright(listed: Iterable[object]) -> str:
    for each in listed:
        if isinstance(each, dict) and each.get("type") == "marking-definition":
            definition = each.get("definition")
            statement = definition.get("statement") if isinstance(definition, dict) else None
            if isinstance(statement, str) and "MITRE" in statement:
                return statement
    return ""
