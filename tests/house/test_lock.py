"""requirements.lock: everything that pyproject.toml asks for, each file by its hash."""

import re
import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house.tree import ROOT

LOCK = (ROOT / "requirements.lock").read_text("utf-8")
PINNED = {canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==([\w.]+)", LOCK, re.MULTILINE)}


def wanted() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return [Requirement(text) for text in project["project"]["dependencies"] + project["dependency-groups"]["dev"]]


def test_it_pins_all_that_the_project_asks_for() -> None:
    missing = [
        str(each) for each in wanted() if not each.specifier.contains(PINNED.get(canonicalize_name(each.name), "0"))
    ]
    assert missing == [], "run `make lock`"


def test_every_pin_has_a_hash() -> None:
    blocks = re.split(r"^(?=\S)", LOCK, flags=re.MULTILINE)
    pins = [block for block in blocks if "==" in block.partition("\n")[0]]
    assert len(pins) == len(PINNED)
    assert [pin.partition(" ")[0] for pin in pins if "--hash=sha256:" not in pin] == []
