"""A STIX bundle like MITRE's, of just the objects that we pin."""

import json
from typing import Any

from app.detection.attack import ANALYTICS, STRATEGY, attack


def an_object(attack_id: str, **given: Any) -> dict[str, Any]:
    """The pinned object in STIX's form, with `given` in place of its fields."""
    pinned = attack().find(attack_id)
    found = {
        "type": pinned.stix_id.partition("--")[0],
        "id": pinned.stix_id,
        "external_references": [
            {"source_name": "other", "external_id": "X1"},
            {"source_name": "mitre-attack", "external_id": attack_id, "url": pinned.url},
        ],
        "name": pinned.name,
        "modified": pinned.modified,
        "x_mitre_version": pinned.version,
        "x_mitre_deprecated": False,
    }
    if pinned.description:
        found |= {"description": pinned.description, "x_mitre_platforms": list(pinned.platforms)}
    if attack_id in ANALYTICS:
        found["x_mitre_log_source_references"] = [
            {"x_mitre_data_component_ref": "x-mitre-data-component--1", "name": each.name, "channel": each.channel}
            for each in pinned.log_sources
        ]
        found["x_mitre_mutable_elements"] = [
            {"field": each.field, "description": each.description} for each in pinned.mutable_elements
        ]
    if attack_id == STRATEGY:
        found["x_mitre_analytic_refs"] = [attack().find(each).stix_id for each in ANALYTICS]
    return found | given


def a_bundle(*, release: str = "18.1", without: str = "", **given: dict[str, Any]) -> bytes:
    """`given`: fields by ATT&CK id; `without`: an ATT&CK id, or a type, that is left out."""
    collection = {"type": "x-mitre-collection", "name": "Enterprise ATT&CK", "x_mitre_version": release}
    marking = {"type": "marking-definition", "definition": {"statement": attack().copyright}}
    ours = [an_object(each.id, **given.get(each.id, {})) for each in attack().objects if each.id != without]
    objects = [each for each in (collection, marking, *ours) if each["type"] != without]
    return json.dumps({"type": "bundle", "id": "bundle--1", "objects": objects}).encode()
