from datetime import date

import pytest

from app.detection.approved import ApprovedList, ApprovedSoftware, allowed_ports
from app.detection.behaviour import Direction
from app.detection.context import PeerScope, Signer, Trust
from app.detection.deviation import Severity
from app.detection.judgement import judge
from app.detection.knobs import Knobs
from app.detection.software import InstalledSoftware, SoftwareSource, known_software
from app.detection.surroundings import Surroundings
from tests.detection.worked import MICROSOFT, SVCHOST, UNSIGNED, behaviour, context, standing

NOW = 1_795_000_000.0  # 2026-11-18
FLEET = {"everything": (6000, 199), "days": 30}
ZOOM = r"C:\Program Files\Zoom\bin\Zoom.exe"
SIGNED = Signer(Trust.TRUSTED, "Zoom Communications, Inc.")
ANYDESK = r"C:\Program Files (x86)\AnyDesk\AnyDesk.exe"
ANYDESK_SIGNED = Signer(Trust.TRUSTED, "AnyDesk Software GmbH")
TOOL = r"C:\Tools\inhouse.exe"
INSTALLED = InstalledSoftware(SoftwareSource.PROGRAMS, "In-House", version="2.1", location=r"c:\tools")


def zoom(ports="tcp/8801", until=date(2027, 3, 1), **fields):
    return ApprovedSoftware(
        "Zoom Workplace", SIGNED.name, owner="IT", until=until, ports=allowed_ports(ports), **fields
    )


def judged(what, signer, entries=None, items=(), *, reported_at=None, **facts):
    """`entries` None: no list was imported; `reported_at` None: no inventory was reported."""
    approved = None if entries is None else ApprovedList(entries)
    known = known_software(what, signer, NOW, approved=approved, nearby=items, reported_at=reported_at)
    return judge(what, context(signer, **facts), standing(**FLEET), Knobs(), Surroundings(software=known))


def lines(*args, **kwargs):
    ours = ("approv", "unapproved", "unknown_software", "installed_software")
    return {
        each.reason: (each.points, each.text)
        for each in judged(*args, **kwargs).evidence
        if each.reason.startswith(ours)
    }


def test_an_approved_program_on_an_allowed_port_is_discounted_in_words():
    said = "In the approved inventory: Zoom Workplace (owner IT, until 2027-03-01), which allows tcp/8801"
    found = lines(behaviour(ZOOM, 8801), SIGNED, [zoom()])
    assert found == {"approved_software": (-30, f"{said}: this is one of them.")}


def test_an_entry_without_ports_allows_any():
    [(points, text)] = lines(behaviour(ZOOM, 4444), SIGNED, [zoom(ports="")]).values()
    assert points == -30
    assert "names no ports" in text


def test_an_approved_program_on_another_port_is_not_discounted():
    assert lines(behaviour(ZOOM, 4444), SIGNED, [zoom()])["approved_other_port"][0] == 10
    assert lines(behaviour(ZOOM, 8801, direction=Direction.LISTENING), SIGNED, [zoom()])["approved_other_port"][0] == 10
    assert lines(behaviour(ZOOM, 443), SIGNED, [zoom()])["approved_other_port"][0] == 0  # a common port


def test_an_expired_approval_is_said_and_speaks_for_nothing():
    found = lines(behaviour(ZOOM, 8801), SIGNED, [zoom(until=date(2026, 11, 17))], reported_at=NOW)
    assert {reason: points for reason, (points, _) in found.items()} == {"approval_expired": 0}
    assert "2026-11-17" in found["approval_expired"][1]


def test_without_a_list_and_an_inventory_nothing_is_said():
    assert lines(behaviour(TOOL, 8801), Signer()) == {}
    assert judge(behaviour(TOOL, 8801), context(), standing(**FLEET), Knobs()).evidence == (
        judged(behaviour(TOOL, 8801), MICROSOFT).evidence
    )


@pytest.mark.parametrize(
    ("entries", "reported_at", "points"), [([zoom()], NOW, 10), ([zoom()], None, 5), (None, NOW, 5)]
)
def test_an_unknown_program_is_one_that_known_lists_lack(entries, reported_at, points):
    found = lines(behaviour(TOOL, 8801), UNSIGNED, entries, reported_at=reported_at)
    assert found["unknown_software"][0] == points


@pytest.mark.parametrize(
    ("path", "signer"),
    [
        (SVCHOST, MICROSOFT),
        (r"C:\Windows\System32\curl.exe", Signer()),
        ("/usr/bin/curl", Signer()),
        ("/System/Library/CoreServices/rapportd", Signer()),
        ("", Signer()),
        (r"C:\ProgramData\Microsoft\Windows Defender\MsMpEng.exe", Signer(Trust.TRUSTED, "Microsoft Windows")),
        ("/Applications/Safari.app/Contents/MacOS/Safari", Signer(Trust.TRUSTED, "Software Signing")),
    ],
)  # fmt: skip
def test_parts_of_the_system_are_not_unknown(path, signer):
    assert lines(behaviour(path, 8801), signer, [zoom()], reported_at=NOW) == {}


@pytest.mark.parametrize("path", [r"C:\Users\bob\svchost.exe", r"C:\Windows\Temp\a.exe", "/Users/bob/curl"])
def test_a_copy_of_a_part_of_the_system_is_unknown(path):
    assert lines(behaviour(path, 8801), MICROSOFT, [zoom()], reported_at=NOW)["unknown_software"][0] == 10


def test_what_a_node_says_is_installed_weighs_little():
    points, text = lines(behaviour(TOOL, 8801), MICROSOFT, None, [INSTALLED], reported_at=NOW)["installed_software"]
    assert points == -5
    assert text == "This node says that it has In-House 2.1 installed, to which inhouse.exe belongs."


@pytest.mark.parametrize(
    ("path", "signer", "item"),
    [
        (TOOL, UNSIGNED, INSTALLED),
        (
            r"C:\Users\bob\AppData\Local\x1\x.exe",
            MICROSOFT,
            InstalledSoftware(SoftwareSource.PROGRAMS, "X", location=r"c:\users\*\appdata\local\x1"),
        ),
        (
            "/opt/homebrew/Cellar/nc1/1.0/bin/nc1",
            MICROSOFT,
            InstalledSoftware(SoftwareSource.HOMEBREW, "nc1", location="/opt/homebrew/Cellar/nc1"),
        ),
    ],
)
def test_what_its_user_could_have_installed_weighs_nothing(path, signer, item):
    assert lines(behaviour(path, 8801), signer, [zoom()], [item], reported_at=NOW)["installed_software"][0] == 0


def test_a_remote_access_tool_that_nobody_approved_weighs_though_it_is_installed():
    item = InstalledSoftware(SoftwareSource.PROGRAMS, "AnyDesk", location=r"c:\program files (x86)\anydesk")
    for direction in (Direction.OUTBOUND, Direction.LISTENING):
        found = lines(behaviour(ANYDESK, 7070, direction=direction), ANYDESK_SIGNED, [zoom()], [item], reported_at=NOW)
        assert {reason: points for reason, (points, _) in found.items()} == {
            "unapproved_remote_access": 15,
            "installed_software": 0,
        }
    assert "unapproved_remote_access" not in lines(behaviour(ANYDESK, 7070), ANYDESK_SIGNED, None, [item])


def test_a_remote_access_tool_on_port_80_alerts_unless_somebody_approved_that_port():
    """An unapproved remote access tool on port 80; what is unusual for its kind is answered by who named the port."""
    what = behaviour(ANYDESK, 80)
    known = {"everything": (6000, 199), "program": (30, 1), "days": 30, "ports": 2}
    allowed = ApprovedSoftware("AnyDesk", ANYDESK_SIGNED.name, ports=allowed_ports("tcp/80, tcp/443"))
    severities = [
        judge(
            what,
            context(ANYDESK_SIGNED),
            standing(**known),
            Knobs(),
            Surroundings(
                software=known_software(
                    what, ANYDESK_SIGNED, NOW, approved=ApprovedList([entry]), nearby=(), reported_at=None
                )
            ),
        ).severity
        for entry in (zoom(), allowed)
    ]
    assert severities[0].reaches(Severity.MEDIUM)
    assert severities[1] is Severity.NONE


@pytest.mark.parametrize(
    ("path", "port", "ports"),
    [
        (r"C:\Program Files\Microsoft Office\root\Office16\WINWORD.EXE", 22, "tcp/22"),  # wrong for the kind
        (r"C:\Program Files\PuTTY\putty.exe", 443, "tcp/443"),  # severely wrong
        (r"C:\Program Files\Python312\python.exe", 4444, "tcp/4444"),  # a script host
        (r"C:\Program Files\Tools1\notepad.exe", 443, "tcp/443"),  # never networks
        (r"C:\Program Files\Tools1\agent.exe", 53, "tcp/53"),  # no resolver
        (ANYDESK, 80, ""),  # mildly wrong, and nobody named the port
        (r"C:\Windows\System32\svchost.exe", 8801, ""),  # injected, and nobody named the port
    ],
)
def test_an_approval_silences_no_port_that_belies_the_program(path, port, ports):
    entry = ApprovedSoftware("It", path=path, ports=allowed_ports(ports))
    points, text = lines(behaviour(path, port), MICROSOFT, [entry])["approved_software"]
    assert points == 0
    assert "counts for nothing here" in text


def test_until_the_signature_is_known_an_approval_is_perhaps_and_nothing_is_unknown():
    found = lines(behaviour(ZOOM, 8801), Signer(), [zoom()], reported_at=NOW)
    assert {reason: points for reason, (points, _) in found.items()} == {"approval_unsure": 0}


def test_inventory_facts_have_no_such_evidence():
    what = behaviour(ZOOM, 0, direction=Direction.SIGNATURE)
    assert lines(what, SIGNED, [zoom()], reported_at=NOW) == {}


def test_many_ports_are_cut_short():
    entry = zoom(ports=", ".join(f"tcp/{port}" for port in range(8801, 8811)))
    assert "tcp/8805 and 5 more" in lines(behaviour(ZOOM, 8801), SIGNED, [entry])["approved_software"][1]


def test_an_approval_does_not_hide_loopback_or_other_evidence():
    with_it = judged(behaviour(ZOOM, 8801), UNSIGNED, [zoom()], peer_scope=PeerScope.PUBLIC)
    assert "unsigned" in {each.reason for each in with_it.evidence}
    assert "approved_software" not in {each.reason for each in with_it.evidence}
