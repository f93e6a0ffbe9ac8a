"""The body of a request, JSON or a form: bounded, nothing named twice, faults named by field."""

import json
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from fastapi import Request
from pydantic import BaseModel, ValidationError

from app.problems import InvalidRequest

#: Longer than any settings need to be.
BODY_MAX_BYTES = 1_048_576
#: Of a form of our pages.
FORM_MAX_BYTES = 65_536
FORM = "application/x-www-form-urlencoded"

Model = TypeVar("Model", bound=BaseModel)


async def read_json(request: Request, model: type[Model]) -> Model:
    """Raises: InvalidRequest, naming the field."""
    if hasattr(request.state, "form"):
        raise InvalidRequest("the body is a form; send JSON", field="body")
    content = await _bounded(request, BODY_MAX_BYTES)
    try:
        return model.model_validate(json.loads(content, object_pairs_hook=_once))
    except ValidationError as problem:
        errors = [{"pointer": "/".join(map(str, each["loc"])), "detail": each["msg"]} for each in problem.errors()]
        detail = "; ".join(f"{each['pointer'] or 'the body'}: {each['detail']}" for each in errors)
        raise InvalidRequest(detail, errors=errors) from None
    except (ValueError, RecursionError) as problem:
        raise InvalidRequest(f"the body cannot be read as JSON: {problem}", field="body") from None


def json_body(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """What OpenAPI shall say of a route whose body is read by `read_json`."""
    schema = {"schema": model.model_json_schema(ref_template="#/components/schemas/{model}")}
    return {"requestBody": {"required": required, "content": {"application/json": schema}}}


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form that a page sent; none of any other body, which is left to be read. Once a request.

    Raises: InvalidRequest.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        return {}
    if not hasattr(request.state, "form"):
        content = await _bounded(request, FORM_MAX_BYTES)
        try:
            pairs = parse_qsl(content.decode(), keep_blank_values=True, errors="strict", max_num_fields=100)
            request.state.form = _once(pairs)
        except ValueError as problem:
            raise InvalidRequest(f"the form cannot be read: {problem}", field="body") from None
    form: dict[str, str] = request.state.form
    return form


async def read_bytes(request: Request, most_bytes: int, refused: Exception) -> bytes:
    """The body as sent, never more than `most_bytes` of it held.

    Raises: `refused`, as soon as more has come.
    """
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > most_bytes:
            raise refused
    return bytes(content)


async def _bounded(request: Request, most_bytes: int) -> bytes:
    refused = InvalidRequest(f"the body is longer than {most_bytes:,} bytes", field="body")
    return await read_bytes(request, most_bytes, refused)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} stands twice in one object")
    return found
