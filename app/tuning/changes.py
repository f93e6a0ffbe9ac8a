"""Changes the knobs: one or several scopes at once, all or none, each with who, why and what was tried before."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.access.actor import Actor
from app.access.audit.actions import Action
from app.access.audit.deed import Deed
from app.access.audit.record import record
from app.database import Database, ReadSession, WriteSession
from app.detection.knob_rules import is_line
from app.detection.knobs import KnobsProblem
from app.detection.scopes import Document, KnobsByScope, Scope, canonical, document_sha256, scope_from
from app.fleet.store import list_roles
from app.problems import Conflict, InvalidRequest, NotFound, Problem
from app.tuning import store
from app.tuning.models import KnobVersion

TEXT_MAX = 1_000  #: characters of a reason


class NotBacktested(Problem):
    status = 409
    title = "Not backtested"


@dataclass(frozen=True, slots=True)
class Why:
    """Who changes knobs and for what reason; `forced_reason` where no backtest is waited for."""

    actor: Actor
    reason: str
    backtest_id: UUID | None = None
    forced_reason: str | None = None
    on_behalf_of: str | None = None

    @property
    def by(self) -> str:
        return self.actor.name if self.on_behalf_of is None else self.on_behalf_of

    def check(self) -> None:
        """Raises: InvalidRequest, naming the field."""
        for name, text in (("by", self.by), ("reason", self.reason), ("forced_reason", self.forced_reason)):
            if text is not None and not is_line(text, TEXT_MAX):
                raise InvalidRequest(f"{name} must be one visible line of at most {TEXT_MAX} characters", field=name)
        if self.backtest_id and self.forced_reason is not None:
            raise InvalidRequest("give a backtest, or the reason for doing without one, not both", field="backtest_id")


async def change(
    database: Database, wanted: Mapping[Scope, Mapping[str, object]], why: Why, now: datetime, *, replaces: int | None
) -> list[KnobVersion]:
    """Put documents in force, each in the place of its scope's whole. Scopes that have just that already stay.

    `replaces`: the version that must be in force in the scope, 0 for none; None for whichever is when this is called.

    Raises: InvalidRequest, NotBacktested, Conflict when somebody else was faster.
    """
    why.check()
    documents = {scope: checked(document, scope) for scope, document in wanted.items()}
    async with database.writing() as session:
        seen = _numbers(await store.in_force(session))
        await store.hold_changes(session)
        there = {scope_from(each.scope): each for each in await store.in_force(session)}
        for scope in documents:
            expected = seen.get(str(scope), 0) if replaces is None else replaces
            _same(expected, there[scope].version if scope in there else 0, scope)
        await check_roles(session, documents)
        _fit(documents, there)
        return [
            await _put(session, scope, document, why, now=now, current=there.get(scope))
            for scope, document in documents.items()
            if _differs(document, there.get(scope))
        ]


async def change_one(
    database: Database, scope: Scope, document: Mapping[str, object], why: Why, now: datetime, *, replaces: int | None
) -> KnobVersion:
    """Raises: what `change` does, and Conflict when just that is in force already."""
    made = await change(database, {scope: document}, why, now, replaces=replaces)
    if not made:
        raise Conflict(f"just these settings are in force for {scope} already", field="document")
    return made[0]


async def revert(database: Database, version: int, why: Why, now: datetime) -> KnobVersion:
    """Make what an earlier version said the newest of its scope.

    Raises: NotFound, and what `change_one` does.
    """
    async with database.reading() as session:
        earlier = await found_version(session, version)
    return await change_one(database, scope_from(earlier.scope), earlier.document, why, now, replaces=None)


async def move(session: WriteSession, old: str, new: str, why: Why, now: datetime) -> list[KnobVersion]:
    """What is in force for one role goes on for another, and no longer for the first. Hold the changes before."""
    there = {scope_from(each.scope): each for each in await store.in_force(session)}
    moved = []
    for scope, current in there.items():
        if scope.role == old and current.document:
            to = Scope(scope.platform, new)
            moved.append(await _put(session, to, current.document, why, now=now, current=there.get(to)))
            await _put(session, scope, {}, why, now=now, current=current)
    return moved


async def found_version(session: ReadSession, version: int) -> KnobVersion:
    """Raises: NotFound."""
    found = await store.find_version(session, version)
    if found is None:
        raise NotFound(f"no version {version} of the knobs")
    return found


def checked(document: Mapping[str, object], scope: Scope) -> Document:
    """The canonical document. Raises: InvalidRequest, naming the field."""
    try:
        return canonical(document)
    except KnobsProblem as problem:
        raise _invalid(problem, f"{scope}: {problem}") from None


def _invalid(problem: KnobsProblem, detail: str) -> InvalidRequest:
    return InvalidRequest(detail, field="document", errors=[{"pointer": problem.pointer, "detail": str(problem)}])


def _numbers(versions: Sequence[KnobVersion]) -> dict[str, int]:
    return {each.scope: each.version for each in versions}


def _same(expected: int, current: int, scope: Scope) -> None:
    if expected != current:
        says = f"version {current} is" if current else "nothing is"
        raise Conflict(
            f"somebody else was faster: {says} in force for {scope} now; look at it and decide anew",
            field="replaces",
            in_force=current,
        )


async def check_roles(session: ReadSession | WriteSession, scopes: Iterable[Scope]) -> None:
    """A mistyped role would be a change that never takes effect. Raises: InvalidRequest."""
    roles = set((await list_roles(session)).values())
    for scope in scopes:
        if scope.role and scope.role not in roles:
            known = ", ".join(sorted(roles)[:20]) or "none yet"
            raise InvalidRequest(f"{scope}: no node has the role {scope.role!r}; known: {known}", field="scope")


def _fit(documents: Mapping[Scope, Document], there: Mapping[Scope, KnobVersion]) -> None:
    """What would be in force must make sense for every role and platform. Raises: InvalidRequest."""
    try:
        KnobsByScope({scope: each.document for scope, each in there.items()} | dict(documents)).check()
    except KnobsProblem as problem:
        raise _invalid(problem, str(problem)) from None


def _differs(document: Document, current: KnobVersion | None) -> bool:
    return document_sha256(document) != (current.document_sha256 if current else document_sha256({}))


async def _put(
    session: WriteSession, scope: Scope, document: Document, why: Why, *, now: datetime, current: KnobVersion | None
) -> KnobVersion:
    at = max(now, current.created_at) if current else now
    backtest = await _tried(session, scope, document_sha256(document), why)
    if current:
        await store.supersede(session, current.version, at)
    version = KnobVersion(
        scope=str(scope),
        document=document,
        document_sha256=document_sha256(document),
        created_at=at,
        created_by=why.by,
        reason=why.reason,
        backtest_id=backtest,
        forced_reason=why.forced_reason,
    )
    await store.insert_version(session, version)
    record(session, why.actor, _deed(version, current))
    return version


def _deed(version: KnobVersion, before: KnobVersion | None) -> Deed:
    forced = f"; forced: {version.forced_reason}" if version.forced_reason else ""
    return Deed(
        Action.KNOBS_CHANGED,
        "knobs",
        version.scope,
        str(version.version),
        before.document_sha256 if before else None,
        version.document_sha256,
        reason=f"{version.created_by}: {version.reason}{forced}",
    )


async def _tried(session: WriteSession, scope: Scope, sha256: bytes, why: Why) -> UUID | None:
    """The backtest of exactly these settings; None where they are forced. Raises: NotBacktested."""
    if why.forced_reason is not None:
        return None
    found = await store.find_backtest(session, sha256, str(scope), why.backtest_id)
    if found is None:
        which = f"backtest {why.backtest_id} is none" if why.backtest_id else "there is no finished backtest"
        raise NotBacktested(
            f"{which} of exactly these settings for {scope}; run one, or force the change and say why",
            scope=str(scope),
            candidate_sha256=sha256.hex(),
        )
    return found
