"""What one could use instead: published port lists and plain novelty. Facts of the rules, written down anew.

Sources: SigmaHQ rules/windows/network_connection (callback ports, uncommon ports, rules by image), 2026-08; Elastic
detection rules for macOS interpreters and unsigned binaries, 2026-08.
"""

from collections.abc import Callable
from collections.abc import Set as AbstractSet

from app.detection.addresses import PeerScope
from app.detection.behaviour import Behaviour, Direction
from app.detection.knobs import PortThresholds
from tests.measures.recordings import LabelledRow

#: A row and the behaviours that were seen before → whether it is reported.
Rival = Callable[[LabelledRow, AbstractSet[Behaviour | None]], bool]

_CALLBACK = frozenset(
    {
        100,
        198,
        200,
        243,
        473,
        666,
        700,
        743,
        777,
        1443,
        1515,
        1777,
        1817,
        1904,
        1960,
        2443,
        2448,
        3360,
        3675,
        3939,
        4040,
    }
    | {4433, 4438, 4443, 4444, 4455, 5445, 5552, 5649, 6625, 7210, 7777, 8143, 8843, 9631, 9943, 10101, 12102, 12103}
    | {12322, 13145, 13394, 13504, 13505, 13506, 13507, 14102, 14103, 14154, 49180, 65520, 65535}
)
_UNCOMMON = frozenset({8080, 8888})
_OFFICE = frozenset({"winword.exe", "excel.exe", "powerpnt.exe", "msaccess.exe", "outlook.exe"})
_OFFICE_PORTS = frozenset({53, 80, 139, 389, 443, 445, 3268, 143, 465, 587, 993, 995})
#: Any connection of these is reported; Sigma has a rule for each.
_QUIET = frozenset(
    {"dialer.exe", "eqnedt32.exe", "regsvr32.exe", "cmstp.exe", "mobsync.exe", "winlogon.exe", "regasm.exe"}
    | {"wscript.exe", "cscript.exe", "imewdbld.exe", "addinutil.exe", "notepad.exe", "rundll32.exe"}
)
_ODD_FOLDERS = ("\\$recycle.bin\\", "\\perflogs\\", "\\temp\\", "\\users\\public\\", "\\users\\default\\", "\\fonts\\")
_ELASTIC = frozenset({443, 80, 53, 22, 25, 587, 993, 465, 8080, 8200, 9200})
_FIRST_DYNAMIC = 49152


def sigma_ports(row: LabelledRow, _known: AbstractSet[Behaviour | None]) -> bool:
    """The two port rules as written: public peers only, nothing under Program Files for the callback ports."""
    return row.context.peer_scope is PeerScope.PUBLIC and _in_sigma_lists(row)


def sigma_ports_any_peer(row: LabelledRow, _known: AbstractSet[Behaviour | None]) -> bool:
    return _in_sigma_lists(row)


def sigma_ports_and_images(row: LabelledRow, known: AbstractSet[Behaviour | None]) -> bool:
    return sigma_ports_any_peer(row, known) or _by_image(row)


def elastic_macos_ports(row: LabelledRow, _known: AbstractSet[Behaviour | None]) -> bool:
    """Outbound below the dynamic range, off the rule's list and off Windows' usual ports, which a list for macOS lacks.

    Whether the program is signed or an interpreter is not asked: these rows have no signer.
    """
    port = _outbound_port(row)
    return port is not None and port < _FIRST_DYNAMIC and port not in _ELASTIC | PortThresholds().common


def exact_novelty(row: LabelledRow, known: AbstractSet[Behaviour | None]) -> bool:
    """Program, direction and port that no other recording shows."""
    return row.behaviour is not None and row.behaviour not in known


def _in_sigma_lists(row: LabelledRow) -> bool:
    port, path = _outbound_port(row), row.context.path.lower()
    return (port in _CALLBACK and ":\\program files" not in path) or port in _UNCOMMON


def _by_image(row: LabelledRow) -> bool:
    port, path = _outbound_port(row), row.context.path.lower()
    if port is None or row.behaviour is None:
        return False
    name = row.behaviour.program.name
    odd_office = name in _OFFICE and port not in _OFFICE_PORTS
    return odd_office or name in _QUIET or any(folder in path for folder in _ODD_FOLDERS)


def _outbound_port(row: LabelledRow) -> int | None:
    """Dynamic ports are one to a behaviour; on these lists none of them matters but two."""
    if row.behaviour is None or row.behaviour.direction is not Direction.OUTBOUND:
        return None
    return row.behaviour.port if row.behaviour.port is not None else _FIRST_DYNAMIC


RIVALS: dict[str, Rival] = {
    "Sigma: callback ports, 8080, 8888, as written": sigma_ports,
    "the same for private peers, too": sigma_ports_any_peer,
    "and Sigma's rules by image": sigma_ports_and_images,
    "Elastic: macOS port set, and Windows' usual ports": elastic_macos_ports,
    "Exact novelty: never seen elsewhere": exact_novelty,
}
