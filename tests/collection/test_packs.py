import pytest

from app.collection.header import PackError
from app.collection.packs import PACKS_DIR, Mode, load_packs
from app.detection.queries import UNDERSTOOD

#: Section 6 of the packs' contract: other tools and recorded data use these names.
FIXED = {
    "windows_network": "outbound listening loopback dns_events process_events sysmon_processes process_creations"
    " wfp_events sysmon_connections dns_cache",
    "macos_network": "outbound listening loopback process_events socket_events",
    "windows_context": "signatures hashes services services_running programs firewall_rules scheduled_tasks host"
    " addresses logged_in etc_services",
    "macos_context": "signatures hashes launchd launchd_sockets launchd_disabled hidden_plists startup_items apps"
    " packages homebrew firewall_exceptions host addresses logged_in etc_services",
    "telemetry": "heartbeat schedule packs events flags",
}


def test_the_shipped_packs_have_the_fixed_names():
    assert {pack.name: {query.name for query in pack.queries} for pack in load_packs()} == {
        pack: set(names.split()) for pack, names in FIXED.items()
    }


def test_every_query_that_the_detection_understands_is_shipped():
    assert UNDERSTOOD.keys() <= {query.result_name for pack in load_packs() for query in pack.queries}


def test_intervals_and_modes_of_the_queries_that_judge_are_as_promised():
    shipped = {query.result_name: query for pack in load_packs() for query in pack.queries}
    promised = {
        "outbound": (60, Mode.DIFFERENTIAL, True),
        "listening": (300, Mode.DIFFERENTIAL, True),
        "loopback": (300, Mode.DIFFERENTIAL, True),
        "signatures": (3600, Mode.DIFFERENTIAL, False),
        "services": (3600, Mode.DIFFERENTIAL, True),
        "launchd": (3600, Mode.DIFFERENTIAL, True),
        "heartbeat": (120, Mode.SNAPSHOT, False),
        "sysmon_connections": (60, Mode.EVENT, False),
        "wfp_events": (60, Mode.EVENT, False),
    }
    for name in UNDERSTOOD:
        query = shipped[name]
        assert (query.interval_seconds, query.mode, query.removed) == promised[query.name], name


def test_only_light_sockets_and_telemetry_are_exempt_from_the_denylist():
    exempt = {query.result_name for pack in load_packs() for query in pack.queries if not query.denylist}
    sockets = {"pack/windows_network/outbound", "pack/macos_network/outbound"}
    assert exempt == sockets | {f"pack/telemetry/{name}" for name in FIXED["telemetry"].split()}


def test_the_packs_folder_is_the_checkouts():
    assert (PACKS_DIR / "README.md").is_file()


def test_packs_are_values_that_can_be_compared_and_hashed(shelf):
    assert load_packs(shelf.root) == load_packs(shelf.root)
    assert hash(load_packs(shelf.root)) == hash(load_packs(shelf.root))


def test_the_statement_is_one_line_without_comments_and_with_its_literals_whole(shelf):
    shelf.query("-- why\nSELECT name\n  -- inside\n  FROM processes\n\n  WHERE path = 'two  spaces -- no comment'")
    (query,) = load_packs(shelf.root)[0].queries
    assert query.statement == "SELECT name FROM processes WHERE path = 'two  spaces -- no comment'"
    assert [number for number, _ in query.body] == [13, 15, 17]


def test_a_header_value_may_go_on_on_the_next_line(shelf):
    shelf.query(needs="SYSTEM,\n--   and patience")
    (query,) = load_packs(shelf.root)[0].queries
    assert query.needs == "SYSTEM, and patience"


@pytest.mark.parametrize(
    ("changes", "line", "words"),
    [
        ({"interval": "soon"}, 2, "`interval` must be like a whole number, not 'soon'"),
        ({"mode": "sometimes"}, 3, "`mode` must be one of differential, snapshot, event"),
        ({"platform": "macos"}, 4, "`platform` must be one of windows, darwin, any"),
        ({"version": "5.15"}, 5, "`version` must be like 5.15.0"),
        ({"removed": "yes"}, 6, "`removed` must be one of true, false"),
        ({"denylist": "1"}, 7, "`denylist` must be one of true, false"),
        ({"startup_priority": "-1"}, 11, "`startup_priority` must be like a whole number"),
        ({"noise": ""}, 9, "`noise` is empty"),
        ({"noise": None}, 1, "the header lacks `noise`"),
        ({"colour": "red"}, 11, "`colour` is not a field of a query"),
        ({"needs": "x\n-- needs: y"}, 9, "`needs` stands here twice"),
        ({"needs": "x\n--nonsense"}, 9, "a header line reads"),
        ({"title": "a\ttab"}, 1, "a tab or another control character"),
    ],
)
def test_a_header_error_names_file_and_line(shelf, changes, line, words):
    path = shelf.query(**changes)
    with pytest.raises(PackError) as caught:
        load_packs(shelf.root)
    assert (caught.value.path, caught.value.line) == (path, line)
    assert words in caught.value.message
    assert str(caught.value).startswith(f"{path}:{line}: ")


@pytest.mark.parametrize(
    ("statement", "line", "words"),
    [
        ("SELECT name\nFROM processes -- all", 13, "a comment must have a line of its own"),
        ("SELECT name\nFROM processes /* all */", 13, "a comment must have a line of its own"),
        ("SELECT 'a\nb' AS name FROM processes", 12, "a quoted text must end on the line that it begins on"),
        ("-- nothing but this", 13, "there is no statement below the header"),
    ],
)
def test_a_statement_that_cannot_be_one_line_is_refused(shelf, statement, line, words):
    path = shelf.query(statement)
    with pytest.raises(PackError) as caught:
        load_packs(shelf.root)
    assert (caught.value.path, caught.value.line) == (path, line)
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('purpose = "x"\nplatform = windows\n', 2, "not TOML"),
        ('purpose = "x"\nplatform = "windows"\n', 1, "`version` is missing"),
        ('purpose = "x"\nplatform = "linux"\nversion = "5.0.0"\n', 2, "platform must be one of"),
        ('purpose = "x"\nplatform = "any"\nversion = "5"\n', 3, "version must be like"),
        ('purpose = 3\nplatform = "any"\nversion = "5.0.0"\n', 1, "`purpose` must be a text"),
        ('purpose = "x"\nplatform = "any"\nversion = "5.0.0"\nshard = 4\n', 4, "`shard` is not a field of a pack"),
        ('purpose = "x"\nplatform = "any"\nversion = "5.0.0"\nasked = "often"\n', 4, "asked must be one of scheduled"),
    ],
)
def test_a_manifest_error_names_file_and_line(shelf, text, line, words):
    path = shelf.manifest()
    path.write_text(text if "asked" in text else f'{text}asked = "scheduled"\n')
    with pytest.raises(PackError) as caught:
        load_packs(shelf.root)
    assert (caught.value.path, caught.value.line) == (path, line)
    assert words in caught.value.message


def test_bytes_that_are_not_utf_8_are_an_error_of_their_line(shelf):
    path = shelf.query()
    path.write_bytes(path.read_bytes() + b"-- caf\xe9\n")
    with pytest.raises(PackError) as caught:
        load_packs(shelf.root)
    assert (caught.value.path, caught.value.line) == (path, 15)


def test_a_missing_folder_and_a_missing_manifest_are_named(shelf):
    with pytest.raises(PackError, match="no such folder"):
        load_packs(shelf.root / "nowhere")
    (shelf.root / "empty").mkdir()
    with pytest.raises(PackError, match=r"empty/pack\.toml:1: the file is missing"):
        load_packs(shelf.root)
