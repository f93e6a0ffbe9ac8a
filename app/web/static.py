"""Our style sheet and pictures: read once, named by their hash, so that a browser may keep them for ever."""

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from fastapi import APIRouter, Request, Response

from app.problems import NotFound

FOLDER = Path(__file__).parent / "static"
MEDIA_TYPES = {".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
FOR_EVER = "public, max-age=31536000, immutable"

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class StaticFile:
    content: bytes
    media_type: str
    version: str


@cache
def static_files() -> dict[str, StaticFile]:
    found = ((path, path.read_bytes()) for path in FOLDER.iterdir() if path.suffix in MEDIA_TYPES)
    return {
        path.name: StaticFile(content, MEDIA_TYPES[path.suffix], sha256(content).hexdigest()[:16])
        for path, content in found
    }


def static_url(name: str) -> str:
    return f"/static/{name}?v={static_files()[name].version}"


@router.get("/static/{name}")
async def get_static(request: Request, name: str) -> Response:
    found = static_files().get(name)
    if found is None:
        raise NotFound(f"no file {name}")
    is_named = request.query_params.get("v") == found.version
    headers = {"Cache-Control": FOR_EVER if is_named else "no-cache", "X-Content-Type-Options": "nosniff"}
    return Response(found.content, media_type=found.media_type, headers=headers)
