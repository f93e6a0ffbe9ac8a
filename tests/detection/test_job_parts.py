import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.detection.facts import FACT_QUERIES, FactKind
from app.detection.job_parts import LONGEST_VALUE, MOST_FIELDS, JobKind, hear_all, heard, said_in
from tests.detection.job_rows import DAY, fact, launchd, parts_of, running, service, socket_key, switch

JOB_QUERIES = sorted(query for query, (_, kind) in FACT_QUERIES.items() if kind is FactKind.JOB)


def only(*facts):
    (part,) = parts_of(*facts).values()
    return part


def test_what_is_said_again_is_no_news():
    part = only(launchd(program="/a", at=1))
    assert heard(part, *said_in([launchd(program="/a", at=DAY)])) is part


def test_another_configuration_is_a_change_that_remembers_the_last_one():
    part = only(launchd(program="/a", at=1), launchd(program="/b", at=9))
    assert (part.first_seen_at, part.changed_at) == (1, 9)
    assert (dict(part.before), dict(part.says)) == ({"program": "/a"}, {"program": "/b"})


@pytest.mark.parametrize("turned", [False, True])
def test_a_change_is_one_whichever_of_its_rows_comes_first(turned):
    pair = [launchd(program="/a", at=9, action="removed"), launchd(program="/b", at=9)]
    part = only(launchd(program="/a", at=1))
    for each in reversed(pair) if turned else pair:
        part = heard(part, *said_in([each]))
    assert (part.changed_at, part.ended_at, dict(part.says)) == (9, None, {"program": "/b"})


def test_a_removed_row_ends_a_job_and_the_same_job_coming_back_is_no_news():
    gone = only(launchd(program="/a", at=1), launchd(program="/a", at=9, action="removed"))
    assert (gone.ended_at, gone.alive(9), gone.alive(10)) == (9, True, False)
    back = heard(gone, *said_in([launchd(program="/a", at=20)]))
    assert (back.first_seen_at, back.changed_at, back.ended_at) == (1, None, None)


def test_rows_that_come_late_change_nothing():
    part = only(launchd(program="/a", at=1), launchd(program="/b", at=9))
    assert heard(part, *said_in([launchd(program="/a", at=3)])) is part
    assert heard(part, *said_in([launchd(program="/b", at=8, action="removed")])) is part


def test_a_removed_row_of_what_nobody_knew_says_nothing():
    assert parts_of(launchd(program="/a", action="removed")) == {}


def test_sockets_are_told_row_by_row_and_those_of_the_first_moment_are_no_change():
    name, kind = "Listeners/SockServiceName", "Listeners/SockType"
    rows = [socket_key(name, "ssh", at=1), socket_key(kind, "stream", at=1)]
    assert only(*rows).changed_at is None
    moved = [socket_key(name, "ssh", at=9, action="removed"), socket_key(name, "2222", at=9)]
    part = only(*rows, *moved)
    assert dict(part.says) == {f"Sockets/{name}": "2222", f"Sockets/{kind}": "stream"}
    assert (part.changed_at, dict(part.before)[f"Sockets/{name}"]) == (9, "ssh")


def test_sockets_of_which_every_row_is_removed_end():
    row = ("Listeners/SockServiceName", "ssh")
    assert only(socket_key(*row, at=1), socket_key(*row, at=9, action="removed")).ended_at == 9


def test_keys_of_a_plist_that_say_nothing_of_ports_are_left_out():
    assert parts_of(socket_key("Listeners/SockPathName", "/var/run/x"), socket_key("0", "x", key="Associated")) == {}


def test_two_plists_of_one_label_are_two_jobs():
    other = launchd(plist="/Users/aoki/Library/LaunchAgents/com.example.relay.plist", program="/a")
    assert len(parts_of(launchd(program="/a"), other)) == 2


def test_instances_of_a_service_are_one_service_and_drivers_are_none():
    rows = [service(name, r"C:\a.exe", account=who) for name, who in (("Cdp_1a2b3", "bob"), ("Cdp_4c5d6", "eve"))]
    assert only(*rows, service("Tcpip", "tcpip.sys", kind="KERNEL_DRIVER")).label == "cdp"


def test_a_pid_is_told_of_services_that_run():
    part = only(running("TermService", "1016"), running("Stopped", "0"), running("Cdp_1a2b3", "5"))
    assert (part.kind, part.label, part.known_by) == (JobKind.RUNNING, "termservice", "pid 1016")


def test_a_node_has_no_more_parts_than_it_has_room_for():
    parts = parts_of(*(launchd(f"l{n}", f"/p{n}", program="/a") for n in range(5)), room=3)
    assert len(parts) == 3
    assert hear_all(parts, said_in([launchd("l0", "/p0", program="/b", at=2)]), 0)


def test_huge_texts_are_cut_and_still_told_apart():
    first, second = (launchd("l" * 9999, "/p" * 9999, program_arguments="x" * 3000 + end) for end in "ab")
    part = only(first)
    assert len(part.label) <= 255
    assert len(part.source) <= 600
    assert len(part.fields["program_arguments"]) < LONGEST_VALUE + 50
    assert heard(part, *said_in([second])) is not part


def test_a_part_has_no_more_fields_than_the_limit():
    part = only(*(socket_key(f"L{n}/SockServiceName", str(n)) for n in range(1, 2 * MOST_FIELDS)))
    assert len(part.says) == MOST_FIELDS


def test_a_switch_is_kept_by_its_label():
    part = only(switch("com.openssh.sshd", "1", at=1), switch("com.openssh.sshd", "0", at=9))
    assert (part.kind, part.changed_at, part.fields) == (JobKind.SWITCH, 9, {"disabled": "0"})


hostile = st.one_of(st.text(max_size=40), st.integers(), st.none(), st.lists(st.integers(), max_size=2))
columns = st.sampled_from(
    ["label", "plist_path", "program", "program_arguments", "key", "subkey", "value", "path", "name", "pid"]
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(JOB_QUERIES),
            st.dictionaries(columns, hostile),
            st.integers(0, 3),
            st.sampled_from(["added", "removed", "snapshot", ""]),
        )
    )
)
def test_whatever_rows_say_they_are_heard(rows):
    facts = [fact(query, row, at=at, action=action) for query, row, at, action in rows]
    for part in parts_of(*facts).values():
        assert part.first_seen_at <= part.said_at
        assert len(part.known_by) <= 600
        assert part.fields is not None
