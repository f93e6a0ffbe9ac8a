"""Judges an answer the way osqueryd does: by its body alone, whatever the HTTP status says."""

from enum import StrEnum

import msgspec


class Verdict(StrEnum):
    TAKEN = "taken"  #: the agent deletes what it sent
    REFUSED = "refused"  #: the agent keeps it and tries again later
    NODE_INVALID = "node_invalid"  #: the agent forgets its key, enrolls and sends again


def judge(body: bytes) -> Verdict:
    """Source: osquery remote/requests.h and remote/utility.h (TLSRequestHelper); recorded with osqueryd 5.23.1."""
    if not body:
        return Verdict.TAKEN
    document = document_of(body)
    if document is None:
        return Verdict.REFUSED
    if document.get("node_invalid") is True:
        return Verdict.NODE_INVALID
    return Verdict.REFUSED if "error" in document else Verdict.TAKEN


def document_of(body: bytes) -> dict[str, object] | None:
    """The JSON object in a body; None for all else. A real agent may crash on a bare string: here it is a refusal."""
    try:
        return msgspec.json.decode(body.decode("utf-8", "replace"), type=dict[str, object])
    except msgspec.DecodeError:
        return None


def node_key_of(body: bytes) -> str | None:
    """The key in an enrollment's answer; `id` is the older name. `error` and `node_invalid` are not looked at here."""
    document = document_of(body) or {}
    for name in ("node_key", "id"):
        if isinstance(key := document.get(name), str) and key:
            return key
    return None
