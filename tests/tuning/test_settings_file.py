"""Settings files: several scopes in one, and what is wrong is named with its line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.detection.knobs import Knobs
from app.detection.scopes import EVERY, Scope, as_document, canonical
from app.tuning.settings_file import FILE_MAX_BYTES, SettingsFileProblem, read_knobs, read_settings, settings_text

SEVERAL = """\
[every.Weights]
novelty = 40

[platform.windows]
ProcessAllowList = ["c:\\\\program files\\\\backup\\\\*.exe"]

[role.laptop.macos.Severities]
high = 60
[role."build server".macos.BaselinePortProfiles]
"/opt/a b" = ["8080", "dynamic"]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "knobs.toml"


def test_one_file_holds_several_scopes(file: Path) -> None:
    file.write_text(SEVERAL)
    assert read_settings(file) == {
        EVERY: {"Weights": {"novelty": 40.0}},
        Scope("windows"): {"ProcessAllowList": ["c:\\program files\\backup\\*.exe"]},
        Scope("macos", "laptop"): {"Severities": {"high": 60}},
        Scope("macos", "build server"): {"BaselinePortProfiles": {"/opt/a b": ["8080", "dynamic"]}},
    }


def test_a_file_without_scopes_speaks_of_every_node(file: Path) -> None:
    file.write_text("[Weights]\nnovelty = 40\n")
    assert read_settings(file) == {EVERY: {"Weights": {"novelty": 40.0}}}


def test_a_file_is_written_as_it_is_read(file: Path) -> None:
    file.write_text(SEVERAL)
    documents = read_settings(file)
    file.write_text(settings_text(documents))
    assert read_settings(file) == documents
    file.write_text(settings_text({EVERY: as_document(Knobs())}))
    assert read_knobs(file).of("laptop", "macos") == Knobs()


@given(
    st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable() and text.strip()),
    st.text(max_size=20).filter(str.isprintable),
)
def test_any_name_that_is_allowed_survives_the_file(
    tmp_path_factory: pytest.TempPathFactory, role: str, path: str
) -> None:
    file = tmp_path_factory.mktemp("any") / "knobs.toml"
    documents = {Scope("macos", role): canonical({"BaselinePortProfiles": {f"/{path}": ["80"]}})}
    file.write_text(settings_text(documents), "utf-8")
    assert read_settings(file) == documents


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[Weights]\nrarity = 1\nnovlety = 2\n", ":3: Object contains unknown field `novlety` - at `$.Weights`"),
        ("[Wieghts]\nnovelty = 2\n", ":1: Object contains unknown field `Wieghts`"),
        ("# x\n[every.Weights]\nnovelty = -1\n", ":3: every: Expected `float` >= 0.0 - at `$.Weights.novelty`"),
        ("[every]\nWeights.novelty = -1\n", ":2: every: Expected `float`"),
        ("[every.PortThresholds]\ncommon = [\n  80,\n  70000,\n]\n", ":2: every: Expected `int` <= 65535"),
        ('[every]\nProcessAllowList = ["*"]\n', ":2: every: Expected a pattern that does not fit every program"),
        ('[every.BaselinePortProfiles]\n"/a b" = ["x"]\n', ":2: every: Expected a port below 49152"),
        ("[every.Weights]\nnovelty = 1\n[Vouching]\nnodes = 1\n", ":3: 'Vouching' stands beside scopes"),
        ("[platform.linux.Weights]\nnovelty = 1\n", ":1: platform.linux: Expected `every`"),
        ("[role.laptop.Weights]\nnovelty = 1\n", ":1: role.laptop.Weights: Expected `every`"),
        ("[role]\nlaptop = 1\n", ":2: role.laptop must be a table"),
        ("every = 3\n", ":1: every must be a table"),
        ("[every.Weights]\n[every.Weights]\n", "twice (at line 2"),
        ("[every.Weights]\nnovelty = 1\nnovelty = 2\n", "line 3"),
        ("novelty\n", "line 1"),
        ("x = " + "[" * 5000, "recursion"),
        ("# " + "x" * FILE_MAX_BYTES, "longer than 1,048,576 bytes"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(file: Path, text: str, says: str) -> None:
    file.write_text(text)
    with pytest.raises(SettingsFileProblem) as problem:
        read_settings(file)
    assert str(problem.value).startswith(str(file))
    assert says in str(problem.value)


def test_a_file_that_is_no_text_or_not_there_is_named(file: Path) -> None:
    with pytest.raises(SettingsFileProblem, match=r"knobs\.toml: No such file"):
        read_settings(file)
    file.write_bytes(b"\xff")
    with pytest.raises(SettingsFileProblem, match=r"knobs\.toml: 'utf-8' codec"):
        read_settings(file)


def test_scopes_that_contradict_each_other_upon_the_defaults_are_refused_where_only_the_file_counts(file: Path) -> None:
    file.write_text("[platform.macos.Severities]\nlow = 45\n")
    assert read_settings(file) == {Scope("macos"): {"Severities": {"low": 45}}}
    with pytest.raises(SettingsFileProblem, match=r"platform\.macos: Expected low <= medium"):
        read_knobs(file)
