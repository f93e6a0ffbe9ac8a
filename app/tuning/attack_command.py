"""What `portbook attack refresh` does: pin ATT&CK's objects anew out of a downloaded bundle."""

from pathlib import Path

import msgspec

from app.detection import attack as attack_module
from app.detection.attack import Attack, AttackProblem, attack, differences, refreshed

PINNED_FILE = Path(attack_module.__file__).with_name("attack.json")
#: Enterprise ATT&CK 19 has 54 MB.
BUNDLE_MAX_BYTES = 256 * 1024 * 1024


class BundleProblem(ValueError):
    """A bundle that cannot be used; the text names the file."""


def refresh(bundle: Path, output: Path) -> tuple[Attack, list[str]]:
    """Writes what the bundle says of our objects to `output`; returns it, and what changed, in words.

    Raises:
        BundleProblem: unreadable, too long, no bundle, or not of Enterprise ATT&CK.
    """
    try:
        found = refreshed(attack(), _read(bundle), bundle.name)
    except AttackProblem as problem:
        raise BundleProblem(f"{bundle}: {problem}") from None
    output.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    return found, list(differences(attack(), found))


def _read(bundle: Path) -> bytes:
    try:
        with bundle.open("rb") as file:
            content = file.read(BUNDLE_MAX_BYTES + 1)
    except OSError as problem:
        raise BundleProblem(f"{bundle}: {problem.strerror}") from None
    if len(content) > BUNDLE_MAX_BYTES:
        raise BundleProblem(f"{bundle}: longer than {BUNDLE_MAX_BYTES // 1024 // 1024} MiB")
    return content
