"""The simulated agents answer the shipped questions by running them, and tell what they told before."""

from datetime import UTC, datetime

import pytest

from app.collection.questions import load_questions
from app.simulator.nodes import Node
from app.simulator.plants import Plant, seen_now
from app.simulator.processes import Day
from app.simulator.replies import replies
from app.simulator.scenario import scenario

DEMO = scenario("demo")
*_, TODAY = DEMO.days_until(datetime(2026, 11, 21, 12, tzinfo=UTC))
QUESTIONS = {question.name: question for question in load_questions()}


def node_of(plant: Plant) -> Node:
    return next(node for node in DEMO.fleet if node.identity.hostname == plant.node)


def told(plant: Plant, day: Day = TODAY) -> dict[str, list[dict[str, str]]]:
    """Rows by question, of the node of a plant, asked about the planted process."""
    node = node_of(plant)
    process, *_ = seen_now(plant, node, day)
    values = {"pid": process.pid, "path": process.path, "unit": process.program.label or None}
    asked = {
        name: question.bound(values) for name, question in QUESTIONS.items() if question.serves(node.identity.platform)
    }
    answered = replies(node, day, DEMO.plants_on(node), asked)
    assert set(answered["statuses"].values()) == {0}, answered["messages"]
    return answered["queries"]


@pytest.mark.parametrize("plant", DEMO.plants, ids=lambda plant: plant.name)
def test_every_planted_process_is_found_with_its_file_and_its_sockets(plant: Plant) -> None:
    rows = told(plant)
    process, links, ports = seen_now(plant, node_of(plant), TODAY)
    tree = {int(row["depth"]): row for row in rows["process_tree"]}
    assert (tree[0]["pid"], tree[0]["path"]) == (str(process.pid), process.path)
    if process.parent_pid:
        assert (tree[-1]["pid"], tree[-1]["path"]) == (str(process.parent_pid), process.parent_path)
    assert [len(row["sha256"]) for row in rows["file_hash"]] == [64]
    assert len(rows.get("authenticode", rows.get("signature", []))) == 1
    shown = {(row["local_port"], row["remote_port"]) for row in rows["sockets_now"]}
    assert {(str(link.here[1]), str(link.there[1])) for link in links} <= shown
    assert {(str(bound.port), "0") for bound in ports} <= shown
    assert {str(bound.port) for bound in ports} <= {row["local_port"] for row in rows["listening_ports"]}


def test_a_planted_daemon_has_its_launchd_job() -> None:
    plant = next(each for each in DEMO.plants if each.name == "unsigned-daemon")
    (job,) = told(plant)["launchd_job"]
    assert job["plist_path"].endswith(f"{job['label']}.plist")


def test_a_shared_svchost_tells_its_services() -> None:
    plant = next(each for each in DEMO.plants if each.name == "svchost-high-port")
    assert {row["status"] for row in told(plant)["service"]} == {"RUNNING"}


def test_a_query_that_fails_is_answered_with_its_error() -> None:
    node = DEMO.fleet[0]
    asked = {"bad": "SELECT nope", "evil": "DELETE FROM processes", "good": "SELECT 1 AS one, NULL AS two"}
    answered = replies(node, TODAY, (), asked)
    assert answered["statuses"] == {"bad": 1, "evil": 1, "good": 0}
    assert answered["messages"]["bad"] == "no such column: nope"
    assert answered["queries"] == {"bad": [], "evil": [], "good": [{"one": "1", "two": ""}]}
