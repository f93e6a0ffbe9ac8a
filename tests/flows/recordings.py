"""The recordings beside this file, as connections and flow records."""

import json
from collections.abc import Iterator
from pathlib import Path

from app.detection.behaviour import Transport
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


def flows(campaign: str) -> list[FlowRecord]:
    folder = RECORDED / f"campaign_{campaign}"
    versions = {line["uid"]: line["version"] for line in _lines(folder / "ssl.log")}
    broken: dict[str, tuple[str, ...]] = {}
    for line in _lines(folder / "analyzer.log"):
        broken[line["uid"]] = (f"{line['analyzer_name']}: {line['failure_reason']}",)
    http = {line["uid"] for line in _lines(folder / "http.log")}
    return [
        _flow(campaign, line, versions, broken, http)
        for line in _lines(folder / "conn.log")
        if line["proto"] in {"tcp", "udp"}
    ]


def _flow(campaign, line, versions, broken, http) -> FlowRecord:
    uid = line["uid"]
    services = set(line["service"].split(",")) - {"-"}
    services |= ({"tls"} if uid in versions else set()) | ({"http"} if uid in http else set())
    return FlowRecord(
        tool="zeek",
        sensor=f"lab-{campaign}",
        flow_id=uid,
        started_at=float(line["ts"]),
        transport=Transport(line["proto"]),
        origin=(line["id.orig_h"], int(line["id.orig_p"])),
        responder=(line["id.resp_h"], int(line["id.resp_p"])),
        duration=None if line["duration"] == "-" else float(line["duration"]),
        services=frozenset(services),
        violations=broken.get(uid, ()),
        tls_version=versions.get(uid, ""),
        state=line["conn_state"],
        bytes_out=_count(line["orig_bytes"]),
        bytes_in=_count(line["resp_bytes"]),
        packets_out=_count(line["orig_pkts"]),
        packets_in=_count(line["resp_pkts"]),
        one_sided=line["history"].startswith("^"),
    )


def _count(value: str) -> int | None:
    return None if value == "-" else int(value)


def _lines(path: Path) -> Iterator[dict[str, str]]:
    names: list[str] = []
    for line in path.read_text().splitlines() if path.exists() else ():
        if line.startswith("#fields"):
            names = line.split("\t")[1:]
        elif not line.startswith("#"):
            yield dict(zip(names, line.split("\t"), strict=True))
