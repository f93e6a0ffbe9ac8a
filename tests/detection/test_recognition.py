import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.detection.behaviour import Behaviour, Direction, Platform, Program, Transport
from app.detection.context import Signer, Trust
from app.detection.queries import NEEDED_COLUMNS, UNDERSTOOD, QueryKind
from app.detection.recognition import IDENTITY_COLUMNS, RejectedRow, collapsed_port, recognise, signer_of
from tests.detection.rows import MACOS_LISTEN, MACOS_OUT, WINDOWS_LISTEN, WINDOWS_OUT, socket

SVCHOST = r"C:\Windows\System32\svchost.exe"


def test_an_outbound_row_is_a_program_and_its_remote_port():
    assert recognise(WINDOWS_OUT, socket(SVCHOST, remote_port=5678)) == Behaviour(
        Program(Platform.WINDOWS, r"c:\windows\system32\svchost.exe", "svchost.exe"),
        Direction.OUTBOUND,
        Transport.TCP,
        "5678",
    )


def test_an_inbound_connection_is_the_listener_that_it_reached():
    inbound = recognise(WINDOWS_OUT, socket(SVCHOST, local_port="3389", remote_port="50123", local_port_listening="1"))
    listener = recognise(WINDOWS_LISTEN, socket(SVCHOST, local_port="3389"))
    assert inbound == listener


@pytest.mark.parametrize("port", ["49152", "65535", 50000])
def test_dynamic_ports_are_one(port):
    assert recognise(WINDOWS_OUT, socket(SVCHOST, remote_port=port)).bucket == "dynamic"
    assert collapsed_port(int(port)) == 49152


@pytest.mark.parametrize(
    ("columns", "unit"),
    [
        ({"svchost_hint": "DoSvc"}, "dosvc"),
        ({"service_names": "RpcSs,RpcEptMapper"}, "rpceptmapper,rpcss"),
        ({"service_names": "CDPUserSvc_5e6a1"}, "cdpusersvc"),
        ({"svchost_hint": "", "service_names": ""}, ""),
        ({"cmdline": "svchost.exe -k netsvcs -s Dnscache"}, ""),
    ],
)
def test_services_tell_one_svchost_from_another(columns, unit):
    assert recognise(WINDOWS_OUT, socket(SVCHOST, **columns)).program.unit == unit


def test_a_program_elsewhere_cannot_borrow_a_service_name():
    posing = socket(r"C:\Users\bob\svchost.exe", svchost_hint="DoSvc", service_names="DoSvc")
    assert recognise(WINDOWS_OUT, posing).program.unit == ""


@pytest.mark.parametrize(
    ("labels", "rank", "unit"),
    [
        ("com.apple.screensharing", "3", "com.apple.screensharing"),
        ("a.b,a.b", 2, "a.b"),
        ("one,two", "3", ""),
        ("maybe", "1", ""),
        ("com.x.0F3A5C1B-1111-2222-3333-444455556666", "3", "com.x.*"),
    ],
)
def test_a_launchd_label_counts_when_the_match_is_sure(labels, rank, unit):
    row = socket("/usr/bin/python3", launchd_labels=labels, launchd_match_rank=rank)
    assert recognise(MACOS_LISTEN, row).program.unit == unit


@pytest.mark.parametrize(("path", "name"), [("", "System"), ("System", "System")])
def test_the_windows_kernel_is_system_without_a_path(path, name):
    program = recognise(WINDOWS_OUT, socket(path, proc_name=name)).program
    assert (program.path, program.name) == ("", "system")


def test_a_process_that_was_gone_is_an_unknown_program():
    assert recognise(MACOS_OUT, socket("")).program == Program(Platform.MACOS, "", "unknown")


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"remote_port": "65536"}, "port_out_of_range"),
        ({"remote_port": "-1"}, "port_out_of_range"),
        ({"remote_port": ""}, "not_a_number"),
        ({"remote_port": "४४४"}, "not_a_number"),
        ({"remote_port": "9" * 5000}, "not_a_number"),
        ({"remote_port": None}, "not_a_number"),
        ({"remote_port": 4.5}, "not_a_number"),
        ({"local_port": ["1"]}, "not_a_number"),
        ({"protocol": "1"}, "protocol_unknown"),
        ({"protocol": ""}, "not_a_number"),
    ],
)
def test_a_row_that_makes_no_sense_says_why(columns, reason):
    with pytest.raises(RejectedRow) as problem:
        recognise(WINDOWS_OUT, socket(SVCHOST, **columns))
    assert problem.value.reason == reason


@pytest.mark.parametrize("query", [query for query, (platform, _) in UNDERSTOOD.items() if platform])
def test_a_missing_column_is_named(query):
    platform, kind = UNDERSTOOD[query]
    for column in NEEDED_COLUMNS[platform, kind]:
        row = dict.fromkeys(NEEDED_COLUMNS[platform, kind], "1")
        del row[column]
        with pytest.raises(RejectedRow) as problem:
            recognise(query, row)
        assert (problem.value.reason, problem.value.column) == ("missing_column", column)


@pytest.mark.parametrize("query", ["pack/telemetry/heartbeat", "pack/windows_context/programs", "anything"])
def test_other_queries_carry_no_behaviour(query):
    assert recognise(query, {}) is None
    assert signer_of(query, {}) is None


@pytest.mark.parametrize("columns", [{"remote_port": "0"}, {"remote_port": 0, "local_port": 0}])
def test_a_socket_without_a_peer_is_no_connection(columns):
    assert recognise(WINDOWS_OUT, socket(SVCHOST, **columns)) is None


def test_a_socket_without_a_port_is_no_listener():
    assert recognise(WINDOWS_LISTEN, socket(SVCHOST, local_port="0")) is None


TEXTS = st.text(max_size=20) | st.sampled_from(["6", "17", "443", "51000", "1", "C:\\Windows\\x.exe", "/a/b"])
VALUES = TEXTS | st.integers() | st.none() | st.floats() | st.lists(st.text(), max_size=1) | st.booleans()
COLUMNS = sorted({name for names in (*IDENTITY_COLUMNS.values(), *NEEDED_COLUMNS.values()) for name in names})
ROWS = st.dictionaries(st.sampled_from(COLUMNS) | st.text(max_size=5), VALUES)
FULL_ROWS = st.fixed_dictionaries(dict.fromkeys(COLUMNS, TEXTS))


@given(st.sampled_from(sorted(UNDERSTOOD)), ROWS | FULL_ROWS)
def test_hostile_rows_are_recognised_or_rejected_and_nothing_else(query, columns):
    try:
        behaviour = recognise(query, columns)
        signer_of(query, columns)
    except RejectedRow:
        return
    assert behaviour is None or behaviour.behaviour_id


@given(st.sampled_from(sorted(UNDERSTOOD)), FULL_ROWS, TEXTS)
def test_only_identity_columns_decide(query, columns, other):
    kind = UNDERSTOOD[query][1]
    changed = {name: value if name in IDENTITY_COLUMNS[kind] else other for name, value in columns.items()}
    assert _outcome(query, columns) == _outcome(query, changed)


def _outcome(query, columns):
    try:
        return recognise(query, columns)
    except RejectedRow as problem:
        return problem.reason


@given(st.sampled_from(["6", "17"]), st.integers(0, 65535), st.integers(0, 65535), st.sampled_from("01"))
def test_collapsing_dynamic_ports_changes_no_behaviour(protocol, local, remote, listening):
    rows = [
        socket(SVCHOST, protocol=protocol, local_port=ports[0], remote_port=ports[1], local_port_listening=listening)
        for ports in ((local, remote), (collapsed_port(local), collapsed_port(remote)))
    ]
    assert recognise(WINDOWS_OUT, rows[0]) == recognise(WINDOWS_OUT, rows[1])


def test_the_hot_path_may_forget_addresses_and_command_lines():
    named = {name for names in IDENTITY_COLUMNS.values() for name in names}
    assert not named & {"remote_address", "local_address", "cmdline", "pid", "conn_state", "bind_scope"}
    assert set(IDENTITY_COLUMNS) == set(QueryKind)


@pytest.mark.parametrize(
    ("columns", "signer", "bucket"),
    [
        (
            {"sign_status": "trusted", "subject_name": "Google LLC"},
            Signer(Trust.TRUSTED, "Google LLC"),
            "trusted: Google LLC",
        ),
        ({"sign_status": "missing", "subject_name": ""}, Signer(Trust.UNSIGNED), "unsigned"),
        ({"sign_status": "untrusted", "subject_name": "Evil"}, Signer(Trust.BROKEN, "Evil"), "untrusted: Evil"),
    ],
)
def test_a_windows_signature_is_a_dated_fact_of_a_path(columns, signer, bucket):
    row = {"path": r"C:\A\a.exe"} | columns
    assert signer_of("pack/windows_context/signatures", row) == (r"c:\a\a.exe", signer)
    behaviour = recognise("pack/windows_context/signatures", row)
    assert (behaviour.direction, behaviour.transport, behaviour.bucket) == (Direction.SIGNATURE, Transport.NONE, bucket)


@pytest.mark.parametrize(
    ("columns", "signer"),
    [
        (("1", "Software Signing", ""), Signer(Trust.TRUSTED, "Software Signing")),
        (
            ("1", "Developer ID Application: Docker Inc (9BNSXJN65R)", "9BNSXJN65R"),
            Signer(Trust.TRUSTED, "Developer ID Application: Docker Inc (9BNSXJN65R)"),
        ),
        (("1", "", ""), Signer(Trust.UNSIGNED)),  # ad hoc: names nobody
        (("0", "", ""), Signer(Trust.UNSIGNED)),
        (("0", "Developer ID Application: X (Y)", "Y"), Signer(Trust.BROKEN, "Developer ID Application: X (Y)")),
        (("", "", ""), Signer()),
    ],
)
def test_a_macos_signature_names_team_and_authority(columns, signer):
    names = ("signed", "authority", "team_identifier")
    row = {"path": "/a/b", "identifier": "x"} | dict(zip(names, columns, strict=True))
    assert signer_of("pack/macos_context/signatures", row) == ("/a/b", signer)


def test_a_signature_of_no_path_is_rejected():
    with pytest.raises(RejectedRow, match="path_empty"):
        recognise("pack/windows_context/signatures", {"path": "", "sign_status": "trusted", "subject_name": "X"})
