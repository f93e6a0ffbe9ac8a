"""What is said of how a process began."""

import pytest

from app.detection.context import Context
from app.detection.deviation import Evidence
from app.detection.judgement import judge
from app.detection.knobs import Knobs
from app.detection.process_start import ProcessStart
from app.detection.surroundings import Surroundings
from tests.detection.worked import behaviour, standing

SYSTEM32 = "C:\\Windows\\System32\\"


def said(program: str, parent: str = "", start: ProcessStart | None = None) -> dict[str, Evidence]:
    context = Context(node="n", parent=parent)
    judged = judge(behaviour(program, 8443), context, standing(), Knobs(), Surroundings(start=start))
    return {each.reason: each for each in judged.evidence}


def test_a_join_says_when_the_process_was_started_and_who_says_so() -> None:
    start = ProcessStart(1_000.0, 12.2, "Sysmon 1")
    found = said(SYSTEM32 + "svchost.exe", start=start)["started_before"]
    assert found.points == 0
    assert found.text == "It was started 12 s before its first connection was seen (Sysmon 1)."


def test_the_parent_of_the_start_counts_where_the_row_has_none() -> None:
    start = ProcessStart(1_000.0, 12, "Sysmon 1", parent=r"C:\Office\WINWORD.EXE")
    program = SYSTEM32 + "regsvr32.exe"
    assert said(program, start=start)["odd_parent"].text == "It was started by WINWORD.EXE."
    assert "odd_parent" not in said(program, parent=r"C:\Windows\explorer.exe", start=start)


@pytest.mark.parametrize(
    ("program", "parent", "text"),
    [
        ("svchost.exe", r"C:\x\cmd.exe", "It was started by cmd.exe, but Windows has services.exe start svchost.exe."),
        ("lsass.exe", "services.exe", "It was started by services.exe, but Windows has wininit.exe start lsass.exe."),
        ("cmd.exe", "EXCEL.EXE", "It was started by EXCEL.EXE, an Office program, which has no use for a script host."),
    ],
)
def test_a_parent_that_does_not_fit_counts(program: str, parent: str, text: str) -> None:
    found = said(SYSTEM32 + program, parent)["odd_parent"]
    assert (found.text, found.points) == (text, 10)


@pytest.mark.parametrize(
    ("program", "parent"),
    [
        ("svchost.exe", SYSTEM32 + "services.exe"),
        ("svchost.exe", r"C:\ProgramData\Microsoft\Windows Defender\Platform\4.18\MsMpEng.exe"),
        ("svchost.exe", ""),
        ("svchost.exe", "[System Process]"),
        ("cmd.exe", "explorer.exe"),
        ("python3.exe", "powershell.exe"),
        ("excel.exe", "excel.exe"),
    ],
)
def test_a_parent_that_fits_or_is_not_known_says_nothing(program: str, parent: str) -> None:
    assert "odd_parent" not in said(SYSTEM32 + program, parent)
