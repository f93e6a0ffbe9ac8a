"""The acceptance scenarios: each a row in a small fleet, judged by the rules that judge everything else.

`expected` is the least verdict for malicious rows (W, M) and the gravest for benign ones (X, N).
"""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.detection.addresses import PeerScope
from app.detection.behaviour import Platform, Transport
from app.detection.context import Context, Signer, Trust
from app.detection.deviation import Severity
from app.detection.flow_facts import FlowFacts
from app.detection.judgement import judge
from app.detection.knobs import Knobs
from app.detection.surroundings import Surroundings
from tests.detection.fleets import FLEETS, history_of, shown

SCENARIOS = json.loads(Path(__file__).with_name("scenarios.json").read_text("utf-8"))
FROM_LEAST = [Severity.NONE, Severity.LOW, Severity.MEDIUM, Severity.HIGH]

#: Where a scenario says in words on which host it plays.
ROLES = {"X05": "collector", "X15": "developer", "X23": "cloud", "N16": "build", "W26": "office"}


def fleet_of(scenario: dict[str, Any]) -> str:
    if scenario["baseline"].startswith("5 hosts"):
        return "five"
    return "windows" if scenario["platform"] == "windows" else "macs"


def role_of(scenario: dict[str, Any]) -> str:
    return ROLES.get(scenario["id"], "workstation" if scenario["platform"] == "windows" else "laptop")


def unit_of(scenario: dict[str, Any]) -> str:
    """The service that a scenario names in parentheses, or a label that looks like one of launchd's."""
    named = re.search(r"\((?:-k )?(\w+)", scenario["process"])
    if named:
        return named[1]
    return scenario["process"] if scenario["process"].startswith("com.apple.") else ""


def signer_of(scenario: dict[str, Any]) -> Signer:
    if scenario["signer"] == "unsigned":
        return Signer(Trust.UNSIGNED)
    return Signer(Trust.TRUSTED, scenario["signer"].removesuffix(" (Apple)"))


def context_of(scenario: dict[str, Any], node: str) -> Context:
    scopes = {"public": PeerScope.PUBLIC, "private": PeerScope.PRIVATE, "168.63.129.16": PeerScope.PUBLIC}
    context = Context(
        node=node,
        path=scenario["path"],
        parent=scenario["parent"],
        user=scenario["user"],
        signer=signer_of(scenario),
    )
    if scenario["direction"] == "out":
        return replace(context, peer_scope=scopes[scenario["remote_scope"]])
    return replace(context, bind_scope=scenario["remote_scope"])


def way_and_port(scenario: dict[str, Any]) -> tuple[str, int]:
    """Windows shows of a UDP client no more than its own port."""
    if scenario["platform"] == "windows" and (scenario["proto"], scenario["direction"]) == ("udp", "out"):
        return "listen udp", 50_010
    return f"{scenario['direction']} {scenario['proto']}", scenario["port"]


def flows_of(scenario: dict[str, Any], port: int) -> tuple[FlowFacts, ...]:
    """What a sensor saw, where a scenario says so: data both ways in which it knew no protocol."""
    if "Zeek service empty" not in scenario["baseline"]:
        return ()
    seen = frozenset({"tls", "http", "ssh", "violations"})
    counts = {"packets_out": 40, "packets_in": 44, "bytes_out": 12_000, "bytes_in": 15_000}
    return (
        FlowFacts(
            tool="zeek",
            sensor="dmz-1",
            flow_id="CwSLisOv4lXMZlXd3",
            transport=Transport(scenario["proto"]),
            port=port,
            joined_by="Community ID",
            skew_seconds=0.0,
            is_firm=True,
            sees=seen,
            **counts,
        ),
    )


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[each["id"] for each in SCENARIOS])
def test_a_scenario_gets_its_verdict(scenario: dict[str, Any]) -> None:
    name, role = fleet_of(scenario), role_of(scenario)
    way, port = way_and_port(scenario)
    behaviour = shown(Platform(FLEETS[name].platform), scenario["path"], way, port, unit_of(scenario))
    node = FLEETS[name].node_of(role)
    standing = history_of(name).standing(node, role, None, behaviour)
    deviation = judge(
        behaviour, context_of(scenario, node), standing, Knobs(), Surroundings(flows=flows_of(scenario, port))
    )
    found, expected = (FROM_LEAST.index(Severity(each)) for each in (deviation.severity, scenario["expected"]))
    says = [f"{each.points:+g} {each.text}" for each in deviation.evidence]
    assert (found >= expected) if scenario["id"][0] in "WM" else (found <= expected), says
