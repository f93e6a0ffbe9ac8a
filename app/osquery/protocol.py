"""What agents send and what they understand, as typed values. Source: osquery remote/, plugins/logger/tls_logger.cpp.

osquery ignores HTTP status codes: only the body of an answer decides. An answer without `error` and without
`node_invalid: true` tells the agent to delete what it sent.
"""

import re
from typing import Literal, TypeVar

import msgspec

T = TypeVar("T")

#: osquery sends text; with `logger_numerics` numbers; NULL is the empty text.
#: None of the columns below is a fraction: to Python 443.0 equals 443, and what means one could be taken for the other.
Cell = str | int | None

OK = b"{}"
NODE_INVALID = b'{"node_invalid":true}'
#: A failed enrollment has no node_key; `error` is for people who read the wire.
ENROLLMENT_REFUSED = b'{"error":"enrollment refused","node_invalid":true}'
#: Agents send `log_type` behind `data`: a look at the end spares decoding twice.
_TAIL_BYTES = 512


def error(reason: str) -> bytes:
    """The answer that makes an agent keep its lines, or its running schedule, and try again."""
    return msgspec.json.encode({"error": reason})


def node_key_answer(node_key: str) -> bytes:
    return msgspec.json.encode({"node_key": node_key})


class UnreadableBody(ValueError):
    """The body as a whole is not what an agent sends: no JSON, no object, wrong types at the top."""


class Columns(msgspec.Struct, gc=False):
    """The columns that identity and time are made of; the others stay in the stored batch. Absent is None."""

    proc_path: Cell = None
    proc_name: Cell = None
    svchost_hint: Cell = None
    service_names: Cell = None
    launchd_labels: Cell = None
    launchd_match_rank: Cell = None
    held_by_launchd: Cell = None
    protocol: Cell = None
    local_address: Cell = None
    local_port: Cell = None
    remote_port: Cell = None
    local_port_listening: Cell = None
    initiated: Cell = None
    bind_scope: Cell = None
    path: Cell = None
    sign_status: Cell = None
    subject_name: Cell = None
    signed: Cell = None
    authority: Cell = None
    team_identifier: Cell = None
    identifier: Cell = None
    name: Cell = None
    start_type: Cell = None
    module_path: Cell = None
    user_account: Cell = None
    plist_path: Cell = None
    label: Cell = None
    program: Cell = None
    program_arguments: Cell = None
    version: Cell = None
    instance_id: Cell = None
    config_hash: Cell = None
    eventid: Cell = None
    data: Cell = None  #: what an event says, as JSON in a text


class DiffResults(msgspec.Struct, gc=False):
    added: list[Columns] | Literal[""] | None = None  #: osquery before 5 wrote an empty list as an empty text
    removed: list[Columns] | Literal[""] | None = None


class ResultLine(msgspec.Struct, gc=False):
    """One element of `data` in any of the three shapes: event, batch (diffResults) and snapshot."""

    name: str
    unixTime: int | str = 0  # noqa: N815 - osquery's spelling
    epoch: int | str = 0
    counter: int | str = 0
    action: str = ""
    columns: Columns | None = None
    snapshot: list[Columns] | None = None
    diffResults: DiffResults | None = None  # noqa: N815 - osquery's spelling


class StatusLine(msgspec.Struct, gc=False):
    message: str = ""
    severity: int | str = 0


class LogRequest(msgspec.Struct, gc=False):
    """A log request. Lines that could not be read are None in `data`, so that positions keep their meaning."""

    data: list[ResultLine | None]
    node_key: str = ""
    log_type: str = ""


class StatusRequest(msgspec.Struct, gc=False):
    """Like LogRequest: None for a line that could not be read."""

    data: list[StatusLine | None]
    node_key: str = ""
    log_type: str = ""


class _LooseLogRequest(msgspec.Struct, gc=False):
    data: list[msgspec.Raw] | None = None
    node_key: str = ""
    log_type: str = ""


class _Envelope(msgspec.Struct):
    log_type: str = ""


class NodeRequest(msgspec.Struct):
    """config and distributed read: whoever sends more (an `etag`, a whole log body) is tolerated."""

    node_key: str = ""


class EnrollRequest(msgspec.Struct):
    enroll_secret: str = ""
    host_identifier: str = ""
    platform_type: str | int = ""
    host_details: dict[str, dict[str, Cell | float]] | None = None


_LOG = msgspec.json.Decoder(LogRequest)
_STATUS = msgspec.json.Decoder(StatusRequest)
_LOOSE = msgspec.json.Decoder(_LooseLogRequest)
_LINE = msgspec.json.Decoder(ResultLine)
_STATUS_LINE = msgspec.json.Decoder(StatusLine)
_ENVELOPE = msgspec.json.Decoder(_Envelope)
_NODE = msgspec.json.Decoder(NodeRequest)
_ENROLL = msgspec.json.Decoder(EnrollRequest)

#: A \ud800-\udfff escape that has no partner, which strict JSON readers refuse.
_LONE_SURROGATE = re.compile(
    rb"(?<!\\)((?:\\\\)*)(?:(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


def mend(body: bytes) -> bytes:
    """The body with invalid UTF-8 and lone surrogates replaced by U+FFFD. Snapshots carry raw bytes of the host."""
    text = body.decode("utf-8", "replace").encode()
    return _LONE_SURROGATE.sub(lambda m: m[1] + (m[2] or b"\\ufffd"), text)


def is_status(body: bytes) -> bool:
    """Whether a log request carries status lines rather than results."""
    if b'"log_type":"result"' in body[-_TAIL_BYTES:]:
        return False
    return _decode(_ENVELOPE, mend(body)).log_type == "status"


def decode_log(body: bytes) -> tuple[LogRequest, bool]:
    """The request, and whether the body had to be mended first. One bad line never spoils the others.

    Raises: UnreadableBody.
    """
    try:
        return _LOG.decode(body), False
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        mended = mend(body)
        return _decode_line_by_line(mended), mended != body


def _decode_line_by_line(body: bytes) -> LogRequest:
    loose = _decode(_LOOSE, body)
    lines = [_line_or_none(raw) for raw in loose.data or ()]
    return LogRequest(data=lines, node_key=loose.node_key, log_type=loose.log_type)


def _line_or_none(raw: msgspec.Raw) -> ResultLine | None:
    try:
        return _LINE.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None


def decode_status(body: bytes) -> StatusRequest:
    """Raises: UnreadableBody."""
    try:
        return _STATUS.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        loose = _decode(_LOOSE, mend(body))
        return StatusRequest(data=[_status_or_none(raw) for raw in loose.data or ()], node_key=loose.node_key)


def _status_or_none(raw: msgspec.Raw) -> StatusLine | None:
    try:
        return _STATUS_LINE.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None


def decode_node_request(body: bytes) -> NodeRequest:
    """Raises: UnreadableBody."""
    return _decode(_NODE, mend(body))


def decode_enroll(body: bytes) -> EnrollRequest:
    """Raises: UnreadableBody."""
    return _decode(_ENROLL, mend(body))


def _decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error_:
        raise UnreadableBody(f"unexpected shape: {error_}") from error_
    except (msgspec.DecodeError, UnicodeDecodeError) as error_:
        raise UnreadableBody(f"not JSON: {error_}") from error_
    except RecursionError as error_:
        raise UnreadableBody("nested too deeply") from error_
