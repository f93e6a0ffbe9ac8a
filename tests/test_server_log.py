import json
from collections.abc import Iterator

import pytest
import structlog

from app.server_log import configure_log


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def test_it_writes_a_json_object_a_line_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    configure_log(as_json=True)
    structlog.get_logger().info("node_enrolled", node_id=7, node_key="k3y", enroll_secret="s3cret", token="t0ken")
    written = capsys.readouterr().err
    line = json.loads(written)
    assert (line["event"], line["node_id"], line["level"]) == ("node_enrolled", 7, "info")
    assert not {"k3y", "s3cret", "t0ken"} & set(written.split('"'))


@pytest.mark.parametrize("as_json", [True, False])
def test_a_failure_shows_its_place_and_no_local_variables(capsys: pytest.CaptureFixture[str], *, as_json: bool) -> None:
    configure_log(as_json=as_json)
    sent_by_agent = f"node key of LT-{33:04}"
    try:
        int(sent_by_agent[:0])
    except ValueError:
        structlog.get_logger().exception("agent_request_failed")
    written = capsys.readouterr().err
    assert "test_server_log.py" in written
    assert sent_by_agent not in written


def test_it_is_json_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    configure_log()
    structlog.get_logger().warning("day_dropped")
    assert json.loads(capsys.readouterr().err)["event"] == "day_dropped"
