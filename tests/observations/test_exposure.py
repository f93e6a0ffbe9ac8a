"""What a batch says of a listener is judged by the row that others can reach."""

import pytest

from app.observations.reduction import Clock, Reducer
from app.osquery.protocol import Columns, ResultLine

NOW = 1_790_000_000.0
CLOCK = Clock(NOW, NOW - 86400, NOW + 86400)


def a_listener(bind_scope: str) -> ResultLine:
    columns = Columns(proc_path="/usr/local/bin/helper", protocol="6", local_port="1244", bind_scope=bind_scope)
    return ResultLine(name="pack/macos_network/listening", unixTime=int(NOW), action="added", columns=columns)


@pytest.mark.parametrize("scopes", [("loopback", "any"), ("any", "loopback"), ("loopback", "specific", "loopback")])
def test_a_loopback_row_never_hides_one_that_others_can_reach(scopes: tuple[str, ...]) -> None:
    reduced = Reducer(frozenset()).reduce([a_listener(scope) for scope in scopes], "macos", CLOCK)
    [[(_, line, _, _)]] = [list(sighted.values()) for sighted in reduced.sightings.values()]
    assert scopes[line] != "loopback"
