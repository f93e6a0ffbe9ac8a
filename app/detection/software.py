"""What is installed on a node, by its own word, and which of it a program belongs to."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from app.detection.approved import (
    Approval,
    ApprovedList,
    goes_by,
    names_something,
    own_names,
    publisher_key,
    separator,
    words,
)
from app.detection.behaviour import Behaviour, Platform, Program, digest
from app.detection.columns import text
from app.detection.context import Signer, Trust
from app.detection.facts import Fact
from app.detection.paths import normalised

LONGEST_NAME = 256  #: characters, so that a name and a publisher fit an index of the database together
MOST_ANCHORS = 60
_PACKAGES = "package"  #: of all receipts that are not Apple's: a node has few, and none says what it put where
#: Words of package names and of paths that name neither maker nor product.
_NO_MAKER = frozenset(
    {"com", "org", "net", "io", "us", "pkg", "app", "apps", "mac", "macos", "osx", "usr", "local", "bin", "sbin", "opt"}
    | {"lib", "library", "application", "applications", "support", "contents", "resources", "helper", "helpers"}
    | {"agent", "client", "server", "service", "private", "var", "system", "users", "extension", "framework", "tools"}
)
#: An inventory comes every four hours; what a node said longer ago is no word on what it has not.
INVENTORY_SECONDS = 7 * 86_400


class SoftwareSource(StrEnum):
    PROGRAMS = "programs"
    APPS = "apps"
    PACKAGES = "packages"  #: receipts of Apple's installer, which do not say what they put where
    HOMEBREW = "homebrew"


#: Without this one a node's inventory has not been reported, whatever else has been.
MAIN_SOURCE = {Platform.WINDOWS: SoftwareSource.PROGRAMS, Platform.MACOS: SoftwareSource.APPS}


_SOURCES: Mapping[str, SoftwareSource] = {source.value: source for source in SoftwareSource}


@dataclass(frozen=True, slots=True)
class InstalledSoftware:
    """One item of a node's inventory. `location` is a normalised folder, empty where none, or none of its own."""

    source: SoftwareSource
    name: str
    publisher: str = ""
    identifier: str = ""  #: bundle, package or package family
    version: str = ""
    location: str = ""

    @property
    def item_id(self) -> UUID:
        """The same whatever the version is."""
        return digest("software", self.source, self.name, self.publisher, self.identifier, self.location)

    @property
    def anchor(self) -> str:
        """What its programs are looked up by; empty where nothing leads from a program to it."""
        if self.location:
            return self.location
        if self.source is SoftwareSource.PACKAGES:
            return "" if self.identifier.casefold().startswith("com.apple.") else _PACKAGES
        publisher = publisher_key(self.publisher)
        return f"publisher {publisher}" if publisher else ""


def source_of(query: str) -> SoftwareSource | None:
    """The inventory that a query asks for."""
    return _SOURCES.get(query.rpartition("/")[2])


def installed_in(fact: Fact) -> InstalledSoftware | None:
    """The item that a row of an inventory names, or None where it names nothing."""
    source = source_of(fact.query)
    item = _READ[source](fact.platform, fact.columns) if source else None
    return item if item and item.name else None


def _program(platform: Platform, columns: Mapping[str, object]) -> InstalledSoftware:
    return InstalledSoftware(
        SoftwareSource.PROGRAMS,
        _short(columns, "name"),
        _short(columns, "publisher"),
        _short(columns, "package_family_name"),
        _short(columns, "version"),
        _folder(platform, text(columns, "install_location")),
    )


def _app(platform: Platform, columns: Mapping[str, object]) -> InstalledSoftware:
    version = _short(columns, "bundle_short_version") or _short(columns, "bundle_version")
    name, folder = _short(columns, "name").removesuffix(".app"), _folder(platform, text(columns, "path"))
    return InstalledSoftware(
        SoftwareSource.APPS, name, identifier=_short(columns, "bundle_identifier"), version=version, location=folder
    )


def _package(_platform: Platform, columns: Mapping[str, object]) -> InstalledSoftware:
    name = _short(columns, "package_id")
    return InstalledSoftware(SoftwareSource.PACKAGES, name, identifier=name, version=_short(columns, "version"))


def _homebrew(platform: Platform, columns: Mapping[str, object]) -> InstalledSoftware:
    name, folder = _short(columns, "name"), _folder(platform, text(columns, "path"))
    return InstalledSoftware(SoftwareSource.HOMEBREW, name, version=_short(columns, "version"), location=folder)


_READ: Mapping[SoftwareSource, Callable[[Platform, Mapping[str, object]], InstalledSoftware]] = {
    SoftwareSource.PROGRAMS: _program,
    SoftwareSource.APPS: _app,
    SoftwareSource.PACKAGES: _package,
    SoftwareSource.HOMEBREW: _homebrew,
}


def _short(columns: Mapping[str, object], name: str) -> str:
    return text(columns, name)[:LONGEST_NAME]


def _folder(platform: Platform, path: str) -> str:
    """A folder as it stands in the paths of its programs; empty for a root or a folder in which anything may lie."""
    edge = separator(platform)
    path = path.strip('"').replace("/", edge).rstrip(edge)
    folder = normalised(platform, f"{path}{edge}x").removesuffix(f"{edge}x") if path else ""
    parts = folder.split(edge)
    return folder if len(parts) > 1 and ".." not in parts and names_something(parts[1:]) else ""


def anchors(program: Program, signer: Signer) -> tuple[str, ...]:
    """By what the software that a program belongs to can be found: its folders, its publisher, any package."""
    edge = separator(program.platform)
    parts = program.path.split(edge)
    folders = [edge.join(parts[:end]) for end in range(2, len(parts))][:MOST_ANCHORS]
    if program.platform is Platform.MACOS:
        return (_PACKAGES, *folders)
    publisher = publisher_key(signer.name) if signer.trust is Trust.TRUSTED else ""
    return (f"publisher {publisher}", *folders) if publisher else tuple(folders)


def belongs_to(program: Program, item: InstalledSoftware) -> bool:
    """Whether a program is part of an item that one of its anchors led to."""
    if item.location:
        return program.path.startswith(item.location + separator(program.platform))
    if item.source is SoftwareSource.PACKAGES:
        return item.identifier in {program.name, program.unit}
    return any(goes_by(item.name, name) for name in own_names(program))


def _may_belong_to(program: Program, item: InstalledSoftware) -> bool:
    """Whether a program could be part of an item that does not say where it lies: they share maker or product."""
    if item.source is SoftwareSource.PACKAGES:
        return not words(item.identifier).isdisjoint(words(program.path) - _NO_MAKER)
    return True


@dataclass(frozen=True, slots=True)
class KnownSoftware:
    """What an approved list and a node's inventory say of a program."""

    list_imported: bool = False
    inventory_reported: bool = False
    approval: Approval | None = None
    installed: InstalledSoftware | None = None
    perhaps_installed: bool = False  #: its maker's software is installed, and nobody knows where


def known_software(
    behaviour: Behaviour,
    signer: Signer,
    at: float,
    *,
    approved: ApprovedList | None,
    nearby: Iterable[InstalledSoftware],
    reported_at: float | None,
) -> KnownSoftware:
    """What is known of the program of a behaviour at a unix time.

    `nearby`: items of the node's inventory that the program's anchors lead to, `reported_at`: when it last reported it.
    """
    found = sorted(nearby, key=lambda item: (-len(item.location), item.source, item.name, item.identifier))
    own = [item for item in found if belongs_to(behaviour.program, item)]
    names = [item.name for item in own]
    return KnownSoftware(
        list_imported=approved is not None,
        inventory_reported=reported_at is not None and at - reported_at <= INVENTORY_SECONDS,
        approval=approved.approval(behaviour, signer, at, names) if approved else None,
        installed=own[0] if own else None,
        perhaps_installed=not own and any(_may_belong_to(behaviour.program, item) for item in found),
    )


@dataclass(frozen=True, slots=True)
class InventoryChange:
    """What a row says of one item of a node: that it is there, or that of this version it is gone."""

    item: InstalledSoftware
    present: bool
    at: int  #: unix seconds


@dataclass(frozen=True, slots=True)
class InventoryNews:
    """What the facts of some batches come to: the last word on each item, and what was told in full."""

    changes: Mapping[tuple[str, UUID], InventoryChange]  #: by node and item
    reports: Mapping[tuple[str, SoftwareSource], int]  #: when each inventory was last reported
    whole: Mapping[tuple[str, SoftwareSource], int]  #: since when all that is there was said anew


def inventory_news(facts: Sequence[Fact], latest: float) -> InventoryNews:
    """Facts in the order in which they came; times beyond `latest` are cut to it.

    Of one execution the removed rows come first: an update removes a row and adds one.
    """
    changes: dict[tuple[str, UUID], InventoryChange] = {}
    reports: dict[tuple[str, SoftwareSource], int] = {}
    whole: dict[tuple[str, SoftwareSource], int] = {}
    for fact in _removed_first(facts):
        source, item = source_of(fact.query), installed_in(fact)
        if source is None:
            continue
        at, key = int(min(max(fact.observed_at, 0), latest)), (fact.node, source)
        reports[key] = max(at, reports.get(key, 0))
        if fact.whole:
            whole[key] = max(at, whole.get(key, 0))
        if item:
            change = InventoryChange(item, fact.action != "removed", at)
            known = changes.get((fact.node, item.item_id))
            if known is None or _follows(change, known):
                changes[fact.node, item.item_id] = change
    return InventoryNews(changes, reports, whole)


def _follows(change: InventoryChange, known: InventoryChange) -> bool:
    """Whether a later row outweighs an earlier one: the end of another version is not the end of this one."""
    return change.present or not known.present or change.item.version == known.item.version


def _removed_first(facts: Sequence[Fact]) -> list[Fact]:
    """Executions stay in their order."""
    places: dict[tuple[str, str, int], int] = {}
    for number, fact in enumerate(facts):
        places.setdefault((fact.node, fact.query, fact.observed_at), number)
    return sorted(facts, key=lambda fact: (places[fact.node, fact.query, fact.observed_at], fact.action != "removed"))
