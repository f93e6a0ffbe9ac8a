"""Who can write to the folder that a program runs from."""

import re
from enum import StrEnum

from app.detection.behaviour import Platform


class Place(StrEnum):
    USER_WRITABLE = "user-writable"  #: an ordinary user could have put a program there
    SYSTEM = "system"  #: the operating system's own folders, where new programs come with its updates only
    INSTALLED = "installed"  #: any other folder that needs an administrator
    UNKNOWN = "unknown"  #: no path reported


_WINDOWS_WRITABLE = re.compile(
    r"""\A(?:
        [a-z]:\\(?:users|documents\ and\ settings)\\
      | [a-z]:\\programdata\\(?!microsoft\\(?:windows\ defender|search|edgeupdate)\\)
      | [a-z]:\\(?:temp|tmp|perflogs|\$recycle\.bin|recycler)\\
      | [a-z]:\\windows\\(?:temp|tasks|tracing|debug|fonts|ime|media|help|addins|registration\\crmlog)\\
      | [a-z]:\\windows\\system32\\(?:tasks|spool\\drivers\\color|microsoft\\crypto\\rsa\\machinekeys)\\
      | \\\\
    )""",
    re.VERBOSE,
)
_MACOS_WRITABLE = re.compile(r"\A/(?:Users|Volumes|private/(?:tmp|var/(?:tmp|folders)))/|/\.[^/.]")
_SYSTEM = {
    Platform.WINDOWS: re.compile(r"\A[a-z]:\\windows\\"),
    Platform.MACOS: re.compile(r"\A/(?:System|bin|sbin|usr/(?:bin|sbin|libexec|lib))/"),
}


def place_of(platform: Platform, path: str) -> Place:
    """What kind of folder a normalised path lies in.

    Source: Sigma's rule on connections from odd folders; default permissions of both platforms.
    """
    if not path:
        return Place.UNKNOWN
    writable = _WINDOWS_WRITABLE if platform is Platform.WINDOWS else _MACOS_WRITABLE
    if ".." in re.split(r"[\\/]", path) or writable.search(path):
        return Place.USER_WRITABLE
    return Place.SYSTEM if _SYSTEM[platform].match(path) else Place.INSTALLED


def user_writable(platform: Platform, path: str) -> bool:
    """Whether an ordinary user could have put a program at this normalised path; False when no path is known."""
    return place_of(platform, path) is Place.USER_WRITABLE
