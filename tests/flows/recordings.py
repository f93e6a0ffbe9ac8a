"""The recordings beside this file, as connections and flow records."""

import json
from pathlib import Path

from app.analysis.flow_files import flows_in
from app.flows.connections import Connection, connection_of
from app.flows.records import FlowRecord

RECORDED = Path(__file__).parent / "recorded"
NODES = {"01": "MKT01.pandalab.com", "02": "ACCT01.pandalab.com", "03": "PRD01.pandalab.com"}


def expected(campaign: str) -> list[dict]:
    lines = (RECORDED / "expected_join.jsonl").read_text().splitlines()
    return [each for each in map(json.loads, lines) if each["campaign"] == campaign]


def connections(campaign: str) -> list[Connection]:
    first: dict[object, Connection] = {}
    for line in map(json.loads, (RECORDED / "hosts.jsonl").read_text().splitlines()):
        if line["hostIdentifier"] == NODES[campaign] and line["name"].endswith("/outbound"):
            columns = line["columns"]
            found = connection_of(line["hostIdentifier"], columns["proc_path"], columns, line["unixTime"])
            if found:
                first.setdefault(found.five_tuple, found)
    return list(first.values())


def flows(campaign: str) -> tuple[FlowRecord, ...]:
    read = flows_in([RECORDED / f"campaign_{campaign}"])
    assert read.faults == ()
    return read.flows
