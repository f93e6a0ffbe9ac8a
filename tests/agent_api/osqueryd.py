"""What a real osqueryd makes of an answer: it reads the body only, and never the status."""

import json
from enum import Enum

import httpx


class Verdict(Enum):
    DONE = "takes it for a yes: lines are deleted, a configuration is taken over"
    KEPT = "keeps its lines and its schedule, and tries again"
    ENROLLS = "throws its key away and enrolls anew"


def verdict(answer: httpx.Response) -> Verdict:
    """Source: osquery/remote/transports/tls.h and plugins/remote; a body that is no object is undefined behaviour."""
    if not answer.content:
        return Verdict.DONE
    try:
        document = json.loads(answer.content)
    except ValueError:
        return Verdict.KEPT
    assert isinstance(document, dict), "osqueryd may crash on this"
    if document.get("node_invalid") is True:
        return Verdict.ENROLLS
    return Verdict.KEPT if "error" in document else Verdict.DONE


def key_in(answer: httpx.Response) -> str:
    """The node key that an agent takes from an answer to enroll; empty where it sees a failure."""
    document = json.loads(answer.content)
    assert isinstance(document, dict), "osqueryd may crash on this"
    key = document.get("node_key") or document.get("id")
    return key if isinstance(key, str) else ""
