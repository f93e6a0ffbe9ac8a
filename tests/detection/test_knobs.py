import pytest

from app.detection.knobs import Knobs, KnobsProblem, knobs_from


def test_an_empty_setting_means_the_defaults():
    assert knobs_from({}) == Knobs()


def test_mitres_names_are_the_names_of_the_tables():
    knobs = knobs_from(
        {
            "PortThresholds": {"common": [443, 8443]},
            "ProcessAllowList": ["/opt/a"],
            "TimeWindow": {"learning_days": 3},
            "BaselinePortProfiles": {"/opt/a": ["8080"]},
        }
    )
    assert knobs.port_thresholds.common == {443, 8443}
    assert knobs.process_allow_list == ("/opt/a",)
    assert knobs.time_window.learning_days == 3
    assert knobs.baseline_port_profiles == {"/opt/a": ("8080",)}
    assert knobs.weights == Knobs().weights


@pytest.mark.parametrize(
    ("mapping", "field"),
    [
        ({"Weight": {}}, "Weight"),
        ({"Weights": {"novlety": 3}}, "novlety"),
        ({"Weights": {"novelty": -1}}, "$.Weights.novelty"),
        ({"Weights": {"novelty": float("nan")}}, "$.Weights.novelty"),
        ({"Weights": {"novelty": "45"}}, "$.Weights.novelty"),
        ({"PortThresholds": {"common": [70000]}}, "$.PortThresholds.common"),
        ({"PortThresholds": {"bits_span": 0}}, "$.PortThresholds.bits_span"),
        ({"TimeWindow": {"learning_days": -1}}, "$.TimeWindow.learning_days"),
        ({"Vouching": {"share": 0}}, "$.Vouching.share"),
        ({"Severities": {"high": 30}}, "$.Severities"),
        ({"Severities": {"low": 45}}, "$.Severities"),
        ({"Severities": {"low": 0}}, "$.Severities.low"),
        ({"Severities": {"high": 102}}, "$.Severities.high"),
        ({"Weights": {"mismatch": 50}}, "$.Weights"),
        ({"Weights": {"novelty": 10**400}}, "$.Weights.novelty"),
        ({"Vouching": {"share": 0.5}}, "$.Vouching"),
        ({"PortThresholds": {"common": [443, 443]}}, "$.PortThresholds.common"),
        ({"ProcessAllowList": ["/opt/a", "*"]}, "$.ProcessAllowList[1]"),
        ({"ProcessAllowList": ["?*"]}, "$.ProcessAllowList[0]"),
        ({"ProcessAllowList": ["*.exe"]}, "$.ProcessAllowList[0]"),
        ({"ProcessAllowList": ["c:\\*"]}, "$.ProcessAllowList[0]"),
        ({"ProcessAllowList": ["/*"]}, "$.ProcessAllowList[0]"),
        ({"ProcessAllowList": ["  "]}, "$.ProcessAllowList[0]"),
        ({"ProcessAllowList": ["/opt/\0"]}, "$.ProcessAllowList[0]"),
        ({"ProcessAllowList": ["/opt/\ud800"]}, "$.ProcessAllowList[0]"),
        ({"ProcessAllowList": ["a" * 601]}, "$.ProcessAllowList[0]"),
        ({"ProcessAllowList": [f"/opt/{n}" for n in range(1001)]}, "$.ProcessAllowList"),
        ({"BaselinePortProfiles": []}, "$.BaselinePortProfiles"),
        ({"BaselinePortProfiles": {"rapportd": ["3722"]}}, "$.BaselinePortProfiles.rapportd"),
        ({"BaselinePortProfiles": {"/a": ["50000"]}}, "$.BaselinePortProfiles./a"),
        ({"BaselinePortProfiles": {"/a": ["080"]}}, "$.BaselinePortProfiles./a"),
        ({"BaselinePortProfiles": {"/a": ["80", "80"]}}, "$.BaselinePortProfiles./a"),
    ],
)
def test_an_impossible_setting_is_named(mapping, field):
    with pytest.raises(KnobsProblem) as problem:
        knobs_from(mapping)
    assert field in str(problem.value)
    assert field in problem.value.pointer


@pytest.mark.parametrize("pattern", ["/Applications/*", "c:\\program files\\backup\\*.exe", "*/backup", "/opt/[a]"])
def test_a_pattern_that_leaves_something_to_judge_is_taken(pattern):
    assert knobs_from({"ProcessAllowList": [pattern]}).process_allow_list == (pattern,)
