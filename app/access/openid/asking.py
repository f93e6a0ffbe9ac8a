"""Asks the provider: bounded in time and size, without following it elsewhere."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx

from app.access.openid.faults import ProviderFailed

SECONDS = 10.0
ANSWER_MAX_BYTES = 262_144


@dataclass(frozen=True, slots=True)
class Question:
    """`form` makes it a POST. `about` is for people: what was asked for."""

    about: str
    url: str
    form: Mapping[str, str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    auth: tuple[str, str] | None = field(default=None, repr=False)


async def ask(question: Question) -> dict[str, object]:
    """The JSON object that answers it. Raises: ProviderFailed."""
    try:
        async with asyncio.timeout(SECONDS), _client() as client:
            return await _answer(client, question)
    except TimeoutError:
        raise ProviderFailed(f"{question.about}: no answer within {SECONDS:g} seconds") from None
    except httpx.HTTPError as error:
        raise ProviderFailed(f"{question.about}: {type(error).__name__}") from None


def _client() -> httpx.AsyncClient:
    """Its own time-outs are for each step only; ours is for all of them."""
    return httpx.AsyncClient(timeout=None, follow_redirects=False)  # noqa: S113


async def _answer(client: httpx.AsyncClient, question: Question) -> dict[str, object]:
    """Plain: what is compressed could be far longer than it looks."""
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"} | dict(question.headers)
    method = "GET" if question.form is None else "POST"
    request = client.build_request(method, question.url, data=question.form, headers=headers)
    response = await client.send(request, auth=question.auth, stream=True)
    try:
        content = await _content(response, question)
    finally:
        await response.aclose()
    if not response.is_success:
        raise ProviderFailed(f"{question.about}: status {response.status_code}{_code(content)}")
    return _object(content, question)


async def _content(response: httpx.Response, question: Question) -> bytes:
    content = bytearray()
    async for part in response.aiter_raw():
        content += part
        if len(content) > ANSWER_MAX_BYTES:
            raise ProviderFailed(f"{question.about}: the answer is longer than {ANSWER_MAX_BYTES:,} bytes")
    return bytes(content)


def _object(content: bytes, question: Question) -> dict[str, object]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise ProviderFailed(f"{question.about}: the answer is no JSON object")
    return document


def _code(content: bytes) -> str:
    """The error code of a failed exchange, e.g. `, invalid_grant`; nothing where it is no plain word."""
    try:
        code = json.loads(content)["error"]
    except (ValueError, RecursionError, LookupError, TypeError):
        return ""
    return f", {code}" if is_error_code(code) else ""


def is_error_code(code: object) -> bool:
    """Whether it can be shown and logged: whoever calls us back may write anything there."""
    return isinstance(code, str) and code.isascii() and code.isidentifier() and len(code) <= 50  # noqa: PLR2004
