"""The whole contract with osqueryd on one screen: enroll, config, log, distributed read, distributed write.

Every failure answers a body with `error`, whatever the status: osquery reads only the body, and an answer without
`error` deletes the agent's lines or wipes its schedule. `node_invalid` is said only when the key is certainly unknown.
"""

import re
from collections.abc import Awaitable, Callable

import structlog
from fastapi import FastAPI
from prometheus_client import Counter
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from typing_extensions import override

from app.agent_api.bodies import BodyRefused
from app.agent_api.door import AgentDoor
from app.fleet.enrollment import EnrollmentRefused, enroll
from app.observations.intake import IntakeFull
from app.osquery import protocol
from app.osquery.distributed import decode_answers

log = structlog.get_logger()
ANSWERS = Counter("portbook_agent_answers", "Answers to agents", ["endpoint", "answer"])

Endpoint = Callable[[Request, AgentDoor], Awaitable[bytes]]

#: Where agents of Portbook, Fleet, Zentral, osctrl and osquery's own examples look for their server.
_UUID = "/[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_PATH = re.compile(rf"(?:/api/v1/osquery|/api/osquery|/public/osquery|{_UUID})?/([a-z]+(?:/[a-z]+)?)")
METHODS = frozenset({"POST", "PUT"})


class WrongMethod(Exception):
    """Something that is no agent asks."""


class UnknownNode(Exception):
    """The node key is certainly unknown, retired or revoked."""


async def post_enroll(request: Request, door: AgentDoor) -> bytes:
    wanted = protocol.decode_enroll(await door.read(request))
    enrolled = await enroll(door.database, wanted, door.now())
    log.info("node_enrolled", node_id=enrolled.node_id, is_new=enrolled.is_new)
    return protocol.node_key_answer(enrolled.node_key)


async def post_config(request: Request, door: AgentDoor) -> bytes:
    asked = protocol.decode_node_request(await door.read(request))
    node = await door.find_node(request, asked.node_key)
    if node is None:
        raise UnknownNode
    return door.configuration(node)


async def post_log(request: Request, door: AgentDoor) -> bytes:
    body = await door.read(request)
    node_key, submission = await door.understand(request, body)
    if submission is None:
        raise UnknownNode
    await door.accept(submission, body, node_key)
    return protocol.OK


async def post_distributed_read(request: Request, door: AgentDoor) -> bytes:
    asked = protocol.decode_node_request(await door.read(request))
    node = await door.find_node(request, asked.node_key)
    if node is None:
        raise UnknownNode
    return await door.desk.questions_for(node.node_id)


async def post_distributed_write(request: Request, door: AgentDoor) -> bytes:
    """What nobody asked, or is answered already, is taken and dropped: the agent would hold it for ever otherwise."""
    answers = decode_answers(await door.read(request))
    node = await door.find_node(request, answers.node_key)
    if node is None:
        raise UnknownNode
    await door.desk.take(node.node_id, answers)
    return protocol.OK


def answered(endpoint: Endpoint) -> ASGIApp:
    """An endpoint whose every outcome is an answer that osqueryd handles rightly."""
    name = endpoint.__name__.removeprefix("post_")

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            body, status, outcome = await _asked(endpoint, request), 200, "ok"
        except UnknownNode:
            body, status, outcome = protocol.NODE_INVALID, 200, "node_invalid"
        except EnrollmentRefused as refused:
            log.warning("enrollment_refused", reason=str(refused))
            body, status, outcome = protocol.ENROLLMENT_REFUSED, 200, "refused"
        except WrongMethod:
            body, status, outcome = protocol.error("agents send POST"), 405, "wrong_method"
        except (BodyRefused, protocol.UnreadableBody) as refused:
            body, status, outcome = protocol.error(str(refused)), 400, "unreadable"
        except IntakeFull:
            body, status, outcome = protocol.error("the server is busy"), 503, "full"
        except Exception:
            log.exception("agent_request_failed", endpoint=name)
            body, status, outcome = protocol.error("the server failed; nothing was stored"), 500, "failed"
        ANSWERS.labels(name, outcome).inc()
        await Response(body, status, media_type="application/json")(scope, receive, send)

    return answer


async def _asked(endpoint: Endpoint, request: Request) -> bytes:
    if request.method not in METHODS:
        raise WrongMethod
    return await endpoint(request, request.app.state.agent_door)


ENDPOINTS: dict[str, ASGIApp] = {
    "enroll": answered(post_enroll),
    "config": answered(post_config),
    "log": answered(post_log),
    "distributed/read": answered(post_distributed_read),
    "distributed/write": answered(post_distributed_write),
}


class AgentsFirst(FastAPI):
    """An application that lets agents, who ask nearly all there is to ask, through to their endpoints at once.

    These are no routes of FastAPI's: the body is gzip or JSON without a schema that a framework could check, and what
    the framework does around each request would cost as much as the intake of it.
    """

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match = _PATH.fullmatch(scope["path"]) if scope["type"] == "http" else None
        endpoint = ENDPOINTS.get(match[1]) if match else None
        if endpoint is None:
            await super().__call__(scope, receive, send)
        else:
            scope["app"] = self
            await endpoint(scope, receive, send)
