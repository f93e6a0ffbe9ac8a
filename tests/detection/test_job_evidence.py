import pytest

from app.detection.context import Signer, Trust
from app.detection.evidence import Case
from app.detection.job_evidence import NEWS_DAYS, job_evidence
from app.detection.knobs import Knobs
from app.detection.surroundings import NOTHING_KNOWN, Surroundings
from tests.detection import worked
from tests.detection.job_rows import (
    DAY,
    SSH_PLIST,
    context,
    hidden_plist,
    launchd,
    listener,
    match,
    running,
    service,
    socket_key,
    startup_item,
    switch,
)

RELAY = "/usr/local/libexec/relay"
LAUNCHD = "/sbin/launchd"
HOLDS = {"parent_pid": "0", "parent_path": "", "parent_name": "kernel_task", "pid": "1"}
SVCHOST = r"C:\Windows\System32\svchost.exe"
APPLE, OTHER = Signer(Trust.TRUSTED, "Software Signing"), Signer(Trust.TRUSTED, "Developer ID: Eve (AAAAAAAAAA)")
OLD, TODAY = 1, 40 * DAY


def lines(facts, path, *, port=8080, at=TODAY, **columns):
    """Reason → line, of a listener."""
    behaviour, around = listener(path, port), context(path, **columns)
    surroundings = Surroundings(job=match(facts, behaviour, around, at=at))
    case = Case(behaviour, around, worked.standing(), Knobs(), surroundings)
    return {each.reason: each for each in job_evidence(case)}


def ssh(*more, port="ssh"):
    wrapper = launchd("com.openssh.sshd", SSH_PLIST, program="/usr/libexec/sshd-keygen-wrapper", at=OLD)
    return [wrapper, socket_key("Listeners/SockServiceName", port, at=OLD), *more]


def test_nothing_known_is_never_evidence():
    case = Case(listener(RELAY, 80), context(RELAY), worked.standing(), Knobs(), NOTHING_KNOWN)
    assert job_evidence(case) == ()
    assert lines([], RELAY) == {}


def test_the_job_behind_a_port_is_named_without_weight():
    job = launchd(program=RELAY, username="_relay", run_at_load="1", keep_alive="1", at=OLD)
    found = lines([job], RELAY)
    assert found["job"].text == (
        "It belongs to the launchd job com.example.relay (/Library/LaunchDaemons/com.example.relay.plist), told by the"
        " whole command line, rank 3; as _relay, started at load, kept alive."
    )
    assert [each.points for each in found.values()] == [0]


def test_a_port_that_launchd_holds_is_said_to_be_its_jobs():
    assert lines(ssh(), LAUNCHD, port=22, **HOLDS)["job"].text == (
        "launchd holds tcp/22 for com.openssh.sshd (/System/Library/LaunchDaemons/ssh.plist), which starts"
        " /usr/libexec/sshd-keygen-wrapper."
    )


@pytest.mark.parametrize(
    ("facts", "why"),
    [([], "this node has not told the Sockets of its jobs"), (ssh(port="23"), "no job of this node asks for it")],
)
def test_a_port_that_launchd_holds_for_nobody_known_is_said_so(facts, why):
    found = lines(facts, LAUNCHD, port=22, **HOLDS)
    assert list(found) == ["job_unknown"]
    assert why in found["job_unknown"].text


def test_several_jobs_that_match_are_named_without_weight():
    plists = ("/Library/LaunchDaemons/a.plist", "/Library/LaunchAgents/a.plist")
    found = lines([launchd("a", plist, program=RELAY, at=TODAY) for plist in plists], RELAY)
    assert [(each.reason, each.points) for each in found.values()] == [("job_unknown", 0)]
    assert all(plist in found["job_unknown"].text for plist in plists)


def test_an_interpreter_at_rank_1_is_said_to_prove_nothing():
    job = launchd(program_arguments="/bin/sh /opt/a.sh", at=OLD)
    assert "no proof" in lines([job], "/bin/sh", cmdline="/bin/sh b")["job_unknown"].text


@pytest.mark.parametrize(
    ("began", "points"),
    [(OLD, None), (TODAY - 8 * DAY, None), (TODAY - 6 * DAY, 10), (TODAY, 10), (TODAY + 3000, 10)],
)
def test_a_job_that_is_new_in_a_known_inventory_lends_weight(began, points):
    old = launchd("old", "/old.plist", program="/old", at=OLD)
    news = lines([old, launchd(program=RELAY, at=began)], RELAY).get("job_news")
    assert (news and news.points) == points


def test_in_an_inventory_that_is_new_itself_nothing_is_news():
    first = launchd("first", "/first.plist", program="/first", at=TODAY - 3600)
    assert "job_news" not in lines([first, launchd(program=RELAY, at=TODAY)], RELAY)


def test_a_job_that_was_changed_says_what_was_changed():
    facts = [launchd(program=RELAY, run_at_load="0", at=OLD), launchd(program=RELAY, run_at_load="1", at=TODAY)]
    assert 'run at load was "0", is "1"' in lines(facts, RELAY)["job_news"].text
    assert "job_news" not in lines(facts, RELAY, at=TODAY + NEWS_DAYS * DAY)


def test_jobs_of_apple_change_with_macos_but_not_whether_they_are_on():
    changed = [
        launchd("com.apple.x", "/System/x.plist", program="/usr/libexec/x", at=at, keep_alive=str(at))
        for at in (OLD, TODAY)
    ]
    assert "job_news" not in lines(changed, "/usr/libexec/x")
    on = ssh(switch("com.openssh.sshd", "1", at=OLD), switch("com.openssh.sshd", "0", at=TODAY))
    assert "somebody switched it on" in lines(on, LAUNCHD, port=22, **HOLDS)["job_news"].text
    off = ssh(switch("com.openssh.sshd", "0", at=OLD), switch("com.openssh.sshd", "1", at=TODAY))
    assert "job_news" not in lines(off, LAUNCHD, port=22, **HOLDS)


def test_news_of_a_job_whose_user_picks_the_ports_weighs_nothing():
    old = launchd("old", "/old.plist", program="/old", at=OLD)
    job = launchd(program="/opt/homebrew/bin/redis-server", at=TODAY)
    assert lines([old, job], "/opt/homebrew/bin/redis-server")["job_news"].points == 0


FAKE = "/Users/bob/Library/Application Support/.su/helper"


@pytest.mark.parametrize(
    ("path", "signer", "says"),
    [
        (FAKE, Signer(), "not one of Apple's places"),
        ("/Library/Storage/agent", OTHER, "not one of Apple's places"),
        ("/Applications/Xcode.app/Contents/MacOS/x", APPLE, None),
        ("/usr/libexec/rapportd", APPLE, None),
        ("/usr/libexec/rapportd", Signer(), None),
        ("/usr/libexec/rapportd", OTHER, "Eve"),
        ("/usr/libexec/rapportd", Signer(Trust.UNSIGNED), "nobody signed"),
    ],
)
def test_a_label_that_looks_like_apples_must_run_what_is_apples(path, signer, says):
    row = {"launchd_labels": "com.apple.softwareupdate.helper", "launchd_match_rank": "3"}
    found = lines([], path, signer=signer, **row).get("apple_label")
    assert (found is not None) == (says is not None)
    assert says is None or says in found.text


def test_a_script_behind_a_label_that_looks_like_apples_is_what_counts():
    script = "/Users/bob/.x/run.sh"
    job = launchd("com.apple.updater", "/Library/LaunchDaemons/u.plist", program_arguments=f"/bin/sh {script}", at=OLD)
    assert (
        "/Users/*/.x/run.sh" in lines([job], "/bin/sh", cmdline=f"/bin/sh {script}", signer=APPLE)["apple_label"].text
    )


def test_a_job_that_left_its_own_port_belies_it():
    found = lines(ssh(port="2222"), LAUNCHD, port=2222, **HOLDS)["port_belies_job"]
    assert (found.points, "com.openssh.sshd is the SSH service" in found.text) == (45, True)
    assert "port_belies_job" not in lines(ssh(), LAUNCHD, port=22, **HOLDS)


def test_a_service_that_only_its_process_tells_is_held_to_its_ports_too():
    facts = [running("TermService", "733", at=OLD)]
    assert lines(facts, SVCHOST, port=3390)["port_belies_job"].points == 45
    assert "port_belies_job" not in lines(facts, SVCHOST, port=3389)


def test_root_that_runs_what_anybody_could_have_put_there_lends_weight():
    agent = r"C:\ProgramData\netagent.exe"
    facts = [service("NetAgent", agent, at=OLD)]
    assert lines(facts, agent)["root_from_anywhere"].points == 10
    assert "root_from_anywhere" not in lines(facts, agent, username="bob")
    assert "root_from_anywhere" not in lines([service("A", r"C:\Program Files\a.exe")], r"C:\Program Files\a.exe")


def test_a_hidden_plist_weighs_on_what_no_job_runs_once_the_jobs_are_known():
    hidden, known = hidden_plist("/Library/LaunchDaemons/.x.plist", at=OLD), launchd(program="/other", at=OLD)
    assert lines([hidden, known], RELAY)["hidden_plist"].points == 15
    assert lines([hidden], RELAY)["hidden_plist"].points == 0
    assert lines([hidden, known], "/Applications/Slack.app/Contents/MacOS/Slack") == {}


def test_a_registered_item_is_named_with_its_source():
    app = "/Applications/Sync.app/Contents/MacOS/Sync"
    assert "application bundle" in lines([startup_item("Sync", "/Applications/Sync.app", at=OLD)], app)["job"].text


def test_huge_texts_make_short_sentences():
    job = launchd("l" * 5000, "/p" * 5000, program=RELAY, username="u" * 5000, at=OLD)
    assert all(len(each.text) < 1500 for each in lines([job], RELAY).values())
