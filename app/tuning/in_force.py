"""The knobs that are in force for a role and platform, as the worker and readers take them from the store."""

from collections.abc import Sequence

import structlog

from app.database import ReadSession
from app.detection.knobs import Knobs, KnobsProblem
from app.detection.scopes import KnobsByScope, Origin, Scope, as_document, origins, scope_from, scopes_of
from app.tuning import store
from app.tuning.models import KnobVersion

log = structlog.get_logger()


class KnobsInForce:
    """Looks at each `refresh` whether there is a newer version, and reads the documents only then."""

    def __init__(self, defaults: Knobs | None = None) -> None:
        self._defaults = defaults or Knobs()
        self._newest = 0
        self._take(())

    async def refresh(self, session: ReadSession) -> None:
        newest = await store.newest_version(session)
        if newest != self._newest:
            self._take(await store.in_force_at(session, newest))
            self._newest = newest

    def of(self, role: str, platform: str) -> tuple[Knobs, int]:
        """The knobs and the newest version that went into them; 0 where only defaults did.

        Settings that an older Portbook took and this one does not are said in the log, and do not stop the judging.
        """
        setting = self._knobs.setting(role, platform)
        if setting in self._unusable:
            return self._defaults, 0
        try:
            return self._knobs.of(role, platform), max((self._versions[scope] for scope in setting), default=0)
        except KnobsProblem as problem:
            log.error("knobs_unusable_defaults_taken", role=role, platform=platform, problem=str(problem))  # noqa: TRY400
            self._unusable.add(setting)
            return self._defaults, 0

    def _take(self, versions: Sequence[KnobVersion]) -> None:
        by_scope = {scope_from(each.scope): each for each in versions}
        self._versions = {scope: each.version for scope, each in by_scope.items()}
        self._knobs = KnobsByScope({scope: each.document for scope, each in by_scope.items()}, self._defaults)
        self._unusable: set[tuple[Scope, ...]] = set()


def applying(versions: Sequence[KnobVersion], role: str, platform: str) -> list[KnobVersion]:
    """Those of the versions in force that concern a role and platform, the widest scope first."""
    by_scope = {scope_from(each.scope): each for each in versions}
    return [by_scope[scope] for scope in scopes_of(role, platform) if scope in by_scope]


def origins_of(versions: Sequence[KnobVersion]) -> list[tuple[Origin, int | None]]:
    """Every value that `applying` versions make, with the scope and version that it comes from."""
    by_scope = {scope_from(each.scope): each for each in versions}
    found = origins([(None, as_document(Knobs())), *((scope, each.document) for scope, each in by_scope.items())])
    return [(each, by_scope[each.scope].version if each.scope else None) for each in found]
