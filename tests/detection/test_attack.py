"""ATT&CK's own words, pinned; and taken anew out of a bundle."""

import json

import msgspec
import pytest

from app.detection.attack import (
    ANALYTICS,
    STRATEGY,
    TECHNIQUE,
    AttackProblem,
    attack,
    attack_from,
    differences,
    refreshed,
)
from app.detection.deviation import Analytic
from app.detection.knobs import Knobs
from app.detection.scopes import as_document
from tests.detection.bundles import a_bundle, an_object

#: Tables of the knobs that are ours, not ATT&CK's.
OUR_OWN = {"Vouching", "Weights", "Severities"}


def test_the_knobs_bear_the_names_that_attack_gives_its_mutable_elements():
    assert set(as_document(Knobs())) - OUR_OWN == attack().mutable_elements


def test_the_analytics_are_those_that_findings_name():
    assert set(ANALYTICS) == set(Analytic)
    assert [each.id for each in attack().objects] == [TECHNIQUE, STRATEGY, *ANALYTICS]


def test_what_is_pinned_names_its_release_source_and_licence():
    found = attack()
    assert found.release == "18.1"
    assert "mitre/cti" in found.source
    assert "registered trademarks of The MITRE Corporation" in found.copyright
    assert "royalty-free license" in found.licence
    assert all(each.stix_id and each.url.startswith("https://attack.mitre.org/") for each in found.objects)


def test_a_pinned_file_that_somebody_edited_is_refused():
    content = msgspec.json.encode(attack()).replace(b"Non-Standard Port", b"Odd Port", 1)
    with pytest.raises(AttackProblem, match="objects_sha256"):
        attack_from(content)


def test_the_same_release_again_changes_nothing_but_its_source():
    again = refreshed(attack(), a_bundle(), "bundle.json")
    assert list(differences(attack(), again)) == []
    assert again.objects_sha256 == attack().objects_sha256
    assert (again.source, len(again.source_sha256)) == ("bundle.json", 64)
    assert attack_from(msgspec.json.encode(again)) == again


def test_what_changed_is_said():
    elements = [{"field": "PortThresholds", "description": "Otherwise."}]
    newer = refreshed(attack(), a_bundle(release="20.0", AN0633={"x_mitre_mutable_elements": elements}), "b")
    said = list(differences(attack(), newer))
    assert said[0] == "release goes from 18.1 to 20.0"
    assert said[1].startswith("AN0633 mutable_elements goes from [")
    assert said[1].endswith('to [{"field": "PortThresholds", "description": "Otherwise."}]')


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no JSON"),
        (b"\xff", "no JSON"),
        (b"[]", "no STIX bundle"),
        (b'{"type": "bundle"}', "no STIX bundle"),
        (b'{"type": "bundle", "objects": [1, {"type": 2}]}', "T1571 is not in the bundle"),
        (a_bundle(without="AN0635"), "AN0635 is not in the bundle"),
        (a_bundle(without="x-mitre-collection"), "no release"),
        (a_bundle(AN0633={"revoked": True}), "AN0633 is revoked"),
        (a_bundle(AN0633={"name": 3}), "AN0633: Expected `str`, got `int` - at `$.name`"),
        (a_bundle(AN0633={"x_mitre_log_source_references": [{"name": "x"}]}), "AN0633: 'channel'"),
        (a_bundle(AN0633={"x_mitre_log_source_references": 5}), "AN0633"),
        (a_bundle(DET0227={"x_mitre_analytic_refs": []}), "DET0227 does not name AN0633"),
    ],
)
def test_a_wrong_bundle_is_refused_with_the_reason(content, says):
    with pytest.raises(AttackProblem, match=says.replace("$", r"\$").replace("[", r"\[")):
        refreshed(attack(), content, "bundle.json")


def test_an_object_of_another_kind_with_our_id_is_not_taken_for_ours():
    course = an_object("T1571") | {"type": "course-of-action", "name": "not it"}
    content = json.loads(a_bundle())
    content["objects"].insert(0, course)
    found = refreshed(attack(), json.dumps(content).encode(), "b")
    assert found.find(TECHNIQUE).name == "Non-Standard Port"
