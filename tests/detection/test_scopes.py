"""Settings of several scopes: how they are written, merged and checked."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.detection.knob_changes import changes
from app.detection.knobs import Knobs, KnobsProblem, knobs_from
from app.detection.scopes import (
    EVERY,
    KnobsByScope,
    Scope,
    as_document,
    canonical,
    document_sha256,
    leaves,
    merged,
    origins,
    scope_from,
    scopes_of,
)

LAPTOPS = Scope("macos", "laptop")
MACS = Scope("macos")


@pytest.mark.parametrize("text", ["every", "platform.windows", "role.laptop.macos", "role.a.b c.windows"])
def test_a_scope_is_read_as_it_is_written(text):
    assert str(scope_from(text)) == text


@pytest.mark.parametrize(
    "text", ["", "all", "every.windows", "platform", "platform.linux", "role.macos", "role..macos", "role.\n.macos"]
)
def test_what_is_no_scope_is_refused(text):
    with pytest.raises(KnobsProblem, match="Expected `every`"):
        scope_from(text)


def test_the_narrower_scope_wins_field_by_field():
    knobs = KnobsByScope(
        {
            EVERY: {"Weights": {"novelty": 40.0, "rarity": 5.0}, "ProcessAllowList": ["/opt/a"]},
            MACS: {"Weights": {"rarity": 6.0}},
            LAPTOPS: {"ProcessAllowList": ["/opt/b"]},
        }
    )
    laptop, server, windows = knobs.of("laptop", "macos"), knobs.of("server", "macos"), knobs.of("laptop", "windows")
    assert (laptop.weights.novelty, laptop.weights.rarity, laptop.process_allow_list) == (40, 6, ("/opt/b",))
    assert (server.weights.rarity, server.process_allow_list) == (6, ("/opt/a",))
    assert (windows.weights.rarity, windows.process_allow_list) == (5, ("/opt/a",))
    assert laptop.weights.unsigned == Knobs().weights.unsigned


def test_a_profile_of_one_program_leaves_the_others():
    knobs = knobs_from(merged([as_document(Knobs()), {"BaselinePortProfiles": {"/opt/a": ["8080"]}}]))
    assert knobs.baseline_port_profiles == Knobs().baseline_port_profiles | {"/opt/a": ("8080",)}


def test_without_settings_every_node_has_the_defaults():
    assert KnobsByScope({}).of("laptop", "macos") == Knobs()
    assert knobs_from(as_document(Knobs())) == Knobs()


def test_a_node_of_another_platform_is_in_the_widest_scope_only():
    assert scopes_of("laptop", "other") == (EVERY,)
    assert scopes_of("", "macos") == (EVERY, MACS)
    assert scopes_of("laptop", "macos") == (EVERY, MACS, LAPTOPS)


def test_a_contradiction_between_scopes_is_found_wherever_it_would_show():
    knobs = KnobsByScope(
        {Scope("windows", "server"): {"Severities": {"low": 45}}, EVERY: {"Weights": {"novelty": 1.0}}}
    )
    with pytest.raises(KnobsProblem, match=r"role\.server\.windows: Expected low <= medium <= high") as problem:
        knobs.check()
    assert problem.value.pointer == "$.Severities"
    KnobsByScope(
        {Scope("windows", "server"): {"Severities": {"low": 45}}, EVERY: {"Severities": {"medium": 45}}}
    ).check()


def test_a_document_has_one_form_and_one_hash():
    one = canonical({"PortThresholds": {"web": [443, 80]}, "Weights": {"novelty": 40}, "Vouching": {}})
    other = canonical({"Weights": {"novelty": 40.0}, "PortThresholds": {"web": [80, 443]}})
    assert one == other == {"PortThresholds": {"web": [80, 443]}, "Weights": {"novelty": 40.0}}
    assert document_sha256(one) == document_sha256(other) == document_sha256(json.loads(json.dumps(one)))
    assert document_sha256(one) != document_sha256(canonical({"Weights": {"novelty": 40}}))


def test_an_empty_allow_list_is_a_setting():
    assert canonical({"ProcessAllowList": []}) == {"ProcessAllowList": []}


@given(st.dictionaries(st.sampled_from(["novelty", "rarity", "unsigned"]), st.floats(0, 100), max_size=3))
def test_a_canonical_document_stays_as_it_is(weights):
    document = canonical({"Weights": weights})
    assert canonical(json.loads(json.dumps(document))) == document


def test_every_value_names_the_scope_that_set_it():
    found = {
        each.field: each
        for each in origins(
            [
                (None, as_document(Knobs())),
                (EVERY, {"Weights": {"rarity": 5.0}}),
                (LAPTOPS, {"ProcessAllowList": ["/a"]}),
            ]
        )
    }
    assert (found["Weights.rarity"].value, found["Weights.rarity"].scope) == (5.0, EVERY)
    assert (found["ProcessAllowList"].value, found["ProcessAllowList"].scope) == (["/a"], LAPTOPS)
    assert found["Weights.novelty"].scope is None
    assert found.keys() == leaves(as_document(Knobs())).keys()


def test_differences_are_said_in_words():
    before = {"Weights": {"novelty": 45.0, "rarity": 1.5}, "PortThresholds": {"common": [25, 80]}}
    after = {"Weights": {"novelty": 40.0, "unsigned": 1.0}, "PortThresholds": {"common": [80, 8443]}}
    assert [each.words for each in changes(before, after)] == [
        "PortThresholds.common adds 8443 and removes 25",
        "Weights.novelty goes from 45 to 40",
        "Weights.rarity is no longer set (was 1.5)",
        "Weights.unsigned is set to 1",
    ]
    assert changes(before, before) == []
