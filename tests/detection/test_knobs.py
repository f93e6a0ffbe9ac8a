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
        ({"BaselinePortProfiles": []}, "$.BaselinePortProfiles"),
    ],
)
def test_an_impossible_setting_is_named(mapping, field):
    with pytest.raises(KnobsProblem) as problem:
        knobs_from(mapping)
    assert field in str(problem.value)
