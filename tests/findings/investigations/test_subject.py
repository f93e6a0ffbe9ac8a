"""What an investigation asks about is what the row says, in the row's own spelling."""

import json

import pytest

from app.findings.investigations.subject import Subject, subject_of
from app.observations.originals import Original

SYSMON = {
    "eventid": "3",
    "data": json.dumps(
        {
            "EventData": {
                "Image": "C:\\Tools\\relay.exe",
                "ProcessId": "0x1a4",
                "Protocol": "tcp",
                "Initiated": "true",
                "SourceIp": "10.0.0.5",
                "SourcePort": "50000",
                "DestinationIp": "203.0.113.9",
                "DestinationPort": "4444",
            }
        }
    ),
}


@pytest.mark.parametrize(
    ("query", "columns", "subject"),
    [
        (
            "pack/windows_network/outbound",
            {
                "pid": "77",
                "proc_start": "1795213801",
                "proc_path": "C:\\Users\\José\\A.exe",
                "svchost_hint": "wuauserv",
            },
            Subject(77, 1795213801, "C:\\Users\\José\\A.exe", "wuauserv"),
        ),
        (
            "pack/windows_network/listening",
            {"pid": 77, "proc_start": "-1", "proc_path": "C:\\s.exe", "service_names": "A,B"},
            Subject(77, None, "C:\\s.exe", None),
        ),
        (
            "pack/macos_network/listening",
            {"pid": "501", "proc_path": "/usr/local/x y", "launchd_labels": "com.example.x"},
            Subject(501, None, "/usr/local/x y", "com.example.x"),
        ),
        (
            "pack/windows_context/services",
            {"name": "Relay Svc", "path": '"C:\\Program Files\\r.exe" --run', "module_path": ""},
            Subject(None, None, "C:\\Program Files\\r.exe", "Relay Svc"),
        ),
        (
            "pack/windows_context/services",
            {"name": "w", "path": "C:\\svchost.exe -k x", "module_path": "C:\\w.dll"},
            Subject(None, None, "C:\\w.dll", "w"),
        ),
        (
            "pack/macos_context/launchd",
            {"label": "com.x", "program": "", "program_arguments": "/usr/local/bin/x --serve"},
            Subject(None, None, "/usr/local/bin/x", "com.x"),
        ),
        ("pack/macos_context/signatures", {"path": "/opt/x"}, Subject(None, None, "/opt/x", None)),
        ("pack/windows_network/sysmon_connections", SYSMON, Subject(0x1A4, None, "C:\\Tools\\relay.exe", None)),
        ("pack/windows_network/outbound", {"pid": "-1", "proc_path": 7}, Subject(9, None, None, "netsvcs")),
        (
            "pack/windows_network/outbound",
            {"pid": "99999999999", "proc_path": "a\nb"},
            Subject(9, None, None, "netsvcs"),
        ),
    ],
)
def test_each_kind_of_row_names_its_subject(query: str, columns: dict[str, object], subject: Subject) -> None:
    known = subject.unit if subject.unit == "netsvcs" else ""
    pid = subject.pid if subject.pid == 9 else None
    assert subject_of(Original(query, "added", columns), known_pid=pid, known_unit=known) == subject


def test_without_a_row_there_is_what_the_finding_kept() -> None:
    assert subject_of(None, known_pid=5, known_unit="com.x") == Subject(5, None, None, "com.x")
    assert subject_of(None, known_pid=None, known_unit="a,b") == Subject()


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("\\\\evil.example\\share\\a.exe", None),
        ("//evil.example/share/a.exe", None),
        ("\\\\?\\UNC\\evil.example\\share\\a.exe", None),
        ("\\??\\UNC\\evil.example\\share\\a.exe", None),
        ("\\\\?\\C:\\Windows\\a.exe", "\\\\?\\C:\\Windows\\a.exe"),
        ("C:\\Windows\\a.exe", "C:\\Windows\\a.exe"),
    ],
)
def test_no_agent_is_sent_to_another_machine(path: str, asked: str | None) -> None:
    """Reading a file there as SYSTEM would hand the host's credentials to whoever named the path."""
    row = Original("pack/windows_network/outbound", "added", {"proc_path": path})
    assert subject_of(row, known_pid=1, known_unit="").path == asked
