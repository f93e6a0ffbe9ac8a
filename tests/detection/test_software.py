import pytest

from app.detection.behaviour import Platform, Program
from app.detection.context import Signer, Trust
from app.detection.facts import Fact, FactKind, tells_whole_state
from app.detection.paths import file_name, normalised
from app.detection.software import (
    InstalledSoftware,
    SoftwareSource,
    anchors,
    belongs_to,
    installed_in,
    inventory_news,
    known_software,
)
from tests.detection.worked import behaviour

QUERIES = {
    "programs": "pack/windows_context/programs",
    "apps": "pack/macos_context/apps",
    "packages": "pack/macos_context/packages",
    "homebrew": "pack/macos_context/homebrew",
}
NOW = 1_795_000_000
DAY = 86_400


def fact(query, action="added", *, at=NOW, node="N1", whole=False, **columns):
    platform = Platform.WINDOWS if query == "programs" else Platform.MACOS
    return Fact(node, platform, FactKind.SOFTWARE, QUERIES[query], action, columns, at, whole)


def program(path):
    platform = Platform.MACOS if path.startswith("/") else Platform.WINDOWS
    known_as = normalised(platform, path)
    return Program(platform, known_as, file_name(platform, known_as))


def leads(path, item, signer=None):
    """Whether a program is found to belong to an item, as a look-up by anchors would."""
    what = program(path)
    return item.anchor in anchors(what, signer or Signer()) and belongs_to(what, item)


@pytest.mark.parametrize(
    ("columns", "path"),
    [
        ({"install_location": r"C:\Program Files\PostgreSQL\16"}, r"C:\Program Files\PostgreSQL\16\bin\postgres.exe"),
        ({"install_location": '"C:\\Program Files (x86)\\AnyDesk\\"'}, r"C:\Program Files (x86)\AnyDesk\AnyDesk.exe"),
        ({"install_location": r"C:/Program Files/App 1.2.3"}, r"C:\Program Files\App 1.2.3\app.exe"),
        ({"install_location": r"C:\Users\bob\AppData\Local\slack"}, r"C:\Users\al\AppData\Local\slack\app-4\slack.exe"),
        (
            {"install_location": r"C:\Program Files\WindowsApps\Contoso.App_1.21.2911.0_x64__8wekyb3d8bbwe"},
            r"C:\Program Files\WindowsApps\Contoso.App_1.21.2911.0_x64__8wekyb3d8bbwe\a.exe",
        ),
    ],
)  # fmt: skip
def test_a_windows_program_belongs_to_what_is_installed_in_its_folder(columns, path):
    assert leads(path, installed_in(fact("programs", name="It", **columns)))


@pytest.mark.parametrize(
    "location",
    [
        *("", "C:\\", "C:", "\\", "C:\\Program Files", "C:\\Program Files (x86)\\", "C:\\Windows", "C:\\Users\\bob"),
        *("..\\x", "C:\\ProgramData", "C:\\Windows\\System32", "%TEMP%", "C:\\Program Files\\Zoom\\..\\.."),
    ],
)
def test_a_location_in_which_anything_lies_is_none(location):
    item = installed_in(fact("programs", name="It", install_location=location))
    assert item.location == ""
    assert not leads(r"C:\Windows\System32\evil.exe", item)


def test_a_folder_is_not_its_neighbour():
    item = installed_in(fact("programs", name="Zoom", install_location=r"C:\Program Files\Zoom"))
    assert not leads(r"C:\Program Files\Zoom2\zoom.exe", item)
    assert not leads(r"C:\Program Files\Zoom", item)


def test_without_a_location_a_publisher_and_name_lead_to_it():
    item = installed_in(fact("programs", name="Microsoft Edge Update", publisher="Microsoft Corporation"))
    updater = r"C:\Program Files (x86)\Microsoft\EdgeUpdate\MicrosoftEdgeUpdate.exe"
    signed = Signer(Trust.TRUSTED, "Microsoft Corporation")
    assert leads(updater, item, signed)
    assert not leads(updater, item, Signer(Trust.BROKEN, "Microsoft Corporation"))
    assert not leads(r"C:\x\other.exe", item, signed)


@pytest.mark.parametrize(
    ("query", "columns", "path"),
    [
        ("apps", {"name": "Slack.app", "path": "/Applications/Slack.app"}, "/Applications/Slack.app/Contents/Slack"),
        (
            "homebrew",
            {"name": "postgresql@16", "path": "/opt/homebrew/Cellar/postgresql@16"},
            "/opt/homebrew/Cellar/postgresql@16/16.4/bin/postgres",
        ),
        ("packages", {"package_id": "com.docker.vmnetd"}, "/Library/PrivilegedHelperTools/com.docker.vmnetd"),
    ],
)  # fmt: skip
def test_a_mac_program_belongs_to_its_bundle_its_formula_or_the_package_of_its_name(query, columns, path):
    assert leads(path, installed_in(fact(query, **columns)))


def test_rows_without_a_name_say_nothing():
    assert installed_in(fact("programs", name="  ", install_location=r"C:\Program Files\Zoom")) is None
    assert installed_in(fact("apps")) is None


def test_hostile_texts_are_cut_and_shown():
    item = installed_in(fact("programs", name="A\u202e" + "x" * 9000, install_location="C:\\" + "y" * 9000))
    assert len(item.name) <= 256
    assert "\u202e" not in item.name
    assert len(item.location) <= 600


def known(path, items=(), *, signer=None, reported_at=NOW, at=NOW):
    return known_software(
        behaviour(path, 80), signer or Signer(), at, approved=None, nearby=items, reported_at=reported_at
    )


def test_an_inventory_that_was_reported_long_ago_says_nothing_of_what_is_missing():
    assert known(r"C:\x\a.exe").inventory_reported
    assert known(r"C:\x\a.exe", at=NOW + 7 * DAY).inventory_reported
    assert not known(r"C:\x\a.exe", at=NOW + 7 * DAY + 1).inventory_reported
    assert not known(r"C:\x\a.exe", reported_at=None).inventory_reported


def package(name):
    return InstalledSoftware(SoftwareSource.PACKAGES, name, identifier=name)


@pytest.mark.parametrize(
    ("path", "name", "perhaps"),
    [
        ("/opt/docker/bin/dockerd", "com.docker.docker", True),
        ("/usr/local/bin/node", "org.nodejs.node.pkg", True),
        ("/Library/CrowdStrike/falconctl", "com.crowdstrike.falcon.sensor", True),
        ("/usr/local/bin/implant", "com.docker.docker", False),
        ("/Library/Application Support/x9/agent", "io.osquery.agent", False),
    ],
)
def test_a_package_of_the_same_maker_leaves_it_open(path, name, perhaps):
    found = known(path, [package(name)])
    assert package(name).anchor in anchors(program(path), Signer())
    assert (found.installed, found.perhaps_installed) == (None, perhaps)


def test_a_program_of_the_same_publisher_leaves_it_open():
    item = InstalledSoftware(SoftwareSource.PROGRAMS, "Contoso Suite", publisher="Contoso Ltd")
    found = known(r"C:\Program Files\x9\x9.exe", [item], signer=Signer(Trust.TRUSTED, "Contoso Ltd."))
    assert (found.installed, found.perhaps_installed) == (None, True)


def test_apples_own_packages_explain_nothing():
    assert package("com.apple.pkg.CLTools_Executables").anchor == ""


def news(*facts, latest=NOW + DAY):
    found = inventory_news(facts, latest)
    return {(each.item.name, each.item.version, each.present) for each in found.changes.values()}


def test_an_update_is_one_item_with_a_new_version_in_whichever_order_its_rows_come():
    gone, new = fact("programs", "removed", name="Zoom", version="1"), fact("programs", name="Zoom", version="2")
    assert news(gone, new) == news(new, gone) == {("Zoom", "2", True)}


def test_the_end_of_an_older_version_is_not_the_end_of_the_newer():
    new = fact("programs", name="Zoom", version="2", at=NOW)
    assert news(new, fact("programs", "removed", name="Zoom", version="1", at=NOW + 60)) == {("Zoom", "2", True)}
    assert news(new, fact("programs", "removed", name="Zoom", version="2", at=NOW + 60)) == {("Zoom", "2", False)}


def test_reports_are_dated_by_the_node_but_not_in_the_future():
    found = inventory_news([fact("programs", name="Zoom", at=NOW + 9 * DAY)], NOW)
    assert dict(found.reports) == {("N1", SoftwareSource.PROGRAMS): NOW}


@pytest.mark.parametrize(
    ("epoch", "counter", "whole"),
    [(20000, 0, True), ("20000", "0", True), (20000, 1, False), (0, 0, False), (None, 0, False), (20000, None, False)],
)
def test_only_the_first_execution_of_an_epoch_that_was_set_tells_all(epoch, counter, whole):
    assert tells_whole_state(epoch, counter) is whole
