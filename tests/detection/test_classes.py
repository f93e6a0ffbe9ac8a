import pytest

from app.detection.behaviour import Direction
from app.detection.classes import Mismatch, Trait, classes_of, known_vendor
from app.detection.context import Signer, Trust
from app.detection.judgement import judge
from app.detection.knobs import Knobs
from tests.detection.worked import CHROME, SVCHOST, UNSIGNED, behaviour, context, standing

OUT, IN = Direction.OUTBOUND, Direction.LISTENING


def traits(path, direction=OUT, *, trusted=False, unit=""):
    program = behaviour(path, 443, unit=unit).program
    return {trait for each in classes_of(program, direction, trusted=trusted) for trait in each.traits}


def test_a_browser_is_where_browsers_are_or_signed():
    assert Trait.USER_DRIVEN in traits(CHROME)
    assert Trait.USER_DRIVEN not in traits(r"C:\Users\bob\Temp\chrome.exe")
    assert Trait.USER_DRIVEN in traits(r"C:\Users\bob\AppData\chrome.exe", trusted=True)


@pytest.mark.parametrize(
    "path", ["/usr/bin/python3", "/opt/homebrew/bin/python3.11", "/tmp/python3", r"C:\x\python.exe"]
)
def test_a_script_host_is_one_everywhere(path):
    assert Trait.SCRIPT_HOST in traits(path)


def test_a_service_class_asks_for_the_service_and_the_direction():
    keys = {each.key for each in classes_of(behaviour(SVCHOST, 1, unit="termservice").program, IN, trusted=True)}
    assert "remote_desktop_service" in keys
    assert "remote_desktop_service" not in {
        each.key for each in classes_of(behaviour(SVCHOST, 1, unit="dnscache").program, IN, trusted=True)
    }


def mismatch(path, port, direction=OUT, unit=""):
    what = behaviour(path, port, unit=unit)
    fits = [each.fits(what.port) for each in classes_of(what.program, direction, trusted=True)]
    return next((fit for fit in fits if fit), Mismatch.NONE)


@pytest.mark.parametrize(
    ("path", "port", "fit"),
    [
        (r"C:\Tools\plink.exe", 443, Mismatch.SEVERE),
        (r"C:\Tools\plink.exe", 22, Mismatch.NONE),
        (r"C:\Tools\plink.exe", 2222, Mismatch.NONE),
        (r"C:\Program Files\Office\EXCEL.EXE", 587, Mismatch.PLAIN),
        (r"C:\Program Files\Office\EXCEL.EXE", 4443, Mismatch.MILD),
        (r"C:\Program Files\Office\EXCEL.EXE", 443, Mismatch.NONE),
        (r"C:\Program Files\Office\EXCEL.EXE", 50000, Mismatch.NONE),
        ("/Applications/Microsoft Word.app/Contents/MacOS/Microsoft Word", 8443, Mismatch.MILD),
        (CHROME, 6667, Mismatch.PLAIN),
        (r"C:\Windows\System32\mstsc.exe", 4444, Mismatch.PLAIN),
    ],
)
def test_some_ports_belie_a_program(path, port, fit):
    assert mismatch(path, port) is fit


@pytest.mark.parametrize(
    ("signer", "known"),
    [
        (Signer(Trust.TRUSTED, "Google LLC"), True),
        (Signer(Trust.TRUSTED, "Developer ID Application: Docker Inc (9BNSXJN65R)"), True),
        (Signer(Trust.TRUSTED, "Developer ID Application: Docker Inc (AAAAAAAAAA)"), False),
        (Signer(Trust.BROKEN, "Google LLC"), False),
        (Signer(Trust.TRUSTED, "Microsoft Windows"), False),
        (Signer(Trust.TRUSTED, "Software Signing"), False),
        (Signer(), False),
    ],
)
def test_vendors_are_known_by_their_whole_name_or_team(signer, known):
    assert known_vendor(signer) is known


@pytest.mark.parametrize(
    ("path", "port", "reason"),
    [
        (r"C:\Program Files (x86)\Google\Update\GoogleUpdate.exe", 4443, "port_belies_program"),
        (r"C:\Program Files\Google\Update\GoogleUpdate.exe", 443, ""),
        (r"C:\Program Files\Tanium\Tanium Client\TaniumClient.exe", 17472, "expected_port"),
        ("/usr/local/jamf/bin/jamf", 6667, "port_belies_program"),
        (r"C:\Users\bob\splunkd.exe", 8089, ""),  # anybody could have put it there
    ],
)
def test_updaters_and_management_agents_have_ports_of_their_own(path: str, port: int, reason: str) -> None:
    signer = UNSIGNED if "Users" in path else Signer()
    found = judge(behaviour(path, port), context(signer), standing(everything=(6000, 199), days=30), Knobs())
    said = {each.reason for each in found.evidence} & {"port_belies_program", "expected_port"}
    assert said == ({reason} if reason else set())
