"""What every page shares: the template, the headers that keep it ours, and what a failure looks like."""

from collections.abc import Callable, Coroutine
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from typing_extensions import override

from app.access.api import known_sign_in
from app.access.same_origin import SAFE_METHODS
from app.problems import NotSignedIn, Problem
from app.web.static import static_url

#: Nothing but our own style sheet, pictures and forms; no script at all.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
#: Of a page alone; the rest of what every answer says is in `app.web.headers`.
HEADERS = {"Content-Security-Policy": CONTENT_SECURITY_POLICY}

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def page(request: Request, template: str, status: int = 200, **said: object) -> HTMLResponse:
    """Every page knows who is signed in, if anybody is."""
    known = known_sign_in(request)
    context = {"me": known.actor if known else None, "csrf_token": known.csrf_token if known else ""} | said
    return HTMLResponse(_templates().get_template(template).render(context), status, HEADERS)


def go_to(path: str) -> RedirectResponse:
    """After a form: another page, asked for by GET."""
    return RedirectResponse(path, 303, HEADERS)


class PageRoute(APIRoute):
    """A failure is a page, and who is not signed in comes to where they can."""

    @override
    def get_route_handler(self) -> Handler:
        handler = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                return await handler(request)
            except NotSignedIn:
                return go_to(_sign_in_for(request))
            except Problem as problem:
                return page(request, "problem.html", problem.status, problem=problem)

        return answered


def pages() -> APIRouter:
    return APIRouter(route_class=PageRoute, include_in_schema=False)


def _sign_in_for(request: Request) -> str:
    """Back to what was asked for afterwards; a form that was sent is not sent again."""
    if request.method not in SAFE_METHODS or request.url.path == "/":
        return "/sign-in"
    query = f"?{request.url.query}" if request.url.query else ""
    return f"/sign-in?next={quote(request.url.path + query, safe='')}"


@cache
def _templates() -> Environment:
    loader = FileSystemLoader(Path(__file__).parent / "templates")
    templates = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    templates.globals["static_url"] = static_url
    templates.filters["minute"] = _minute
    templates.filters["sentence"] = lambda text: f"{text[:1].upper()}{text[1:]}."
    return templates


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
