"""To the OpenID Connect provider and back. A link leads there: a form could not, for ours are sent to us only."""

from fastapi import Request, Response

from app.access import sign_ins
from app.access.api import COOKIE, set_cookie, source_ip
from app.access.openid.attempts import LIFE
from app.access.openid.provider import Provider
from app.access.openid.registration import CALLBACK, START
from app.access.openid.sign_in import Arrival, arrive, depart
from app.clock import utc_now
from app.problems import NotFound
from app.web.next_path import local_path
from app.web.page import go_to, pages

router = pages()

#: Lax, for it must come with the browser when another site sends that back to us.
STATE_COOKIE = "__Host-portbook-openid"


@router.get(START)
async def get_openid(request: Request) -> Response:
    following = local_path(request.query_params.get("next", ""))
    departure = await depart(request.app.state.database, _provider(request), following, utc_now())
    answer = go_to(departure.address)
    answer.set_cookie(
        STATE_COOKIE, departure.state, max_age=LIFE.seconds, secure=True, httponly=True, samesite="lax", path="/"
    )
    return answer


@router.get(CALLBACK)
async def get_callback(request: Request) -> Response:
    """The sign-in that the browser had before ends."""
    database = request.app.state.database
    arrived = await arrive(database, _provider(request), _arrival(request), utc_now())
    if before := request.cookies.get(COOKIE):
        await sign_ins.end(database, before, arrived.actor)
    answer = go_to(arrived.next_path)
    set_cookie(answer, arrived.begun.token)
    answer.delete_cookie(STATE_COOKIE, secure=True, httponly=True, samesite="lax", path="/")
    return answer


def provider_host(request: Request) -> str | None:
    """As a page names the provider; None where there is none."""
    provider: Provider | None = request.app.state.openid
    return provider.host if provider else None


def _arrival(request: Request) -> Arrival:
    said = request.query_params
    return Arrival(
        state=said.get("state", ""),
        code=said.get("code", ""),
        error=said.get("error", ""),
        issuer=said.get("iss"),
        cookie=request.cookies.get(STATE_COOKIE, ""),
        source_ip=source_ip(request),
    )


def _provider(request: Request) -> Provider:
    provider: Provider | None = request.app.state.openid
    if provider is None:
        raise NotFound("sign-in with OpenID Connect is not set up here")
    return provider
