from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.detection.behaviour import Direction, Transport
from app.detection.job_parts import JobKind
from app.detection.job_sockets import sockets_of
from app.detection.jobs import MatchedBy, is_interpreter, wanted
from tests.detection.job_rows import (
    SSH_PLIST,
    context,
    fact,
    hidden_plist,
    launchd,
    listener,
    match,
    parts_of,
    running,
    service,
    socket_key,
    startup_item,
    switch,
)

RELAY = "/usr/local/libexec/relay"
LAUNCHD = "/sbin/launchd"
SVCHOST = r"C:\Windows\System32\svchost.exe"
HOLDS = {"parent_pid": "0", "parent_path": "", "parent_name": "kernel_task", "pid": "1"}


def of(facts, path, *, port=8080, **columns):
    return match(facts, listener(path, port), context(path, **columns))


def labels(found):
    return [job.label for job in found.jobs] if found else None


@pytest.mark.parametrize(
    ("configured", "command", "by"),
    [
        ({"program_arguments": f"{RELAY} --port 8080"}, f"{RELAY} --port 8080", MatchedBy.COMMAND_LINE),
        ({"program": RELAY}, RELAY, MatchedBy.COMMAND_LINE),
        ({"program": RELAY, "program_arguments": "relay --port 1"}, f"{RELAY} --port 8080", MatchedBy.PROGRAM),
        ({"program_arguments": f"{RELAY} --port 1"}, f"{RELAY} --port 8080", MatchedBy.PROGRAM),
        ({"program": "/usr/local/libexec/rela"}, RELAY, None),
    ],
)
def test_a_child_of_launchd_is_matched_by_rank(configured, command, by):
    found = of([launchd(**configured)], RELAY, cmdline=command)
    assert (found and found.by) is by


def test_an_interpreter_with_the_script_of_a_job_is_rank_2():
    job = launchd(program_arguments="/opt/relay/run.py --quiet")
    found = of([job], "/usr/bin/python3", cmdline="/usr/bin/python3 -u /opt/relay/run.py --quiet")
    assert (found.by, labels(found), found.job is not None) == (MatchedBy.SCRIPT, ["com.example.relay"], True)


def test_an_interpreter_at_rank_1_is_no_proof():
    found = of([launchd(program_arguments="/bin/sh /opt/a.sh")], "/bin/sh", cmdline="/bin/sh /opt/b.sh")
    assert (found.by, found.interpreter, found.job) == (MatchedBy.PROGRAM, True, None)
    assert is_interpreter("/bin/sh")
    assert not is_interpreter(RELAY)


def test_the_stronger_match_wins():
    weak = launchd("weak", "/Library/LaunchDaemons/w.plist", program=RELAY, program_arguments="relay -x")
    strong = launchd("strong", "/Library/LaunchDaemons/s.plist", program_arguments=f"{RELAY} -y")
    assert labels(of([weak, strong], RELAY, cmdline=f"{RELAY} -y")) == ["strong"]


def test_two_plists_of_one_label_leave_it_open():
    plists = ("/Library/LaunchDaemons/a.plist", "/Library/LaunchAgents/a.plist")
    found = of([launchd("a", plist, program=RELAY) for plist in plists], RELAY)
    assert (labels(found), found.job) == (["a", "a"], None)


def test_agents_of_another_account_do_not_own_a_process():
    homes = [launchd("a", f"/Users/{who}/Library/LaunchAgents/a.plist", program=RELAY) for who in ("aoki", "bob")]
    found = of(homes, RELAY, username="bob")
    assert found.job.main.source == "/Users/bob/Library/LaunchAgents/a.plist"


def test_a_program_that_launchd_did_not_start_has_no_job():
    assert of([launchd(program=RELAY)], RELAY, parent_pid="412", parent_path="/bin/zsh") is None


def test_a_job_that_ended_before_owns_nothing():
    facts = [launchd(program=RELAY, at=1), launchd(program=RELAY, at=5, action="removed")]
    assert match(facts, listener(RELAY, 80), context(RELAY), at=5)
    assert match(facts, listener(RELAY, 80), context(RELAY), at=6) is None


def test_the_name_in_the_row_stands_in_for_missing_facts():
    found = of([], RELAY, launchd_labels="com.example.relay", launchd_match_rank="3")
    assert (found.by, labels(found), found.job.main) == (MatchedBy.ROW, ["com.example.relay"], None)
    two = of([], RELAY, launchd_labels="a,b", launchd_match_rank="1")
    assert (two.by, labels(two), two.job) == (MatchedBy.PROGRAM, ["a", "b"], None)


def test_a_sure_row_outweighs_a_guess_by_path():
    facts = [
        launchd("guess", "/g.plist", program="/opt/v/postgres", program_arguments="x"),
        launchd("sure", "/s.plist"),
    ]
    sure = {"launchd_labels": "sure", "launchd_match_rank": "3"}
    assert labels(of(facts, "/opt/v/postgres", cmdline="/opt/link/postgres -D x", **sure)) == ["sure"]


def ssh(name="ssh", *more):
    return [
        launchd("com.openssh.sshd", SSH_PLIST, program="/usr/libexec/sshd-keygen-wrapper"),
        socket_key("Listeners/SockServiceName", name),
        *more,
    ]


def test_a_port_that_launchd_holds_belongs_to_the_job_whose_sockets_ask_for_it():
    found = of(ssh(), LAUNCHD, port=22, **HOLDS)
    assert (found.by, labels(found)) == (MatchedBy.SOCKETS, ["com.openssh.sshd"])
    assert found.job.program == "/usr/libexec/sshd-keygen-wrapper"


def test_a_port_that_no_job_asks_for_is_nobodys_though_launchd_holds_it():
    found = of(ssh(), LAUNCHD, port=2222, **HOLDS)
    assert (found.by, found.jobs) == (None, ())
    assert of([], LAUNCHD, port=22, **HOLDS).since == {}


def test_two_jobs_that_ask_for_one_port_leave_it_open():
    other = socket_key("L/SockServiceName", "22", "com.example.other", "/Library/LaunchDaemons/o.plist")
    assert labels(of(ssh("ssh", other), LAUNCHD, port=22, **HOLDS)) == ["com.example.other", "com.openssh.sshd"]


@pytest.mark.parametrize(
    ("pairs", "ports"),
    [
        ([("L/SockServiceName", "ssh")], {(22, "tcp")}),
        ([("L/SockServiceName", "vnc-server")], {(5900, "tcp")}),
        ([("L/SockServiceName", "TFTP"), ("L/SockType", "dgram")], {(69, "udp")}),
        ([("L/SockServiceName", "70000")], set()),
        ([("L/SockServiceName", "99999999999999999999")], set()),
        ([("L/SockServiceName", "nobody-registered-this")], set()),
        ([("L/SockServiceName", "2049"), ("L/SockPassive", "0")], set()),
        ([("A/SockServiceName", "1"), ("A/SockType", "dgram"), ("B/SockServiceName", "2")], {(1, "udp"), (2, "tcp")}),
        ([("L/SockServiceName", "ssh"), ("L/SockServiceName", "2222")], {(22, "tcp"), (2222, "tcp")}),
    ],
)
def test_sockets_name_ports_by_number_or_service(pairs, ports):
    found = {each for part in parts_of(*(socket_key(*pair) for pair in pairs)).values() for each in sockets_of(part)}
    assert found == ports


def test_what_somebody_switched_on_belongs_to_the_job():
    found = of(ssh("ssh", switch("com.openssh.sshd", "0")), LAUNCHD, port=22, **HOLDS)
    assert found.job.part(JobKind.SWITCH).fields == {"disabled": "0"}


HELPER = "/Applications/Sync.app/Contents/Library/LoginItems/Helper.app/Contents/MacOS/Helper"


@pytest.mark.parametrize("path", [HELPER, "/Applications/Sync.app"])
def test_a_registered_item_owns_what_lies_in_its_bundle(path):
    found = of([startup_item("Sync", path)], HELPER, username="aoki")
    assert labels(found) == ["Sync"]
    assert found.by is (MatchedBy.PROGRAM if path == HELPER else MatchedBy.BUNDLE)


def test_a_bundle_program_is_looked_for_in_the_bundle_of_its_plist():
    def plist(app):
        source = f"/Applications/{app}.app/Contents/Library/LaunchDaemons/x.plist"
        return socket_key("", "Contents/MacOS/agent", f"com.{app}", source, key="BundleProgram")

    found = of([plist("one"), plist("two")], "/Applications/two.app/Contents/MacOS/agent")
    assert (found.by, labels(found)) == (MatchedBy.BUNDLE, ["com.two"])


def test_a_plist_counts_more_than_the_item_that_was_registered_for_it():
    plist = "/Library/LaunchDaemons/com.example.relay.plist"
    both = [launchd(program=RELAY), startup_item("com.example.relay", RELAY, source=plist, username="root")]
    assert of(both, RELAY, username="root").job.main.kind is JobKind.LAUNCHD


def test_hidden_plists_are_told_of_what_no_job_owns():
    hidden = [hidden_plist("/Library/LaunchDaemons/.x.plist"), hidden_plist("/Users/eve/Library/LaunchAgents/.y.plist")]
    found = of(hidden, RELAY, username="bob")
    assert [part.source for part in found.hidden] == ["/Library/LaunchDaemons/.x.plist"]
    assert not of([*hidden, launchd(program=RELAY)], RELAY).hidden


def windows(facts, path, **columns):
    return match(facts, listener(path, 3390), context(path, **columns))


def test_a_service_is_known_by_its_process_then_by_the_row_then_by_its_path():
    agent = r"C:\ProgramData\netagent.exe"
    facts = [service("NetAgent", f'"{agent}" -run'), running("NetAgent", "733"), running("Other", "9")]
    assert windows(facts, agent).by is MatchedBy.PID
    named = windows(facts, agent, pid="5", service_names="NetAgent")
    assert (named.by, named.job.account) == (MatchedBy.NAME, "LocalSystem")
    assert windows(facts, agent, pid="5").by is MatchedBy.PROGRAM
    assert windows(facts, agent, pid="5", parent_name="cmd.exe") is None


def test_a_pid_that_was_given_to_another_process_since_is_not_believed():
    found = windows([running("NetAgent", "733", started="6")], r"C:\x.exe")
    assert found is None


def test_a_shared_svchost_is_one_of_its_services():
    found = windows([], SVCHOST, service_names="RpcSs,RpcEptMapper", pid="")
    assert (labels(found), found.job) == (["rpceptmapper", "rpcss"], None)


def test_only_what_uses_the_network_is_asked_about():
    inventory = replace(listener(RELAY, 80), direction=Direction.LAUNCHD, transport=Transport.NONE)
    assert wanted(inventory, context(RELAY)) is None
    assert wanted(replace(listener(LAUNCHD, 80), direction=Direction.OUTBOUND), context(LAUNCHD)) is None


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=30), st.sampled_from(["1", "2", "3", "", "x"]))
def test_whatever_is_said_a_match_is_found_or_not(path, command, label, rank):
    facts = [launchd(label, command, program=path, program_arguments=command), startup_item(label, path)]
    facts += [fact("pack/macos_context/launchd_sockets", {"label": label, "key": "BundleProgram", "value": path})]
    for at in (f"/{path}", path, f"/Applications/{path}.app/{path}"):
        match(
            facts, listener(f"/{at}", 80), context("/x", cmdline=command, launchd_labels=label, launchd_match_rank=rank)
        )


def test_a_match_can_be_remembered_by_its_hash():
    found, again = (of([launchd("relay", program=RELAY)], RELAY) for _ in range(2))
    assert found is not again
    assert {found: 1}[again] == 1
