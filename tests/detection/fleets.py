"""Small fleets with ordinary habits, in which the scenarios play. Built once; what nobody does is not in them."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache

from app.detection.behaviour import Behaviour, Platform
from app.detection.history import History
from app.detection.recognition import recognise

CLIENT_PORT = "51000"
DAYS = range(30)

SYSTEM32 = "C:\\Windows\\System32\\"
PROGRAMS = "C:\\Program Files\\"
OFFICE = f"{PROGRAMS}Microsoft Office\\root\\Office16\\"
SVCHOST = f"{SYSTEM32}svchost.exe"
LSASS = f"{SYSTEM32}lsass.exe"
CHROME = f"{PROGRAMS}Google\\Chrome\\Application\\chrome.exe"
GUEST_AGENT = "C:\\WindowsAzure\\Packages\\GuestAgent\\windowsazureguestagent.exe"
APPS = "/Applications/"
SYSTEM_APPS = "/System/Library/"


@dataclass(frozen=True, slots=True)
class Habit:
    """What a program does on some nodes of a fleet, by number, on some days."""

    path: str
    way: str  #: `out tcp`, `listen udp` …
    ports: tuple[int, ...]
    nodes: Iterable[int] | None = None  #: None: all
    days: Iterable[int] = DAYS
    unit: str = ""  #: Windows service or launchd label


@dataclass(frozen=True, slots=True)
class Fleet:
    platform: Platform
    roles: dict[str, range]  #: role → numbers of its nodes
    habits: tuple[Habit, ...] = field(repr=False)

    def node_of(self, role: str, *, at: int = -1) -> str:
        return f"{self.platform}-{self.roles[role][at]}"

    def role_of(self, number: int) -> str:
        return next(role for role, numbers in self.roles.items() if number in numbers)

    def numbers(self) -> Iterator[int]:
        for numbers in self.roles.values():
            yield from numbers


def shown(platform: Platform, path: str, way: str, port: int, unit: str = "") -> Behaviour:
    """The behaviour in a row as osquery would report it."""
    behaviour = recognise(*row(platform, path, way, port, unit))
    assert behaviour is not None
    return behaviour


def row(platform: Platform, path: str, way: str, port: int, unit: str = "") -> tuple[str, dict[str, str]]:
    direction, transport = way.split()
    outbound = direction == "out"
    columns = {
        "proc_path": path,
        "proc_name": re.split(r"[\\/]", path)[-1],
        "protocol": {"tcp": "6", "udp": "17"}[transport],
        "local_port": CLIENT_PORT if outbound else str(port),
        "remote_port": str(port) if outbound else "0",
        "local_port_listening": "0",
        "svchost_hint": unit,
        "launchd_labels": unit,
        "launchd_match_rank": "3" if unit else "",
    }
    pack = "windows" if platform is Platform.WINDOWS else "macos"
    return f"pack/{pack}_network/{'outbound' if outbound else 'listening'}", columns


@cache
def history_of(name: str) -> History:
    fleet, history = FLEETS[name], History()
    for habit in fleet.habits:
        for port in habit.ports:
            behaviour = shown(fleet.platform, habit.path, habit.way, port, habit.unit)
            for number in habit.nodes if habit.nodes is not None else fleet.numbers():
                for day in habit.days:
                    history.add(f"{fleet.platform}-{number}", fleet.role_of(number), day, behaviour)
    return history


def _newcomers(folder: str, suffix: str, a_day: int, nodes: int) -> Iterator[Habit]:
    """The few signed programs that arrive in every fleet each day, each on one node first."""
    for day in DAYS[8:]:
        for number in range(a_day):
            yield Habit(f"{folder}App{day}x{number}{suffix}", "out tcp", (443,), [(day * 7 + number) % nodes], [day])


#: 200 workstations, of which 40 are developers', 12 collectors of event logs and 12 hosts in a cloud.
WINDOWS = Fleet(
    Platform.WINDOWS,
    {"developer": range(40), "workstation": range(40, 200), "collector": range(200, 212), "cloud": range(212, 224)},
    (
        Habit(SVCHOST, "out tcp", (443, 80, 7680, 5985), range(200)),
        Habit(SVCHOST, "out tcp", (443, 80, 389, 135), range(200), unit="netsvcs"),
        Habit(SVCHOST, "listen tcp", (3389,), range(200), unit="TermService"),
        Habit(SVCHOST, "listen tcp", (135,), range(200), unit="RpcEptMapper"),
        Habit(SVCHOST, "listen udp", (68,), range(200), unit="Dhcp"),
        Habit(SVCHOST, "listen udp", (500, 4500), range(200), unit="IKEEXT"),
        Habit(SVCHOST, "listen udp", (123,), range(200), unit="W32Time"),
        Habit(LSASS, "out tcp", (49674, 88, 389), range(200)),
        Habit(CHROME, "out tcp", (443, 80), range(200)),
        Habit(CHROME, "out tcp", (8080,), range(180)),
        Habit(CHROME, "out tcp", (5228,), range(150)),
        *(Habit(CHROME, "out tcp", (port,), [port % 40], [port % 30]) for port in (8000, 3000, 9443, 10000, 8888)),
        Habit(f"{OFFICE}EXCEL.EXE", "out tcp", (443, 80), range(180)),
        Habit(f"{OFFICE}WINWORD.EXE", "out tcp", (443, 80), range(180)),
        Habit(f"{OFFICE}OUTLOOK.EXE", "out tcp", (443, 80), range(200)),
        Habit(f"{OFFICE}OUTLOOK.EXE", "out tcp", (587, 993), range(60)),
        Habit(
            f"{SYSTEM32}WindowsPowerShell\\v1.0\\powershell.exe",
            "out tcp",
            (443, 80, 5985, 389),
            range(0, 200, 3),
            range(0, 30, 3),
        ),
        Habit("C:\\Program Files (x86)\\Cisco\\Cisco AnyConnect\\aciseagent.exe", "out tcp", (8443,), range(200)),
        Habit(f"{SYSTEM32}OpenSSH\\ssh.exe", "out tcp", (22,), range(60)),
        Habit(f"{SYSTEM32}OpenSSH\\ssh.exe", "out tcp", (2222,), range(3), range(0, 30, 3)),
        Habit("C:\\Windows\\CCM\\CcmExec.exe", "out tcp", (443, 10123), range(200)),
        Habit(f"{PROGRAMS}Code42\\code42service.exe", "out tcp", (443, 4287), range(200)),
        Habit(f"{PROGRAMS}WindowsApps\\MSTeams\\ms-teams.exe", "out tcp", (443,), range(200)),
        Habit("C:\\Program Files (x86)\\AnyDesk\\AnyDesk.exe", "out tcp", (443,), [0]),
        Habit(f"{PROGRAMS}MySQL\\bin\\mysqld.exe", "listen tcp", (3306, 33060), range(10)),
        Habit(SVCHOST, "out tcp", (5985,), range(200, 212), unit="Wecsvc"),
        Habit(GUEST_AGENT, "out tcp", (80,), range(212, 224)),
        Habit(GUEST_AGENT, "out tcp", (32526,), range(212, 214)),
        *_newcomers(PROGRAMS, "\\app.exe", 3, 200),
    ),
)

#: 60 Macs: 12 build hosts with remote login, and laptops.
MACS = Fleet(
    Platform.MACOS,
    {"build": range(12), "laptop": range(12, 60)},
    (
        Habit("/usr/bin/python3", "out tcp", (443, 8089), range(20)),
        Habit("/sbin/launchd", "listen tcp", (22, 5900), range(12)),
        Habit("/sbin/launchd", "listen tcp", (8021,), range(40)),
        Habit(f"{APPS}Microsoft Word.app/Contents/MacOS/Microsoft Word", "out tcp", (443, 993), range(50)),
        Habit(f"{APPS}Microsoft Excel.app/Contents/MacOS/Microsoft Excel", "out tcp", (443, 993), range(50)),
        Habit("/usr/bin/curl", "out tcp", (443, 80), range(50)),
        Habit(
            f"{SYSTEM_APPS}CoreServices/ControlCenter.app/Contents/MacOS/ControlCenter",
            "listen tcp",
            (5000, 7000),
            range(55),
        ),
        Habit(f"{SYSTEM_APPS}PrivateFrameworks/ApplePushService.framework/apsd", "out tcp", (443, 5223)),
        Habit(f"{APPS}Spotify.app/Contents/MacOS/Spotify", "listen tcp", (57621,), range(9)),
        Habit(f"{APPS}Spotify.app/Contents/MacOS/Spotify", "out tcp", (4070,), range(9)),
        Habit(f"{APPS}Dropbox.app/Contents/MacOS/Dropbox", "listen tcp", (17500,), range(14)),
        *(
            Habit(f"{APPS}Docker.app/Contents/MacOS/com.docker.backend", "listen tcp", ports, [number], days)
            for number in range(30)
            for ports, days in [((3000 + number, 8000 + number, 5432, 6000 + 7 * number), range(number, 30, 5))]
        ),
        Habit(f"{APPS}Tailscale.app/Contents/PlugIns/IPNExtension.appex", "listen tcp", (443,), range(12, 14)),
        Habit(f"{APPS}Tailscale.app/Contents/PlugIns/IPNExtension.appex", "out tcp", (443,), range(20)),
        Habit(f"{APPS}zoom.us.app/Contents/MacOS/zoom.us", "out udp", (8801,), range(50)),
        Habit(f"{APPS}zoom.us.app/Contents/MacOS/zoom.us", "out tcp", (443,), range(50)),
        Habit("/usr/bin/ssh", "out tcp", (22,), range(30)),
        Habit("/usr/bin/ssh", "listen tcp", (6379,), [0]),
        Habit("/usr/bin/ssh", "listen tcp", (5432,), range(3)),
        Habit("/usr/bin/ssh", "listen tcp", (8888,), range(3, 5)),
        *_newcomers(APPS, ".app/Contents/MacOS/App", 1, 60),
    ),
)

#: Five hosts that have been watched for a week.
FIVE = Fleet(
    Platform.WINDOWS,
    {"office": range(5)},
    (
        Habit(SVCHOST, "out tcp", (443, 80, 5985), days=range(7)),
        Habit(CHROME, "out tcp", (443,), days=range(7)),
    ),
)

FLEETS = {"windows": WINDOWS, "macs": MACS, "five": FIVE}
