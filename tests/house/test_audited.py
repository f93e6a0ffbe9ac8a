"""Every action is explained and told somewhere, and every route that changes something tells one."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from types import FunctionType, ModuleType
from typing import Any

from fastapi.routing import iter_route_contexts

from app.access.audit.actions import Action
from app.access.audit.record import record
from app.fleet.api import list_nodes
from app.main import create_app
from app.settings import Settings
from tests.house.actions_page import PAGE, meanings, render
from tests.house.tree import parsed, short, sources

#: Actions whose doors are still to be built.
ANNOUNCED = {"OPERATOR_ADDED"}
#: Routes that change nothing, or whose changes are told by what they call in ways that reading does not find.
TOLD_OTHERWISE: dict[str, str] = {}


def test_the_table_of_actions_is_current() -> None:
    page = PAGE.read_text("utf-8")
    assert page == render(page), "run `make format`"


def test_every_action_says_what_it_means() -> None:
    assert {action.name for action in Action} - meanings().keys() == set()


def test_every_action_is_told_somewhere() -> None:
    named = {
        node.attr
        for path in sources("app")
        if short(path) != "app/access/audit/actions.py"
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Action"
    }
    assert {action.name for action in Action} - named <= ANNOUNCED


def test_every_route_that_changes_something_tells_the_audit_log() -> None:
    routes = {f"{min(methods)} {path}": endpoint for path, methods, endpoint in changing_routes()}
    assert routes
    silent = {name for name, endpoint in routes.items() if not leads_to(endpoint, record)}
    assert sorted(silent - TOLD_OTHERWISE.keys()) == []
    assert TOLD_OTHERWISE.keys() <= silent


def test_a_route_that_only_reads_is_seen_to_tell_nothing() -> None:
    assert not leads_to(list_nodes, record)


def changing_routes() -> Iterator[tuple[str, set[str], Callable[..., Any]]]:
    """Without osquery's own, whose agents are the subject of the ledger and not its writers."""
    for route in iter_route_contexts(create_app(Settings(), "postgresql+psycopg://nowhere/none").routes):
        methods = set(route.methods or ()) - {"GET", "HEAD", "OPTIONS"}
        if methods and not str(route.path).startswith("/api/v1/osquery"):
            assert route.endpoint
            yield str(route.path), methods, route.endpoint


def leads_to(start: Callable[..., Any], wanted: Callable[..., Any]) -> bool:
    """Whether what a function of ours names in its body leads there: by functions, classes, and names in modules."""
    seen: set[Any] = set()
    waiting: list[Any] = [start]
    while waiting:
        at = inspect.unwrap(waiting.pop())
        if at is wanted:
            return True
        if at not in seen and getattr(at, "__module__", "").startswith("app."):
            seen.add(at)
            waiting += _named(at)
    return False


def _named(at: Any) -> Iterator[Any]:
    if inspect.isclass(at):
        yield from (each for each in vars(at).values() if isinstance(each, FunctionType))
        return
    if not isinstance(at, FunctionType):
        return
    for node in _body(at):
        if isinstance(node, ast.Name):
            yield from _ours(at.__globals__.get(node.id))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner = at.__globals__.get(node.value.id)
            if isinstance(owner, ModuleType):
                yield from _ours(getattr(owner, node.attr, None))


def _body(function: FunctionType) -> Iterator[ast.AST]:
    """Nothing of what a dataclass makes for itself, which has no source."""
    if function.__code__.co_filename.endswith(".py"):
        (parsed_function,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
        assert isinstance(parsed_function, ast.FunctionDef | ast.AsyncFunctionDef)
        for line in parsed_function.body:
            yield from ast.walk(line)


def _ours(found: Any) -> Iterator[Any]:
    if isinstance(found, FunctionType) or inspect.isclass(found):
        yield found
