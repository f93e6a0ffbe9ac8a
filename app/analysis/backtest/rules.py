"""Which knobs judge which node: those in force, and the same with a candidate in the place of what one scope sets."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.analysis.backtest.document import Setting
from app.database import ReadSession
from app.detection.knob_changes import changes
from app.detection.knobs import Knobs, KnobsProblem
from app.detection.scopes import Document, KnobsByScope, Scope, as_document, scope_from, scopes_of
from app.problems import InvalidRequest
from app.tuning import store
from app.tuning.changes import check_roles, checked
from app.tuning.models import KnobVersion


class Candidate:
    """A document for one scope, beside all that is in force. The same knobs are always the same object."""

    def __init__(self, versions: Sequence[KnobVersion], document: Mapping[str, Any], scope: Scope) -> None:
        """Raises: InvalidRequest, naming the field, when it is none or contradicts what other scopes set."""
        self.document = checked(document, scope)
        self.scope = scope
        in_force = {scope_from(each.scope): each.document for each in versions}
        self._versions = {scope_from(each.scope): each.version for each in versions}
        self._current = KnobsByScope(in_force)
        self._candidate = KnobsByScope({**in_force, scope: self.document})
        self._defaults = Knobs()
        try:
            self._candidate.check()
        except KnobsProblem as problem:
            raise InvalidRequest(str(problem), field="document") from None

    def covers(self, role: str, platform: str) -> bool:
        return self.scope in scopes_of(role, platform)

    def current(self, role: str, platform: str) -> Knobs:
        """The defaults where the settings in force are of no use, as the worker does."""
        try:
            return self._current.of(role, platform)
        except KnobsProblem:
            return self._defaults

    def candidate(self, role: str, platform: str) -> Knobs:
        return self._candidate.of(role, platform)

    def version(self, role: str, platform: str) -> int:
        """Of the knobs in force, as findings name it."""
        return max((self._versions.get(scope, 0) for scope in scopes_of(role, platform)), default=0)

    def changed(self) -> list[Setting]:
        """The knobs that differ for the nodes of the scope."""
        scope = self.scope
        before, after = self._of(scope, self.current), self._of(scope, self._candidate.of)
        return [Setting(each.field, each.before, each.after) for each in changes(before, after)]

    @staticmethod
    def _of(scope: Scope, rules: Callable[[str, str], Knobs]) -> Document:
        return as_document(rules(scope.role, scope.platform))


async def candidate_of(session: ReadSession, document: Mapping[str, Any], scope: Scope) -> Candidate:
    """Raises: InvalidRequest."""
    await check_roles(session, [scope])
    return Candidate(await store.in_force(session), document, scope)


def scope_of(text: str) -> Scope:
    """Raises: InvalidRequest."""
    try:
        return scope_from(text)
    except KnobsProblem as problem:
        raise InvalidRequest(str(problem), field="scope") from None
