from pathlib import Path

import pytest

from app.agent_api.routes import ENDPOINTS
from app.fleet.enroll_kit import EnrollKit, flagfile, instructions, write_kit
from tests.factories import OSQUERY

PLATFORMS = ("windows", "macos")


def flags(platform: str) -> dict[str, str]:
    lines = flagfile(platform, "portbook.test:8443").splitlines()
    return dict(line.removeprefix("--").split("=", 1) for line in lines)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_flags_lead_to_endpoints_that_we_have(platform: str) -> None:
    asked = {value for name, value in flags(platform).items() if name.endswith("_endpoint")}
    assert asked == {f"{OSQUERY}/{endpoint}" for endpoint in ENDPOINTS}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_results_keep_names_that_can_be_told_apart(platform: str) -> None:
    assert flags(platform)["pack_delimiter"] == "/"
    assert flags(platform)["tls_hostname"] == "portbook.test:8443"


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_files_that_the_flags_name_are_in_the_kit_and_nobody_else_reads_the_secret(
    tmp_path: Path, platform: str
) -> None:
    kit = EnrollKit(platform, "portbook.test:8443", "s3cret", b"PEM")
    written = write_kit(kit, tmp_path / "kit")
    named = {
        flags(platform)[name].replace("\\", "/").rpartition("/")[2]
        for name in ("enroll_secret_path", "tls_server_certs")
    }
    assert {path.name for path in written} == named | {"osquery.flags"}
    secret = tmp_path / "kit" / "portbook.secret"
    assert (secret.read_text(), secret.stat().st_mode & 0o777) == ("s3cret", 0o600)
    assert all(name in instructions(platform, tmp_path) for name in named)


def test_an_older_kit_is_replaced(tmp_path: Path) -> None:
    for secret in ("old", "new"):
        write_kit(EnrollKit("macos", "portbook.test:8443", secret, b"PEM"), tmp_path)
    assert (tmp_path / "portbook.secret").read_text() == "new"
