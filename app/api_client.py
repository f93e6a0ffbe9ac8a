"""The JSON API as commands ask it: whatever goes wrong is one sentence that names the server."""

import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from app.problems import InvalidRequest, NotSignedIn

TIMEOUT_SECONDS = 30.0
SHOWN_FAULTS = 10


def api_client(url: str, token: str, ca_file: Path | None) -> httpx.Client:
    """Raises: InvalidRequest for a file that holds no certificate."""
    try:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except OSError as error:
        raise InvalidRequest(
            f"{ca_file}: {'not a PEM' if isinstance(error, ssl.SSLError) else error.strerror}"
        ) from None
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.Client(base_url=url, headers=headers, verify=context, timeout=TIMEOUT_SECONDS)


def get(client: httpx.Client, path: str, params: Mapping[str, Any] | None = None) -> Any:
    """Raises: NotSignedIn, InvalidRequest."""
    return answered(client, "GET", path, params=params)


def post(client: httpx.Client, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Raises: NotSignedIn, InvalidRequest."""
    document: dict[str, Any] = answered(client, "POST", path, content=json.dumps(body).encode())
    return document


def answered(
    client: httpx.Client,
    method: str,
    path: str,
    *,
    params: Mapping[str, Any] | None = None,
    content: bytes | None = None,
) -> Any:
    """The JSON of an answer that is no problem.

    Raises: NotSignedIn, InvalidRequest with what the server said.
    """
    with opened(client, method, path, params=params, content=content) as answer:
        answer.read()
        return _document(client, answer)


def get_text(client: httpx.Client, path: str) -> str:
    """Raises: NotSignedIn, InvalidRequest with what the server said."""
    with opened(client, "GET", path) as answer:
        answer.read()
        return answer.text


@contextmanager
def opened(client: httpx.Client, method: str, path: str, **asked: Any) -> Iterator[httpx.Response]:
    """An answer that is no problem, to be read as it comes. `asked`: what httpx takes.

    Raises: NotSignedIn, InvalidRequest with what the server said, and of which fields.
    """
    try:
        with client.stream(method, path, **asked) as answer:
            _refuse_problem(client, answer)
            yield answer
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise InvalidRequest(f"no answer from {client.base_url}: {error}") from error


def _refuse_problem(client: httpx.Client, answer: httpx.Response) -> None:
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        raise NotSignedIn(f"{client.base_url} knows no such token; put one into PORTBOOK_TOKEN, or give --token")
    if answer.is_error:
        answer.read()
        said = _problem_text(_document(client, answer))
        raise InvalidRequest(f"{client.base_url} answered {answer.status_code}: {said}")


def _problem_text(problem: Mapping[str, Any]) -> str:
    """The sentence of a problem document with its field, or several faults, each in a line."""
    detail, field, errors = str(problem.get("detail")), problem.get("field"), problem.get("errors", [])
    if len(errors) > 1:
        lines = [f"{each['pointer']}: {each['detail']}" for each in errors[:SHOWN_FAULTS]]
        more = [f"and {len(errors) - SHOWN_FAULTS} more"] if len(errors) > SHOWN_FAULTS else []
        return "\n  ".join([f"{len(errors)} faults", *lines, *more])
    is_named = not field or detail.startswith(field) or f"{field}:" in detail
    return detail if is_named else f"{detail} [{field}]"


def _document(client: httpx.Client, answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        raise InvalidRequest(f"{client.base_url} answered {answer.status_code} without JSON: no Portbook?") from None
