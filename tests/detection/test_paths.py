import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.detection.behaviour import Platform
from app.detection.paths import file_name, normalised, visible
from app.detection.places import Place, place_of, user_writable

W, M = Platform.WINDOWS, Platform.MACOS
SVCHOST = r"c:\windows\system32\svchost.exe"


@pytest.mark.parametrize(
    ("platform", "reported", "known_as"),
    [
        (W, r"C:\Windows\System32\svchost.exe", SVCHOST),
        (W, r"\\?\C:\Windows\System32\svchost.exe", SVCHOST),
        (W, r"\??\C:\WINDOWS\system32\svchost.exe", SVCHOST),
        (W, r"\SystemRoot\System32\svchost.exe", SVCHOST),
        (W, r"%SystemRoot%\System32\svchost.exe", SVCHOST),
        (W, "C:/Windows/System32/svchost.exe", SVCHOST),
        (W, r"D:\Tools\x.exe", r"d:\tools\x.exe"),
        (W, r"\Device\HarddiskVolume3\Windows\System32\svchost.exe", SVCHOST),
        (W, r"\device\harddiskvolume2\program files (x86)\a\b.exe", r"c:\program files (x86)\a\b.exe"),
        (W, r"\Device\HarddiskVolume3\Tools\x.exe", r"\device\harddiskvolume*\tools\x.exe"),
        (W, r"\Device\HarddiskVolume7\Windows\x.exe", r"\device\harddiskvolume*\windows\x.exe"),
        (W, r"\\?\UNC\files\share\x.exe", r"\\files\share\x.exe"),
        (W, r"C:\Users\alice\AppData\x.exe", r"c:\users\*\appdata\x.exe"),
        (W, r"C:\Users\Public\x.exe", r"c:\users\public\x.exe"),
        (
            W,
            r"C:\WindowsAzure\GuestAgent_2.7.41491.993_2020-10-08_063613\GuestAgent\WindowsAzureGuestAgent.exe",
            r"c:\windowsazure\guestagent_*\guestagent\windowsazureguestagent.exe",
        ),
        (W, r"C:\Packages\Agent\1.4.1587.1\a.exe", r"c:\packages\agent\*\a.exe"),
        (
            W,
            r"C:\Program Files\Google\Chrome\Application\119.0.1\c.exe",
            r"c:\program files\google\chrome\application\*\c.exe",
        ),
        (
            W,
            r"C:\Program Files\WindowsApps\MSTeams_24033.811.2738.2546_x64__8wekyb3d8bbwe\ms-teams.exe",
            r"c:\program files\windowsapps\msteams_*_8wekyb3d8bbwe\ms-teams.exe",
        ),
        (W, r"C:\Temp\{0F3A5C1B-1111-2222-3333-444455556666}\s.exe", r"c:\temp\*\s.exe"),
        (M, "/Users/alice/Applications/A.app/Contents/MacOS/A", "/Users/*/Applications/A.app/Contents/MacOS/A"),
        (M, "/Users/Shared/a", "/Users/Shared/a"),
        (M, "/var/folders/zz/zyxw_1/T/a", "/private/var/folders/*/*/T/a"),
        (
            M,
            "/private/var/folders/ab/cdef/T/AppTranslocation/0F3A5C1B-1111-2222-3333-444455556666/d/A.app/Contents/MacOS/A",
            "/private/var/folders/*/*/T/AppTranslocation/*/d/A.app/Contents/MacOS/A",
        ),
        (M, "/opt/homebrew/Cellar/node/21.1.0_1/bin/node", "/opt/homebrew/Cellar/node/*/bin/node"),
        (M, "/opt/homebrew/Cellar/python@3.11/3.11.6/bin/python3.11", "/opt/homebrew/Cellar/python@*/*/bin/python3.11"),
        (M, "/Applications/Xcode-15.2.app/Contents/MacOS/Xcode", "/Applications/Xcode-*.app/Contents/MacOS/Xcode"),
        (M, "/System/Volumes/Data/Users/bob/a", "/Users/*/a"),
    ],
)
def test_updates_and_user_names_do_not_make_a_new_program(platform, reported, known_as):
    assert normalised(platform, reported) == known_as


@pytest.mark.parametrize(
    "posing",
    [
        r"C:\Windows \System32\svchost.exe",  # mock trusted folder
        r"C:\Windows\System32\1.0.0\svchost.exe",
        r"C:\Users\bob\Windows\System32\svchost.exe",
        r"\Device\HarddiskVolume9\Windows\System32\svchost.exe",  # a stick
        r"\\evil\c$\Windows\System32\svchost.exe",
        "C:\\Windows\\System32\\svc\u200bhost.exe",
        "C:\\Windows\\System32\\svchost.exe\x01",
        "C:\\Windows\\System32\0\\svchost.exe",
    ],
)
def test_no_other_path_turns_into_a_trusted_program(posing):
    assert normalised(W, posing) != SVCHOST


@given(st.sampled_from(Platform), st.text() | st.from_regex(r"([a-z]:)?([\\/][\w .@{}*-]{1,12}){1,9}", fullmatch=True))
def test_normalising_is_total_idempotent_and_printable(platform, path):
    once = normalised(platform, path)
    assert normalised(platform, once) == once
    assert once.isprintable()
    once.encode()


@given(st.from_regex(r"C:(\\[\w .@{}-]{1,20}){1,9}", fullmatch=True))
def test_the_depth_of_a_path_stays(path):
    assert normalised(W, path).count("\\") == path.strip().count("\\")


def test_agents_of_different_age_spell_one_path_alike():
    assert visible("C:\\Jos\\xC3\\xA9") == "C:\\José"
    assert visible("tab\\x09") == visible("tab\x09") == "tab\ufffd"
    assert visible("C:\\xADATA\\xFF") == "C:\\xADATA\\xFF"  # folders that only look like escapes
    assert visible("cpu\0\0\0") == "cpu"


def test_hostile_folder_names_take_no_time():
    assert normalised(W, "C:\\" + "a-1" * 80 + "!\\x.exe").endswith("x.exe")
    assert len(normalised(M, "/" + "a" * 100_000)) < 1100


def test_a_name_is_the_last_part_of_a_path():
    assert file_name(W, SVCHOST) == "svchost.exe"
    assert file_name(M, "/usr/bin/ssh") == "ssh"


@pytest.mark.parametrize(
    ("platform", "path", "place"),
    [
        (W, r"C:\Users\bob\AppData\Local\Temp\implant.exe", Place.USER_WRITABLE),
        (W, r"C:\ProgramData\netagent.exe", Place.USER_WRITABLE),
        (W, r"C:\ProgramData\Microsoft\Windows Defender\Platform\4.18\MsMpEng.exe", Place.INSTALLED),
        (W, r"C:\Windows\Temp\a.exe", Place.USER_WRITABLE),
        (W, r"C:\Windows\System32\spool\drivers\color\a.exe", Place.USER_WRITABLE),
        (W, r"C:\$Recycle.Bin\a.exe", Place.USER_WRITABLE),
        (W, r"\\server\share\a.exe", Place.USER_WRITABLE),
        (W, r"C:\Windows\System32\..\..\a.exe", Place.USER_WRITABLE),
        (W, r"C:\Windows\System32\svchost.exe", Place.SYSTEM),
        (W, r"C:\Program Files\A\a.exe", Place.INSTALLED),
        (W, "", Place.UNKNOWN),
        (M, "/Users/bob/Library/Preferences/UserAgent/UserAgent", Place.USER_WRITABLE),
        (M, "/tmp/a", Place.USER_WRITABLE),
        (M, "/Volumes/Installer/a", Place.USER_WRITABLE),
        (M, "/Library/.hidden/a", Place.USER_WRITABLE),
        (M, "/usr/bin/curl", Place.SYSTEM),
        (M, "/Applications/A.app/Contents/MacOS/A", Place.INSTALLED),
    ],
)
def test_a_folder_says_who_could_put_a_program_there(platform, path, place):
    known_as = normalised(platform, path)
    assert place_of(platform, known_as) is place
    assert user_writable(platform, known_as) is (place is Place.USER_WRITABLE)
