"""The JSON body of a request to the API: bounded, nothing named twice, faults named by field."""

import json
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from app.problems import InvalidRequest

#: Longer than any settings need to be.
BODY_MAX_BYTES = 1_048_576

Model = TypeVar("Model", bound=BaseModel)


async def read_json(request: Request, model: type[Model]) -> Model:
    """Raises: InvalidRequest, naming the field."""
    content = await _read(request)
    try:
        return model.model_validate(json.loads(content, object_pairs_hook=_once))
    except ValidationError as problem:
        errors = [{"pointer": "/".join(map(str, each["loc"])), "detail": each["msg"]} for each in problem.errors()]
        detail = "; ".join(f"{each['pointer'] or 'the body'}: {each['detail']}" for each in errors)
        raise InvalidRequest(detail, errors=errors) from None
    except (ValueError, RecursionError) as problem:
        raise InvalidRequest(f"the body cannot be read as JSON: {problem}", field="body") from None


async def _read(request: Request) -> bytes:
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > BODY_MAX_BYTES:
            raise InvalidRequest(f"the body is longer than {BODY_MAX_BYTES:,} bytes", field="body")
    return bytes(content)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} stands twice in one object")
    return found
