"""The knobs over HTTP: what is in force and why, versions, differences, changes, and ATT&CK's own words."""

import json
from typing import Any

import httpx
import pytest

from app.database import Database
from app.request_body import BODY_MAX_BYTES
from tests.factories import Server, a_node

VERSIONS = "/api/v1/knobs/versions"
NOVELTY = {"Weights": {"novelty": 40}}


def a_change(**given: Any) -> dict[str, Any]:
    return {"scope": "every", "document": NOVELTY, "reason": "Too loud", "forced_reason": "Now"} | given


async def post(server: Server, status: int = 201, path: str = VERSIONS, **given: Any) -> dict[str, Any]:
    answer = await server.api.post(path, json=a_change(**given) if path == VERSIONS else given)
    assert answer.status_code == status, answer.text
    found = answer.json()
    assert isinstance(found, dict)
    return found


async def get(server: Server, path: str, **params: Any) -> Any:
    answer = await server.api.get(f"/api/v1/{path}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.usefixtures("fresh")
async def test_a_change_is_named_after_the_token_that_made_it(server: Server) -> None:
    made = await post(server)
    assert made["created_by"].startswith("operator-")
    assert (made["scope"], made["document"], made["superseded_at"]) == ("every", {"Weights": {"novelty": 40.0}}, None)
    assert await get(server, f"knobs/versions/{made['version']}") == made


@pytest.mark.usefixtures("fresh")
async def test_every_value_in_force_says_where_it_comes_from(server: Server) -> None:
    await a_node(server, role="kiosk", platform="macos")
    wide = await post(server)
    narrow = await post(server, scope="role.kiosk.macos", document={"ProcessAllowList": ["/opt/a"]})
    found = await get(server, "knobs", role="kiosk", platform="macos")
    values = {each["field"]: each for each in found["values"]}
    assert found["version"] == narrow["version"]
    assert values["Weights.novelty"] == {
        "field": "Weights.novelty",
        "value": 40.0,
        "scope": "every",
        "version": wide["version"],
    }
    assert (values["ProcessAllowList"]["value"], values["ProcessAllowList"]["scope"]) == (
        ["/opt/a"],
        "role.kiosk.macos",
    )
    assert [(each["version"], each["forced_reason"]) for each in found["versions"]] == [
        (wide["version"], "Now"),
        (narrow["version"], "Now"),
    ]
    assert (values["Weights.rarity"]["scope"], values["Weights.rarity"]["version"]) == ("default", None)
    assert (await get(server, "knobs", role="other", platform="macos"))["version"] == wide["version"]


@pytest.mark.usefixtures("fresh")
async def test_what_was_in_force_can_be_asked_for_later(server: Server) -> None:
    first = await post(server)
    await post(server, document={"Weights": {"novelty": 41}})
    found = await get(server, "knobs", platform="windows", version=first["version"])
    assert found["version"] == first["version"]
    assert {each["field"]: each["value"] for each in found["values"]}["Weights.novelty"] == 40.0
    unknown = await server.api.get("/api/v1/knobs", params={"platform": "windows", "version": 999_999})
    assert unknown.status_code == 404


@pytest.mark.usefixtures("fresh")
async def test_pages_show_every_version_once(server: Server) -> None:
    made = [(await post(server, document={"Weights": {"novelty": value}}))["version"] for value in range(5)]
    shown, params = [], {"limit": 2}
    for _ in made:
        page = await get(server, "knobs/versions", **params)
        shown += [each["version"] for each in page["items"]]
        if page["next"] is None:
            break
        params["cursor"] = page["next"]
    assert shown == made[::-1]
    assert [each["version"] for each in (await get(server, "knobs/versions", in_force=True))["items"]] == made[-1:]
    assert (await get(server, "knobs/versions", scope="platform.macos"))["items"] == []
    assert (await get(server, "knobs/versions", forced=False))["items"] == []


@pytest.mark.usefixtures("fresh")
async def test_two_versions_are_compared_in_data_and_in_words(server: Server) -> None:
    first = await post(server)
    second = await post(server, document={"Weights": {"novelty": 41}})
    assert await get(server, "knobs/diff", before=first["version"], after=second["version"]) == [
        {"field": "Weights.novelty", "before": 40.0, "after": 41.0, "words": "Weights.novelty goes from 40 to 41"}
    ]
    [change] = await get(server, "knobs/diff", before=0, after=first["version"])
    assert change["words"] == "Weights.novelty is set to 40"


@pytest.mark.usefixtures("fresh")
async def test_a_revert_is_a_new_version(server: Server) -> None:
    first = await post(server)
    await post(server, document={"Weights": {"novelty": 41}})
    path = f"{VERSIONS}/{first['version']}/revert"
    made = await post(server, path=path, reason="It was better", forced_reason="Now")
    assert (made["document"], made["reason"]) == (first["document"], "It was better")
    refused = await post(server, 409, path=path, reason="Once more")
    assert refused["title"] == "Conflict"
    assert (await post(server, 409, path=VERSIONS, forced_reason=None, document={}))["title"] == "Not backtested"


@pytest.mark.usefixtures("fresh")
async def test_a_version_that_is_not_there_is_not_found(server: Server) -> None:
    for path in ("knobs/versions/99", "knobs/diff?before=0&after=99"):
        assert (await server.api.get(f"/api/v1/{path}")).status_code == 404
    assert (await post(server, 404, path=f"{VERSIONS}/99/revert", reason="x"))["title"] == "Not found"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"document": {"Weights": {"novlety": 1}}}, "$.Weights.novlety"),
        ({"document": {"Wieghts": {}}}, "$.Wieghts"),
        ({"document": {"TimeWindow": {"learning_days": -1}}}, "$.TimeWindow.learning_days"),
        ({"document": {"PortThresholds": {"common": [70000]}}}, "$.PortThresholds.common[0]"),
        ({"document": {"ProcessAllowList": ["*"]}}, "$.ProcessAllowList[0]"),
        ({"document": {"Severities": {"low": 90}}}, "$.Severities"),
        ({"document": []}, "document"),
        ({"scope": "role.kiosk"}, "scope"),
        ({"scope": "role.nobody.macos"}, "scope"),
        ({"reason": ""}, "reason"),
        ({"reason": "  "}, "reason"),
        ({"forced_reason": ""}, "forced_reason"),
        ({"forced_reason": " "}, "forced_reason"),
        ({"reason": "\0"}, "reason"),
        ({"backtest_id": "x"}, "backtest_id"),
        ({"replaces": -1}, "replaces"),
        ({"force": True}, "force"),
    ],
)
async def test_a_wrong_change_names_the_field_and_changes_nothing(
    server: Server, fresh: Database, given: dict[str, Any], says: str
) -> None:
    assert fresh
    refused = await post(server, 422, **given)
    places = [each["pointer"] for each in refused.get("errors", [])] + [refused.get("field")]
    assert says in places
    assert refused["title"] == "Invalid request"
    assert (await get(server, "knobs/versions"))["items"] == []


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "cannot be read as JSON"),
        (b"\xff", "cannot be read as JSON"),
        (b"[" * 100_000, "cannot be read as JSON"),
        (b'{"scope": "every", "scope": "every"}', "'scope' stands twice"),
        (b'{"document": {"Weights": {"novelty": 1, "novelty": 2}}}', "'novelty' stands twice"),
        (b" " * (BODY_MAX_BYTES + 1), "longer than"),
        (json.dumps(a_change()).encode().replace(b"40", b"NaN"), "$.Weights.novelty"),
    ],
    ids=["empty", "no UTF-8", "deep", "twice", "twice within", "long", "NaN"],
)
async def test_a_body_that_is_no_change_is_refused(server: Server, body: bytes, says: str) -> None:
    answer: httpx.Response = await server.api.post(VERSIONS, content=body)
    assert answer.status_code == 422
    assert says in answer.json()["detail"]


@pytest.mark.usefixtures("fresh")
async def test_somebody_elses_faster_change_is_a_conflict(server: Server) -> None:
    first = await post(server, replaces=0)
    refused = await post(server, 409, replaces=0, document={"Weights": {"novelty": 1}})
    assert (refused["title"], refused["in_force"], refused["field"]) == ("Conflict", first["version"], "replaces")


async def test_without_a_token_nobody_sees_or_changes_knobs(server: Server) -> None:
    assert (await server.agents.get("/api/v1/knobs", params={"platform": "macos"})).status_code == 401
    assert (await server.agents.post(VERSIONS, json=a_change())).status_code == 401
    assert (await server.agents.get("/api/v1/attack")).status_code == 401


async def test_attacks_own_words_are_given_with_their_release(server: Server) -> None:
    found = await get(server, "attack")
    assert found["release"] == "18.1"
    elements = {each["id"]: [one["field"] for one in each.get("mutable_elements", [])] for each in found["objects"]}
    assert elements["AN0633"] == ["PortThresholds", "ProcessAllowList", "TimeWindow"]
    assert elements["AN0635"] == ["BaselinePortProfiles"]


async def test_the_description_of_the_api_names_the_bodies(server: Server) -> None:
    described = (await server.api.get("/openapi.json")).json()
    body = described["paths"][VERSIONS]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert {"scope", "document", "reason", "forced_reason"} <= set(body["properties"])
