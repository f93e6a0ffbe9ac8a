import json

import pytest

from app.collection.export import export
from app.collection.packs import load_packs

PACKS = load_packs()


def test_osquery_gets_one_conf_per_pack_that_parses_back(tmp_path):
    paths = export(PACKS, "osquery", tmp_path)
    assert {path.name for path in paths} == {f"{pack.name}.conf" for pack in PACKS}
    for pack in PACKS:
        document = json.loads((tmp_path / f"{pack.name}.conf").read_bytes())
        assert document == pack.document().as_json()
        assert document["queries"].keys() == {query.name for query in pack.queries}


def fleet_documents(path):
    """As fleetctl splits a file: at lines that begin with three hyphens."""
    return [json.loads(part) for part in ("\n" + path.read_text("utf-8")).split("\n---\n") if part.strip()]


def test_fleet_gets_one_multi_document_file_per_pack_that_parses_back(tmp_path):
    export(PACKS, "fleet", tmp_path)
    for pack in PACKS:
        documents = fleet_documents(tmp_path / f"{pack.name}.yml")
        assert [document["spec"]["name"] for document in documents] == [
            f"{pack.name}/{query.name}" for query in pack.queries
        ]
        for document, query in zip(documents, pack.queries, strict=True):
            assert (document["apiVersion"], document["kind"]) == ("v1", "query")
            assert document["spec"]["query"] == query.statement
            assert document["spec"]["interval"] == query.interval_seconds
            assert document["spec"]["min_osquery_version"] == query.version


@pytest.mark.parametrize(
    ("name", "platform", "logging"),
    [
        ("windows_network/outbound", "windows", "differential"),
        ("macos_context/signatures", "darwin", "differential_ignore_removals"),
        ("windows_network/dns_events", "windows", "differential_ignore_removals"),
        ("telemetry/heartbeat", "", "snapshot"),
    ],
)
def test_fleet_is_told_platform_and_logging_in_its_own_words(tmp_path, name, platform, logging):
    export(PACKS, "fleet", tmp_path)
    pack = name.partition("/")[0]
    (spec,) = [d["spec"] for d in fleet_documents(tmp_path / f"{pack}.yml") if d["spec"]["name"] == name]
    assert (spec["platform"], spec["logging"], spec["automations_enabled"]) == (platform, logging, True)


def test_a_foreign_file_is_not_replaced_without_saying_and_nothing_else_is_written(tmp_path):
    foreign = tmp_path / "windows_network.conf"
    foreign.write_text("somebody's work")
    with pytest.raises(FileExistsError, match=r"windows_network\.conf exists with other contents"):
        export(PACKS, "osquery", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [foreign.name]
    assert foreign.read_text() == "somebody's work"


def test_on_demand_a_foreign_file_is_replaced_and_no_part_is_left_behind(tmp_path):
    (tmp_path / "telemetry.conf").write_text("old")
    paths = export(PACKS, "osquery", tmp_path, replace=True)
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    assert json.loads((tmp_path / "telemetry.conf").read_bytes())["platform"] == "any"


def test_exporting_twice_changes_nothing(tmp_path):
    paths = export(PACKS, "fleet", tmp_path / "new" / "folder")
    inodes = [path.stat().st_ino for path in paths]
    assert export(PACKS, "fleet", tmp_path / "new" / "folder") == paths
    assert [path.stat().st_ino for path in paths] == inodes
