"""The first page: who you are, what you may, your sign-ins, and your password."""

from fastapi import Request, Response

from app.access import by_password, operators, sign_ins
from app.access.actor import Actor
from app.access.api import InPerson, known_sign_in, set_cookie
from app.access.duties import DUTIES, MEANINGS
from app.clock import utc_now
from app.problems import InvalidRequest, Problem, TooManyAttempts
from app.request_body import read_form
from app.web.page import go_to, page, pages

router = pages()

#: What a page may be asked to say, by a word in its address: nobody can make it say anything else.
NOTICES = {"password-changed": "Your password is changed. All other sign-ins have ended."}


@router.get("/")
async def get_account(request: Request, actor: InPerson) -> Response:
    return await _account(request, actor, notice=NOTICES.get(request.query_params.get("done", "")))


@router.post("/password")
async def post_password(request: Request, actor: InPerson) -> Response:
    form = await read_form(request)
    old, new = form.get("old", ""), form.get("new", "")
    if new != form.get("again", ""):
        return await _account(request, actor, problem=InvalidRequest("the two are not the same", field="again"))
    try:
        begun = await by_password.change_own(request.app.state.database, actor, old, new, utc_now())
    except (InvalidRequest, TooManyAttempts) as problem:
        return await _account(request, actor, problem=problem)
    answer = go_to("/?done=password-changed")
    set_cookie(answer, begun.token)
    return answer


async def _account(
    request: Request, actor: Actor, *, notice: str | None = None, problem: Problem | None = None
) -> Response:
    database, now, known = request.app.state.database, utc_now(), known_sign_in(request)
    me = await operators.find(database, actor.name, now)
    async with database.reading() as session:
        lasting = await sign_ins.of_operator(session, me.operator.operator_id, request.app.state.sign_in_limits, now)
    return page(
        request,
        "account.html",
        problem.status if problem else 200,
        operator=me.operator,
        roles=me.roles,
        duties=[(duty, DUTIES[duty]) for duty in DUTIES if duty in actor.duties],
        permissions=[words for permission, words in MEANINGS.items() if permission in actor.permissions],
        sign_ins=lasting,
        current=known.sign_in.sign_in_id if known else None,
        notice=notice,
        faults={str(problem.extra.get("field", "old")): problem.detail} if problem else {},
    )
