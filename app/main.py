"""create_app(): settings → database → doors. The only module that sees everything."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import generate_latest
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp
from typing_extensions import override

from app import loops
from app.access.administration import api as administration_api
from app.access.api import may
from app.access.auditor import api as audit_api
from app.access.duties import Permission
from app.access.me import api as me_api
from app.access.openid.provider import Provider
from app.access.openid.registration import registration_of
from app.access.sign_ins import Limits
from app.agent_api import import_api
from app.agent_api.bodies import Budget
from app.agent_api.door import AgentDoor
from app.agent_api.routes import AgentsFirst
from app.analysis import api as coverage_api
from app.analysis.backtest import api as backtest_api
from app.analysis.drift import api as drift_api
from app.baselines import api as baselines_api
from app.baselines.exceptions import api as exceptions_api
from app.baselines.overrides import api as overrides_api
from app.baselines.reviews import api as reviews_api
from app.clock import utc_now
from app.collection.packs import PACKS_DIR, load_packs
from app.collection.questions import load_questions
from app.database import Database, DataError
from app.findings import api as findings_api
from app.findings.investigations import api as investigations_api
from app.findings.investigations.waiting import Desk
from app.findings.triage import api as triage_api
from app.fleet import api as fleet_api
from app.fleet.nodes import NodeKeys
from app.flows import api as flows_api
from app.observations import api as observations_api
from app.observations.intake import Intake
from app.observations.reduction import Reducer
from app.problems import InvalidRequest, NotSignedIn, Problem
from app.settings import Settings
from app.software import api as software_api
from app.tuning import api as tuning_api
from app.web.headers import SafeHeaders
from app.web.routes import router as pages

log = structlog.get_logger()


def create_app(settings: Settings, database_url: str) -> FastAPI:
    """One worker's application. Its tasks (intake, judging, keeping days) live as long as it serves."""
    database = Database(database_url)
    packs, questions = load_packs(PACKS_DIR), load_questions(PACKS_DIR)
    intake = Intake(
        database,
        queue_max_bytes=settings.intake_queue_max_bytes,
        known_sightings_max=settings.known_sightings_max,
    )
    door = AgentDoor(
        settings=settings,
        database=database,
        packs=packs,
        keys=NodeKeys(database, settings.node_key_cache_seconds),
        intake=intake,
        reducer=Reducer(frozenset(query.result_name for pack in packs for query in pack.queries)),
        budget=Budget(settings.intake_queue_max_bytes * 2),
        desk=Desk(database, utc_now),
        now=utc_now,
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await loops.keep_now(database, settings)
        beside = [intake.run(), *loops.keeping(database, settings)]
        if settings.analyse:
            beside += loops.judging(database, settings, packs, questions)
        async with loops.running(beside):
            yield
        await database.close()

    app = _Application(
        title="Portbook", version="1", lifespan=lifespan, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    app.state.database = database
    app.state.agent_door = door
    app.state.sign_in_limits = Limits(
        idle=timedelta(minutes=settings.sign_in_idle_minutes), in_all=timedelta(hours=settings.sign_in_hours)
    )
    registration = registration_of(settings)
    app.state.openid = Provider(registration) if registration else None
    app.state.questions = questions
    app.state.flow_door = flows_api.FlowDoor(settings, database, utc_now)
    _add_routes(app)
    _add_problems(app)
    return app


class _Application(AgentsFirst):
    """With SafeHeaders around all else: `add_middleware` leaves out what Starlette answers to unexpected failures."""

    @override
    def build_middleware_stack(self) -> ASGIApp:
        return SafeHeaders(super().build_middleware_stack())


_APIS = (
    me_api,
    administration_api,
    fleet_api,
    observations_api,
    findings_api,
    triage_api,
    reviews_api,
    baselines_api,
    exceptions_api,
    overrides_api,
    investigations_api,
    drift_api,
    coverage_api,
    tuning_api,
    software_api,
    flows_api,
    backtest_api,
    import_api,
    audit_api,
)


def _add_routes(app: FastAPI) -> None:
    for router in (*(module.router for module in _APIS), findings_api.fleet_router, reviews_api.reviews):
        app.include_router(router, prefix="/api/v1")
    app.include_router(pages)
    app.add_api_route("/healthz", _health, methods=["GET"], include_in_schema=False)
    app.add_api_route(
        "/metrics", _metrics, methods=["GET"], include_in_schema=False, dependencies=[may(Permission.READ)]
    )


async def _health(request: Request) -> dict[str, str]:
    """Whether this worker can reach its database; says nothing else to strangers."""
    async with request.app.state.database.reading() as session:
        await session.connection()
        return {"status": "ok"}


def _metrics() -> PlainTextResponse:
    return PlainTextResponse(generate_latest(), media_type="text/plain; version=0.0.4")


def _add_problems(app: FastAPI) -> None:
    """Every failure anywhere carries `error`: an agent that asks a wrong path must not take the answer for a yes."""

    async def business(_request: Request, problem: Exception) -> JSONResponse:
        assert isinstance(problem, Problem)
        return _problem(problem.status, problem.document())

    async def http(_request: Request, problem: Exception) -> JSONResponse:
        assert isinstance(problem, HTTPException)
        return _problem(
            problem.status_code, {"type": "about:blank", "title": problem.detail, "status": problem.status_code}
        )

    async def invalid(_request: Request, problem: Exception) -> JSONResponse:
        assert isinstance(problem, RequestValidationError)
        errors = [{"pointer": "/".join(map(str, each["loc"])), "detail": each["msg"]} for each in problem.errors()]
        detail = "; ".join(f"{each['pointer']}: {each['detail']}" for each in errors)
        document = {"type": "urn:portbook:problem:invalid-request", "title": "Invalid request", "status": 422}
        return _problem(422, document | {"detail": detail, "errors": errors})

    async def unstorable(_request: Request, problem: Exception) -> JSONResponse:
        """A number or text that no column can hold, so nothing can be equal to it."""
        assert isinstance(problem, DataError)
        return _problem(422, InvalidRequest("a value is too large, or holds a NUL").document())

    async def unexpected(_request: Request, problem: Exception) -> JSONResponse:
        log.error("request_failed", exc_info=problem)
        return _problem(500, {"type": "about:blank", "title": "Internal error", "status": 500})

    app.add_exception_handler(Problem, business)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(DataError, unstorable)
    app.add_exception_handler(Exception, unexpected)


def _problem(status: int, document: dict[str, Any]) -> JSONResponse:
    error = document.get("detail") or document["title"]
    headers = {"WWW-Authenticate": "Bearer"} if status == NotSignedIn.status else {}
    if "retry_after_seconds" in document:
        headers["Retry-After"] = str(document["retry_after_seconds"])
    return JSONResponse(document | {"error": error}, status, headers, media_type="application/problem+json")
