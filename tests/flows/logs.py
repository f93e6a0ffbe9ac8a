"""Lines of logs for the tests of flows, one keyword away from the interesting case."""

import gzip
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.flows.reading import Account, FlowReader, Span
from app.flows.records import FlowRecord, Tool

ZEEK = Path(__file__).parent / "zeek"
#: Of the recording.
DAY = datetime(2023, 8, 16, 12, tzinfo=UTC)
STARTED_AT = 1692161674.550755

CONN = {
    "ts": str(STARTED_AT), "uid": "C6lHTD1NEfitEA9vDc", "id.orig_h": "192.168.1.41", "id.orig_p": "51129",
    "id.resp_h": "10.0.5.13", "id.resp_p": "8080", "proto": "tcp", "service": "-", "duration": "3.516797",
    "orig_bytes": "517", "resp_bytes": "1386", "conn_state": "SF", "history": "ShADadfF", "orig_pkts": "7",
    "resp_pkts": "4",
}  # fmt: skip
END = {name: CONN[name] for name in ("ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p")}
SSL = END | {
    "version": "TLSv12", "cipher": "TLS_X", "server_name": "c2.example", "resumed": "F", "established": "T",
}  # fmt: skip
HTTP = END | {"trans_depth": "1", "method": "GET", "host": "x", "status_code": "200", "version": "1.1"}
ANALYZER = END | {
    "cause": "violation", "analyzer_kind": "protocol", "analyzer_name": "HTTP", "fuid": "-",
    "failure_reason": "not a http reply line", "failure_data": "-",
}  # fmt: skip
DPD = END | {"proto": "tcp", "analyzer": "HTTP", "failure_reason": "not a http reply line"}

FLOW_EVENT: dict[str, Any] = {
    "timestamp": "2023-08-16T05:00:00.000000+0000", "flow_id": 1155346044137668, "event_type": "flow",
    "src_ip": "192.168.1.41", "src_port": 51129, "dest_ip": "10.0.5.13", "dest_port": 8080, "proto": "TCP",
    "app_proto": "tls",
    "flow": {
        "pkts_toserver": 7, "pkts_toclient": 4, "bytes_toserver": 900, "bytes_toclient": 1600,
        "start": "2023-08-16T04:54:34.550755+0000", "end": "2023-08-16T04:54:38.067552+0000", "state": "closed",
    },
}  # fmt: skip


def text(log: str, *rows: dict[str, str], names: Sequence[str] = (), types: str = "") -> bytes:
    """A log in Zeek's text format; `names` gives the order of the columns."""
    columns = names or list(rows[0])
    head = ["#separator \\x09", "#set_separator\t,", "#empty_field\t(empty)", "#unset_field\t-", f"#path\t{log}"]
    head += ["#open\t2023-08-16-01-28-55", "\t".join(["#fields", *columns])]
    head += [types or "\t".join(["#types", *("string" for _ in columns)])]
    lines = ["\t".join(row.get(name, "-") for name in columns) for row in rows]
    return "\n".join([*head, *lines, "#close\t2023-08-16-01-28-55", ""]).encode()


def a_json(row: dict[str, str], **more: Any) -> bytes:
    """A line of Zeek's JSON: typed, and without what is unset."""
    typed = {name: _typed(value) for name, value in row.items() if value != "-"}
    return json.dumps(typed | more).encode() + b"\n"


def _typed(value: str) -> Any:
    if value in {"T", "F"}:
        return value == "T"
    try:
        number = float(value)
    except ValueError:
        return value
    return int(value) if value.isdigit() else number


def an_event(kind: str, **fields: Any) -> bytes:
    """A line of Suricata's EVE log about the flow of FLOW_EVENT."""
    event = {name: value for name, value in FLOW_EVENT.items() if name not in {"flow", "app_proto"}}
    return json.dumps(event | {"event_type": kind} | fields).encode() + b"\n"


def eve(**fields: Any) -> bytes:
    return json.dumps(FLOW_EVENT | fields).encode() + b"\n"


def read(
    content: bytes, *, chunk_bytes: int = 1 << 20, tool: Tool | None = None, span: Span | None = None
) -> tuple[list[FlowRecord], Account]:
    reader = FlowReader("edge", tool=tool, span=span)
    parts = [part for chunk in _chunks(content, chunk_bytes) for some in reader.read(chunk) for part in some]
    return parts + reader.finish(), reader.account


def one(content: bytes) -> FlowRecord:
    """The only part that the bytes tell, with nothing left out."""
    (part,), account = read(content)
    assert not account.faults
    return part


def _chunks(content: bytes, size: int) -> Iterable[bytes]:
    return (content[start : start + size] for start in range(0, len(content), size))


def recorded(*logs: str) -> bytes:
    """Logs of the recording, one after the other."""
    return b"".join((ZEEK / f"{log}.log").read_bytes() for log in logs)


def a_folder(root: Path) -> Path:
    """As Zeek's rotation leaves one: a folder a day, some compressed, and what else lies there."""
    day = root / "2023-08-16"
    day.mkdir(parents=True)
    (day / "conn.05:00:00-06:00:00.log.gz").write_bytes(gzip.compress(recorded("conn")))
    (day / "ssl.05:00:00-06:00:00.log.gz").write_bytes(gzip.compress(recorded("ssl")))
    (root / "analyzer.log").write_bytes(recorded("analyzer"))
    (root / "http.log").write_bytes(recorded("http"))
    (root / "weird.log").write_bytes(recorded("weird"))
    (root / "stderr.log").write_text("listening on eth0\n")
    (root / ".status").write_text("RUNNING\n")
    (root / "empty.log").touch()
    return root
