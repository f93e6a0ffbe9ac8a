from datetime import date

import pytest

from app.detection.approved import ApprovedList, ApprovedSoftware, allowed_ports, goes_by, path_pattern, publisher_key
from app.detection.behaviour import Direction, Platform, Transport
from app.detection.context import Signer, Trust
from app.detection.paths import normalised
from tests.detection.worked import behaviour

ZOOM = r"C:\Program Files\Zoom\bin\Zoom.exe"
ZOOM_AT_HOME = r"C:\Users\bob\AppData\Roaming\Zoom\bin\Zoom.exe"
ZOOM_MAC = "/Applications/zoom.us.app/Contents/MacOS/zoom.us"
SIGNED = Signer(Trust.TRUSTED, "Zoom Communications, Inc.")
SIGNED_MAC = Signer(Trust.TRUSTED, "Developer ID Application: Zoom Video Communications, Inc. (BJ4HAAB9B3)")
UNSIGNED, BROKEN, UNREPORTED = Signer(Trust.UNSIGNED), Signer(Trust.BROKEN, "Zoom Communications, Inc."), Signer()
NOW = 1_795_000_000.0  # 2026-11-18


def entry(name="Zoom Workplace", line=2, ports="", **fields):
    return ApprovedSoftware(name, line=line, ports=allowed_ports(ports), **fields)


def found(entries, path, signer, port=8801, *, at=NOW, names=(), **fields):
    listed = ApprovedList([entries] if isinstance(entries, ApprovedSoftware) else entries)
    return listed.approval(behaviour(path, port, **fields), signer, at, names)


BY_PUBLISHER = entry(publisher="ZOOM COMMUNICATIONS INC")
BY_TEAM = entry(team_id="BJ4HAAB9B3")
BY_BOTH = entry(publisher="Zoom Communications, Inc.", team_id="BJ4HAAB9B3")
BY_PATH = entry("Agent", path=r"C:\Program Files\Zoom\**")
BY_PATH_AND_PUBLISHER = entry(
    "Anything", publisher="Zoom Communications, Inc.", path=r"C:\Program Files\Zoom\bin\*.exe"
)


@pytest.mark.parametrize(
    ("what", "path", "signer"),
    [
        (BY_PUBLISHER, ZOOM, SIGNED),
        (BY_PUBLISHER, ZOOM_AT_HOME, SIGNED),
        (BY_TEAM, ZOOM_MAC, SIGNED_MAC),
        (BY_BOTH, ZOOM, SIGNED),
        (BY_BOTH, ZOOM_MAC, SIGNED_MAC),
        (BY_PATH, ZOOM, UNSIGNED),
        (BY_PATH, ZOOM, UNREPORTED),
        (BY_PATH_AND_PUBLISHER, ZOOM, SIGNED),
    ],
)
def test_a_trusted_signature_and_name_or_a_path_approve(what, path, signer):
    approval = found(what, path, signer)
    assert (approval.entry, approval.sure, approval.expired) == (what, True, False)


@pytest.mark.parametrize(
    ("what", "path", "signer"),
    [
        (BY_PUBLISHER, ZOOM, UNSIGNED),
        (BY_PUBLISHER, ZOOM, BROKEN),
        (BY_PUBLISHER, ZOOM, Signer(Trust.TRUSTED, "Zoom Communications Ltd")),
        (BY_PUBLISHER, r"C:\Program Files\Zoom\bin\installer.exe", SIGNED),  # another program of the same maker
        (BY_TEAM, ZOOM_MAC, Signer(Trust.TRUSTED, "Developer ID Application: Evil (AAAAAAAAAA)")),
        (BY_TEAM, ZOOM, Signer(Trust.TRUSTED, "Evil (BJ4HAAB9B3)")),  # Windows knows no teams
        (BY_BOTH, ZOOM_MAC, Signer(Trust.TRUSTED, "Developer ID Application: Zoom Communications, Inc. (AAAAAAAAAA)")),
        (BY_PATH, ZOOM, BROKEN),
        (BY_PATH, ZOOM_AT_HOME, SIGNED),
        (BY_PATH, r"C:\Program Files\Zoom\..\..\Users\bob\x.exe", UNSIGNED),
        (BY_PATH_AND_PUBLISHER, ZOOM, UNSIGNED),
        (BY_PATH_AND_PUBLISHER, ZOOM_AT_HOME, SIGNED),
    ],
)
def test_nothing_less_approves(what, path, signer):
    assert found(what, path, signer) is None


def test_until_the_signature_is_reported_a_name_is_perhaps_approved():
    approval = found(BY_PUBLISHER, ZOOM, UNREPORTED)
    assert (approval.entry, approval.sure) == (BY_PUBLISHER, False)
    assert found(BY_PATH_AND_PUBLISHER, ZOOM, UNREPORTED).sure is False
    assert found(BY_PUBLISHER, r"C:\Program Files\Slack\slack.exe", UNREPORTED) is None
    assert found(BY_TEAM, ZOOM_MAC, UNREPORTED).sure is False
    assert found(BY_TEAM, ZOOM, UNREPORTED) is None


def test_the_name_under_which_it_is_installed_counts_beside_a_good_signature():
    cisco = Signer(Trust.TRUSTED, "Cisco Systems, Inc.")
    webex, path = entry("Cisco Webex", publisher="Cisco Systems, Inc."), r"C:\Program Files\Webex\CiscoCollabHost.exe"
    assert found(webex, path, cisco) is None
    assert found(webex, path, cisco, names=["Cisco Webex (64-bit)"]).entry == webex
    assert found(webex, path, UNSIGNED, names=["Cisco Webex (64-bit)"]) is None


def test_a_publisher_that_signs_the_system_approves_no_copy_in_a_users_folder():
    microsoft = Signer(Trust.TRUSTED, "Microsoft Corporation")
    code = entry("Visual Studio Code", publisher="Microsoft Corporation")
    assert found(code, r"C:\Program Files\Microsoft VS Code\Code.exe", microsoft).entry == code
    assert found(code, r"C:\Users\bob\Downloads\code.exe", microsoft) is None


def test_of_several_entries_the_one_that_holds_and_allows_the_port_speaks():
    expired = entry(line=2, publisher="Zoom Communications, Inc.", until=date(2026, 1, 1))
    narrow = entry(line=3, publisher="Zoom Communications, Inc.", path=ZOOM, ports="tcp/443")
    wide = entry("Zoom", line=4, publisher="Zoom Communications, Inc.", ports="tcp/8801-8810")
    assert found([expired, narrow, wide], ZOOM, SIGNED).entry == wide
    assert found([expired, narrow], ZOOM, SIGNED).entry == narrow
    assert found([expired], ZOOM, SIGNED).expired


def test_an_approval_holds_through_its_last_day():
    until = entry(publisher="Zoom Communications, Inc.", until=date(2026, 11, 18))
    assert not found(until, ZOOM, SIGNED, at=1_795_046_399).expired  # 23:59:59 UTC
    assert found(until, ZOOM, SIGNED, at=1_795_046_400).expired
    assert not found(entry(publisher="Zoom Communications, Inc.", until=date.max), ZOOM, SIGNED).expired


@pytest.mark.parametrize(
    ("ports", "port", "direction", "transport", "allowed"),
    [
        ("", 4444, Direction.OUTBOUND, Transport.TCP, True),
        ("any", 4444, Direction.LISTENING, Transport.UDP, True),
        ("tcp/443, tcp/8000-8100", 8050, Direction.OUTBOUND, Transport.TCP, True),
        ("TCP/443; listen  tcp / 5000", 5000, Direction.LISTENING, Transport.TCP, True),
        ("out tcp/443", 443, Direction.OUTBOUND, Transport.TCP, True),
        ("tcp/443", 443, Direction.LISTENING, Transport.TCP, False),
        ("tcp/443", 443, Direction.OUTBOUND, Transport.UDP, False),
        ("tcp/443", 444, Direction.OUTBOUND, Transport.TCP, False),
        ("tcp/443", 50000, Direction.OUTBOUND, Transport.TCP, False),
        ("tcp/49152-65535", 50000, Direction.OUTBOUND, Transport.TCP, True),
        ("tcp/1024-65535", 50000, Direction.OUTBOUND, Transport.TCP, True),
    ],
)
def test_ports_are_allowed_by_direction_transport_and_number(ports, port, direction, transport, allowed):
    what = behaviour(ZOOM, port, direction=direction, transport=transport)
    assert entry(ports=ports).allows(what) is allowed
    assert allowed_ports(", ".join(map(str, allowed_ports(ports)))) == allowed_ports(ports)


@pytest.mark.parametrize(
    "text",
    [
        *("443", "tcp/0", "tcp/65536", "tcp/99999", "tcp/8100-8000", "icmp/1", "tcp/443,", "tcp/50000"),
        *("tcp/8000-60000", "tcp/4٤" + "3", "tcp/443 udp/53", ", ".join(["tcp/1"] * 65)),
    ],
)
def test_impossible_ports_are_named(text):
    with pytest.raises(ValueError, match=r"tcp/|items"):
        allowed_ports(text)


@pytest.mark.parametrize(
    "text",
    [
        *("*", "**", "/**", "/*", "C:\\", "C:\\*", "C:\\**", "c:/program files/**", "C:\\Users\\*\\**"),
        *(
            "/Applications/*.app",
            "/usr/local/bin/*",
            "C:\\Program Files\\*.exe",
            "C:\\Users\\bob\\AppData\\Local\\Temp\\*",
        ),
        *("*\\zoom.exe", "zoom.exe", "/Applications/../Zoom.app", "/opt//zoom", "/opt/zoom**", "/opt/**/zoom/**"),
        *("\\\\server\\share\\zoom.exe", "/opt/./zoom", "C:zoom", "%TEMP%\\zoom.exe", "/" + "a" * 700),
    ],
)
def test_a_path_that_matches_whatever_lies_there_or_is_none_is_refused(text):
    with pytest.raises(ValueError, match=r"\w"):
        path_pattern(text)


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        (r"C:\Program Files\Zoom\bin\Zoom.exe", ZOOM, True),
        ("c:/PROGRAM FILES/zoom/**", ZOOM, True),
        (r"%ProgramFiles%\Zoom\bin\*.exe", ZOOM, True),
        (r"C:\Program Files\Zoom\*", ZOOM, False),  # one folder only
        (r"C:\Program Files\Zoom\**\Zoom.exe", ZOOM, True),
        (r"C:\**\Zoom.exe", ZOOM, True),
        (r"C:\Program Files\Zoom\bin\**", r"C:\Program Files\Zoom\bin", False),
        (r"C:\Program Files\IDEA 2024.1\bin\idea64.exe", r"C:\Program Files\IDEA 2025.2\bin\idea64.exe", True),
        (r"C:\Users\*\AppData\Roaming\Zoom\bin\Zoom.exe", ZOOM_AT_HOME, True),
        ("/Applications/zoom.us.app/**", ZOOM_MAC, True),
        ("/Applications/Zoom.us.app/**", ZOOM_MAC, False),
        ("/opt/a[b]?/tool", "/opt/a[b]?/tool", True),
        ("/opt/a[b]?/tool*", "/opt/abx/tool1", False),
    ],
)  # fmt: skip
def test_a_star_stays_within_a_folder_and_two_stand_for_folders(pattern, path, matches):
    read = path_pattern(pattern)
    assert read.matches(normalised(read.platform, path)) is matches
    assert path_pattern(str(read)) == read


def test_a_path_of_one_platform_is_none_of_the_other():
    assert found(entry(path="/opt/zoom/zoom"), "/opt/zoom/zoom", UNSIGNED)
    assert found(entry(path="/opt/zoom/zoom"), "/opt/zoom/zoom", UNSIGNED, platform=Platform.WINDOWS) is None


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Zoom Communications, Inc.", "zoom communications inc"),
        ("CN=Microsoft Corporation, O=Microsoft Corporation, L=Redmond", "microsoft corporation"),
        ("CN=Slack Technologies, LLC, O=Slack", "slack technologies llc"),
        ("Developer ID Application: Docker Inc (9BNSXJN65R)", "docker inc"),
        ("", ""),
    ],
)
def test_spelling_of_a_publisher_does_not_matter(text, key):
    assert publisher_key(text) == key


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Zoom Workplace", "zoom.exe", True),
        ("Zoom Workplace", "zoom.us", True),
        ("Zoom Workplace 6.2", "Zoom Workplace (64-bit)", True),
        ("Microsoft Edge Update", "MicrosoftEdgeUpdate", True),
        ("Slack", "Slack Helper (Renderer)", True),
        ("7", "7", True),
        ("Microsoft Teams", "Microsoft Edge", False),
        ("", "", False),
    ],
)
def test_names_go_by_their_words(one, other, same):
    assert goes_by(one, other) is same


def test_a_long_list_is_searched_by_what_the_program_is():
    makers = [entry(f"Tool {n}", line=n, publisher=f"Maker {n}") for n in range(5000)]
    paths = [entry(f"In {n}", line=9000 + n, path=f"C:\\Program Files\\Tool {n}x\\**") for n in range(5000)]
    listed = ApprovedList([*makers, *paths])
    signed = Signer(Trust.TRUSTED, "Maker 77")
    assert listed.approval(behaviour(r"C:\Program Files\A\tool.exe", 80), signed, NOW, ()).entry.line == 77
    assert listed.approval(behaviour(r"C:\Program Files\Tool 9x\a.exe", 80), UNSIGNED, NOW, ()).entry.line == 9009
