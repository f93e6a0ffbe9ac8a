"""The pages to sign in and out."""

from fastapi import Request, Response

from app.access import by_password, sign_ins
from app.access.actor import AuthMethod
from app.access.api import COOKIE, InPerson, drop_cookie, set_cookie, source_ip
from app.access.operators import actor_of
from app.access.same_origin import is_from_elsewhere
from app.clock import utc_now
from app.problems import Forbidden, NotSignedIn, TooManyAttempts
from app.request_body import read_form
from app.web.next_path import local_path
from app.web.openid import provider_host
from app.web.page import go_to, page, pages

router = pages()


@router.get("/sign-in")
async def get_sign_in(request: Request) -> Response:
    """Whoever is signed in already goes on."""
    following = local_path(request.query_params.get("next", ""))
    state, cookie = request.app.state, request.cookies.get(COOKIE)
    if cookie and await sign_ins.find(state.database, cookie, state.sign_in_limits, utc_now()):
        return go_to(following)
    return _form(request, following)


@router.post("/sign-in")
async def post_sign_in(request: Request) -> Response:
    if is_from_elsewhere(request.headers):
        raise Forbidden("this form comes from another site")
    form = await read_form(request)
    following = local_path(form.get("next", ""))
    claim = by_password.Claim(form.get("name", ""), form.get("password", ""), source_ip(request))
    database = request.app.state.database
    try:
        operator, begun = await by_password.sign_in(database, claim, utc_now())
    except (NotSignedIn, TooManyAttempts) as problem:
        return _again(request, problem, following, claim.name)
    if before := request.cookies.get(COOKIE):
        await sign_ins.end(database, before, actor_of(operator, AuthMethod.PASSWORD))
    answer = go_to(following)
    set_cookie(answer, begun.token)
    return answer


@router.post("/sign-out")
async def post_sign_out(request: Request, actor: InPerson) -> Response:
    await sign_ins.end(request.app.state.database, request.cookies[COOKIE], actor)
    answer = go_to("/sign-in")
    drop_cookie(answer)
    return answer


def _form(request: Request, following: str, status: int = 200, *, name: str = "", fault: str | None = None) -> Response:
    said = {"next": following, "name": name, "fault": fault, "provider": provider_host(request)}
    return page(request, "sign_in.html", status, **said)


def _again(request: Request, problem: NotSignedIn | TooManyAttempts, following: str, name: str) -> Response:
    """The form with what was wrong; 401 would ask the browser for a way of signing in that we do not have."""
    status = problem.status if isinstance(problem, TooManyAttempts) else 422
    answer = _form(request, following, status, name=name[:127], fault=problem.detail)
    if "retry_after_seconds" in problem.extra:
        answer.headers["Retry-After"] = str(problem.extra["retry_after_seconds"])
    return answer
