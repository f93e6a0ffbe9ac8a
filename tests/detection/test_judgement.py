import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.detection.behaviour import Behaviour, Direction, Platform, Program, Transport
from app.detection.context import Context, PeerScope, Signer, Trust
from app.detection.deviation import Analytic, Severity
from app.detection.judgement import judge
from app.detection.knobs import Knobs, knobs_from
from app.detection.standing import Standing, Tally
from tests.detection.worked import CHROME, GOOGLE, MICROSOFT, SVCHOST, UNSIGNED, a_flow, behaviour, context, standing

WORD = r"C:\Program Files\Microsoft Office\root\Office16\WINWORD.EXE"
STEAM = r"C:\Program Files (x86)\Steam\steam.exe"
IMPLANT = r"C:\Users\bob\AppData\Local\Temp\implant.exe"
ZOOM = r"C:\Users\bob\AppData\Roaming\Zoomy\bin\Zoomy.exe"
FLEET = {"everything": (6000, 199), "days": 30}

WORKED = {
    "svchost on 5678 among 200 hosts": (
        behaviour(SVCHOST, 5678), MICROSOFT, standing(program=(6000, 199), ports=6, once=1, **FLEET), 72, "high"),
    "the same among 5 hosts in 7 days": (
        behaviour(SVCHOST, 5678), MICROSOFT,
        standing(program=(35, 4), everything=(35, 4), ports=4, once=1, days=7), 52, "high"),
    "the same among 100,000 hosts": (
        behaviour(SVCHOST, 5678), MICROSOFT,
        standing(program=(3_000_000, 99_999), everything=(3_000_000, 99_999), port=(9000, 900), ports=40, once=22),
        56, "high"),
    "svchost on the proxy's port": (
        behaviour(SVCHOST, 8080), MICROSOFT,
        standing(program=(6000, 199), port=(5400, 180), ports=6, once=1, **FLEET), 72, "high"),
    "Word on 8088": (
        behaviour(WORD, 8088), Signer(Trust.TRUSTED, "Microsoft Corporation"),
        standing(program=(5200, 173), ports=4, **FLEET), 84, "high"),
    "chrome on 10443": (
        behaviour(CHROME, 10443), GOOGLE, standing(program=(6000, 190), ports=60, once=25, **FLEET), 39, "low"),
    "chrome on its push port": (
        behaviour(CHROME, 5228), GOOGLE,
        standing(seen=(3200, 150), program=(6000, 190), port=(3200, 150), ports=3, **FLEET), 0, "none"),
    "Steam on 27021": (
        behaviour(STEAM, 27021), Signer(Trust.TRUSTED, "Valve Corp."),
        standing(seen=(16, 2), program=(90, 3), port=(16, 2), ports=5, **FLEET), 5, "none"),
    "an unsigned program in Temp among 5 hosts": (
        behaviour(IMPLANT, 4782), UNSIGNED, standing(everything=(35, 5), days=7), 64, "high"),
    "the first of many new signed programs": (
        behaviour(ZOOM, 8801), Signer(Trust.TRUSTED, "Zoom Video Communications, Inc."),
        standing(new_programs_per_day=3, **FLEET), 20, "none"),
    "notepad on 443": (
        behaviour(r"C:\Windows\System32\notepad.exe", 443), MICROSOFT,
        standing(port=(5900, 199), **FLEET), 30, "low"),
}  # fmt: skip


@pytest.mark.parametrize(("what", "signer", "known", "score", "severity"), WORKED.values(), ids=WORKED)
def test_worked_examples_have_their_scores(what, signer, known, score, severity):
    deviation = judge(what, context(signer), known, Knobs())
    assert (deviation.score, deviation.severity) == (score, Severity(severity))


def test_a_deviation_reads_like_an_analyst_would_write_it():
    known = replace(
        WORKED["svchost on 5678 among 200 hosts"][2],
        program_ports=(("443", 6000), ("80", 5000), ("7680", 900), ("5985", 300), ("53", 9), ("389", 1)),
    )
    evidence = judge(behaviour(SVCHOST, 5678), context(), known, Knobs()).evidence
    used = "on 6,000 node-days svchost.exe used 6 ports (443, 80, 7680, 5985, …)"
    pace = "about once in 20 days in this fleet"
    assert [each.points for each in evidence] == [42.9, 0, 14.4, 15, 0]
    assert [each.text for each in evidence[:-1]] == [
        f"Port is new for this program: {used}, never 5678.",
        f"A new port for svchost.exe appears {pace}, so this is not routine. [damping 0.95]",
        "0 of 199 other workstation nodes that run it show this; with 95 % confidence at most 0.96 % do.",
        'tcp/5678 is outside the common set; IANA assigns it to "rrac".',
    ]


@pytest.mark.parametrize(
    ("what", "facts", "unseen"),
    [
        (behaviour(SVCHOST, 5678), {}, "flow log for this connection"),
        (behaviour(SVCHOST, 5678), {}, "bytes; name of the peer"),
        (behaviour(SVCHOST, 5678), {"signer": Signer()}, "signature of the program"),
        (behaviour(SVCHOST, 5678), {"attempt_only": True}, "only attempted"),
        (behaviour("", 5678, platform=Platform.MACOS), {}, "path of the program"),
        (behaviour(SVCHOST, 123, direction=Direction.LISTENING, transport=Transport.UDP), {}, "peer of UDP sockets"),
    ],
)
def test_what_could_not_be_seen_is_said_aloud(what, facts, unseen):
    last = judge(what, context(**facts), standing(), Knobs()).evidence[-1]
    assert (last.reason, last.points) == ("not_available", 0)
    assert unseen in last.text


def test_few_peers_make_no_prevalence_claim():
    known = standing(program=(35, 4), everything=(35, 4), ports=4, once=1, days=7)
    evidence = judge(behaviour(SVCHOST, 5678), context(), known, Knobs()).evidence
    assert any(each.text.startswith("4 peers: no prevalence claim") for each in evidence)


def test_a_lonely_node_speaks_from_its_own_past_only():
    deviation = judge(behaviour(SVCHOST, 5678), context(), standing(own_days=3, peers="all windows nodes"), Knobs())
    assert deviation.evidence[0].reason == "too_few_to_vouch"
    assert "own past only, which has it on 3 earlier days" in deviation.evidence[1].text
    assert deviation.severity is Severity.NONE


@pytest.mark.parametrize(
    ("path", "port", "signer", "severity"),
    [
        (SVCHOST, 5678, MICROSOFT, "high"),  # injected
        (IMPLANT, 4782, Signer(), "high"),  # where anybody could have put it
        (r"C:\Program Files\Tool\tool.exe", 4782, UNSIGNED, "high"),
        (r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe", 4444, MICROSOFT, "high"),
    ],
)
@pytest.mark.parametrize("days", [1, 10, 29])
def test_an_attacker_who_was_there_before_is_still_found(path, port, signer, severity, days):
    poisoned = standing(
        seen=(2 * days, 2), program=(2 * days, 2), port=(2 * days, 2), ports=1, own_days=days, **FLEET
    )  # fmt: skip
    deviation = judge(behaviour(path, port), context(signer), poisoned, Knobs())
    assert deviation.severity is Severity(severity)
    assert deviation.evidence[0].reason == "too_few_to_vouch"


def test_what_a_whole_fleet_does_is_vouched_for():
    known = standing(seen=(600, 60), program=(600, 60), port=(600, 60), ports=1, **FLEET)
    assert judge(behaviour(IMPLANT, 4782), context(UNSIGNED), known, Knobs()).severity is Severity.MEDIUM
    assert judge(behaviour(SVCHOST, 7680), context(), known, Knobs()).severity is Severity.NONE


def test_the_own_past_of_an_installed_program_counts_in_part():
    agent = behaviour(r"C:\Program Files\Agent\agent.exe", 32526)
    known = standing(program=(300, 20), ports=2, **FLEET)
    scores = [judge(agent, context(), replace(known, own_days=days), Knobs()).score for days in (0, 1, 5, 29)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] >= 50 > scores[1] > 0


@pytest.mark.parametrize(
    ("what", "facts", "reason", "points"),
    [
        (behaviour(r"C:\Tools\plink.exe", 80), {}, "port_belies_program", 45),
        (behaviour(WORD, 587), {}, "port_belies_program", 25),
        (behaviour(WORD, 8088), {}, "port_belies_program", 10),
        (behaviour(SVCHOST, 3390, direction=Direction.LISTENING, unit="termservice"), {}, "port_belies_program", 45),
        (behaviour("/usr/sbin/sshd", 2222, direction=Direction.LISTENING), {}, "port_belies_program", 45),
        (behaviour(r"C:\Program Files\Tool\tool.exe", 53), {}, "not_a_resolver", 25),
        (behaviour(r"C:\Program Files\Tool\rubeus.exe", 88), {}, "not_a_ticket_client", 25),
        (behaviour(r"C:\Windows\System32\regsvr32.exe", 443), {}, "never_networks", 30),
        (behaviour(r"C:\Windows\System32\regsvr32.exe", 443), {"parent": r"C:\x\EXCEL.EXE"}, "odd_parent", 10),
        (behaviour("/usr/bin/python3", 1224), {}, "script_host", 20),
        (behaviour("/opt/homebrew/bin/python3.11", 1224), {}, "script_host", 20),
        (behaviour(r"C:\a\a.exe", 5900, transport=Transport.UDP), {}, "wrong_transport", 10),
        (behaviour(IMPLANT, 443), {}, "user_writable_path", 15),
        (behaviour(IMPLANT, 443), {"signer": UNSIGNED}, "unsigned", 10),
        (behaviour(IMPLANT, 443), {"signer": Signer(Trust.BROKEN, "Google LLC")}, "signature_broken", 10),
        (behaviour(SVCHOST, 50000), {}, "dynamic_rpc", -10),
        (behaviour(CHROME, 8443), {"signer": GOOGLE}, "user_driven", -15),
        (behaviour(r"C:\Program Files\Tailscale\tailscaled.exe", 41641),
         {"signer": Signer(Trust.TRUSTED, "Tailscale Inc.")}, "known_vendor", -10),
        (behaviour(SVCHOST, 7777, direction=Direction.LISTENING), {"bind_scope": "loopback"}, "loopback_only", -40),
        (behaviour("/usr/libexec/rapportd", 3722, direction=Direction.LISTENING), {}, "expected_port", -30),
        (behaviour(SVCHOST, 68, direction=Direction.LISTENING, transport=Transport.UDP), {}, "expected_port", -30),
    ],
)  # fmt: skip
def test_context_speaks_without_any_history(what, facts, reason, points):
    deviation = judge(what, context(**facts), standing(), Knobs())
    assert {each.reason: each.points for each in deviation.evidence}[reason] == points


@pytest.mark.parametrize(
    ("path", "port", "signer", "reason"),
    [
        (r"C:\Users\bob\Temp\chrome.exe", 8443, UNSIGNED, "user_driven"),  # a browser only by its name
        (r"C:\Tools\ssh.exe", 443, MICROSOFT, "user_driven"),  # no discount for a port that belies the program
        (r"C:\Program Files\a\a.exe", 8443, Signer(Trust.BROKEN, "Google LLC"), "known_vendor"),
        (
            r"C:\Program Files\a\a.exe",
            8443,
            MICROSOFT,
            "known_vendor",
        ),  # anybody may run what the system's maker signed
    ],
)
def test_no_discount_for_a_disguise(path, port, signer, reason):
    evidence = judge(behaviour(path, port), context(signer), standing(), Knobs()).evidence
    assert reason not in {each.reason for each in evidence}


def test_while_learning_only_evidence_without_history_alerts():
    young = standing(program=(600, 199), everything=(600, 199), ports=3, days=3)
    held = judge(behaviour(SVCHOST, 5678), context(), young, Knobs())
    assert (held.severity, held.evidence[-2].reason) == (Severity.LOW, "learning")
    assert "day 4 of 7" in held.evidence[-2].text
    assert judge(behaviour(r"C:\Tools\plink.exe", 80), context(), young, Knobs()).severity is Severity.HIGH


SSH, DOCKER = r"C:\Windows\System32\OpenSSH\ssh.exe", "/Applications/Docker.app/Contents/MacOS/com.docker.backend"
FILEZILLA = r"C:\Program Files\FileZilla FTP Client\filezilla.exe"
USUAL = standing(program=(6000, 190), ports=6, **FLEET)


@pytest.mark.parametrize(
    ("what", "signer"),
    [
        (behaviour(CHROME, 8888), GOOGLE),
        (behaviour(SSH, 2222), MICROSOFT),
        (behaviour("/usr/bin/ssh", 2022), Signer()),
        (behaviour(FILEZILLA, 2121), Signer(Trust.TRUSTED, "Tim Kosse")),
        (behaviour(r"C:\Program Files\PostgreSQL\bin\psql.exe", 5433), Signer()),
        (behaviour(DOCKER, 7474, direction=Direction.LISTENING), Signer(Trust.TRUSTED, "Docker Inc (9BNSXJN65R)")),
    ],
)
def test_a_new_port_alone_is_no_alert_where_users_pick_the_ports(what, signer):
    held = judge(what, context(signer), USUAL, Knobs())
    why = {each.reason: each for each in held.evidence}["any_port"]
    assert (held.score >= 40, held.severity, why.points) == (True, Severity.LOW, 0)
    assert why.text.startswith(f"Held at low: {what.program.name} is ")


@pytest.mark.parametrize(
    ("what", "facts", "known"),
    [
        (behaviour(SSH, 443), {}, USUAL),  # a port that belies the program
        (behaviour(CHROME, 8888), {"signer": UNSIGNED}, USUAL),
        (behaviour(r"C:\Users\bob\chrome.exe", 8888), {"signer": Signer()}, USUAL),
        (behaviour(CHROME, 5432, transport=Transport.UDP), {"signer": GOOGLE}, USUAL),  # wrong transport
        (behaviour(SSH, 2222), {}, standing(**FLEET)),  # nobody else runs it
        (behaviour(SSH, 2222), {}, replace(USUAL, new_to_role=True)),  # nobody else in the role does
        (behaviour("/usr/bin/curl", 21), {}, USUAL),  # scripts of attackers call it too
        (behaviour("/usr/bin/python3", 8000, direction=Direction.LISTENING), {}, USUAL),
    ],
)
def test_anything_else_against_such_a_program_alerts(what, facts, known):
    assert judge(what, context(**facts), known, Knobs()).severity.reaches(Severity.MEDIUM)


def test_flow_logs_against_such_a_program_alert():
    broken = a_flow(8888, violations=("HTTP: not a http reply line",))
    found = judge(behaviour(CHROME, 8888), context(GOOGLE), USUAL, Knobs(), broken)
    assert found.severity is Severity.HIGH


@pytest.mark.parametrize("direction", [Direction.SERVICE, Direction.LAUNCHD])
def test_inventory_facts_never_alert(direction):
    fact = Behaviour(Program(Platform.WINDOWS, r"c:\users\*\a.exe", "a.exe", "a"), direction, Transport.NONE, "odd")
    deviation = judge(fact, context(UNSIGNED), standing(**FLEET), Knobs())
    assert (deviation.severity, deviation.evidence[-1].reason) == (Severity.LOW, "inventory_only")


def test_a_program_that_lost_its_signer_is_high():
    program = Program(Platform.WINDOWS, r"c:\windows\system32\svchost.exe", "svchost.exe")
    fact = Behaviour(program, Direction.SIGNATURE, Transport.NONE, "unsigned")
    known = replace(
        standing(program=(6000, 199), port=(60, 9), **FLEET), program_ports=(("trusted: Microsoft Windows", 6000),)
    )
    deviation = judge(fact, context(UNSIGNED), known, Knobs())
    assert deviation.severity is Severity.HIGH
    assert "was trusted: Microsoft Windows, never unsigned." in deviation.evidence[0].text


def test_the_first_signature_of_a_new_program_is_no_change():
    fact = Behaviour(Program(Platform.MACOS, "/opt/a", "a"), Direction.SIGNATURE, Transport.NONE, "unsigned")
    assert judge(fact, context(UNSIGNED), standing(**FLEET), Knobs()).score == 0


def test_flow_logs_add_to_the_score():
    agent = behaviour("/Library/Storage/File System/agent", 443)
    known = standing(port=(5900, 199), **FLEET)
    assert judge(agent, context(UNSIGNED), known, Knobs()).severity is Severity.NONE
    assert judge(agent, context(UNSIGNED), known, Knobs(), a_flow(443)).severity is Severity.HIGH


def test_an_allow_listed_program_is_recorded_only():
    knobs = knobs_from({"ProcessAllowList": [r"c:\users\*\temp\implant.exe"]})
    deviation = judge(behaviour(IMPLANT, 4782), context(UNSIGNED), standing(**FLEET), knobs)
    assert (deviation.score, deviation.severity) == (0, Severity.NONE)
    other = judge(behaviour(r"C:\Temp\implant.exe", 4782), context(UNSIGNED), standing(**FLEET), knobs)
    assert other.severity is Severity.HIGH


@pytest.mark.parametrize(("path", "analytic"), [(SVCHOST, Analytic.WINDOWS), ("/usr/bin/python3", Analytic.MACOS)])
def test_the_platform_decides_the_analytic(path, analytic):
    assert judge(behaviour(path, 443), context(), standing(), Knobs()).analytic is analytic


TALLIES = st.builds(Tally, st.integers(0, 10**6), st.integers(0, 10**4))
PROGRAMS = st.builds(
    Program,
    st.sampled_from(Platform),
    st.sampled_from(["", r"c:\windows\system32\svchost.exe", r"c:\users\*\a.exe", "/usr/bin/ssh", "/Users/*/a"]),
    st.sampled_from(["svchost.exe", "a.exe", "ssh", "notepad.exe", "chrome.exe"]),
    st.sampled_from(["", "termservice"]),
)
NETWORK = st.builds(
    Behaviour,
    PROGRAMS,
    st.sampled_from([Direction.OUTBOUND, Direction.LISTENING]),
    st.sampled_from([Transport.TCP, Transport.UDP]),
    st.integers(1, 49151).map(str) | st.just("dynamic"),
)
FACTS = st.builds(
    Behaviour,
    PROGRAMS,
    st.sampled_from([Direction.SERVICE, Direction.LAUNCHD, Direction.SIGNATURE]),
    st.just(Transport.NONE),
    st.text(max_size=9),
)
CONTEXTS = st.builds(
    Context,
    node=st.just("n"),
    peer_scope=st.sampled_from(PeerScope),
    attempt_only=st.booleans(),
    bind_scope=st.sampled_from(["", "any", "loopback"]),
    parent=st.text(max_size=9),
    signer=st.builds(Signer, st.sampled_from(Trust), st.sampled_from(["", "Google LLC", "x (9BNSXJN65R)"])),
)
STANDINGS = st.builds(
    Standing,
    peers=st.just("laptop"),
    behaviour=TALLIES,
    program=TALLIES,
    port=TALLIES,
    everything=TALLIES,
    program_ports=st.lists(st.tuples(st.text(max_size=5), st.integers(1, 99)), max_size=9).map(tuple),
    own_days=st.integers(0, 400),
    days=st.integers(0, 400),
    new_programs_per_day=st.floats(0, 1e6),
    only_of_its_role=st.booleans(),
)


@given(NETWORK | FACTS, CONTEXTS, STANDINGS)
def test_the_score_is_the_sum_of_its_evidence(what, facts, known):
    deviation = judge(what, facts, known, Knobs())
    total = sum(each.points for each in deviation.evidence)
    assert deviation.score == int(min(max(total, 0), 100) + 0.5)
    assert deviation == judge(what, facts, known, Knobs())
    assert all(each.text.endswith((".", "]")) and re.fullmatch("[a-z_]+", each.reason) for each in deviation.evidence)


FLOWS = st.builds(
    a_flow,
    st.integers(1, 65535) | st.sampled_from([22, 80, 443, 8080]),
    services=st.frozensets(st.sampled_from(["tls", "http", "ssh", "socks", "quic"])),
    violations=st.sampled_from([(), ("HTTP: odd",), ("FAILED: APPLAYER_UNEXPECTED_PROTOCOL",)]),
    failed_services=st.sampled_from([frozenset(), frozenset({"failed"})]),
    one_sided=st.booleans(),
    is_firm=st.booleans(),
    attempts=st.integers(0, 9),
)


@given(NETWORK, CONTEXTS, STANDINGS, FLOWS)
def test_flow_evidence_never_lowers_a_score(what, facts, known, around):
    before, after = judge(what, facts, known, Knobs()), judge(what, facts, known, Knobs(), around)
    assert after.score >= before.score
    assert after.severity.reaches(before.severity)


@given(NETWORK, STANDINGS)
def test_an_unsigned_program_is_never_judged_milder_than_a_signed_one(what, known):
    scores = [judge(what, context(Signer(trust)), known, Knobs()).score for trust in (Trust.TRUSTED, Trust.UNSIGNED)]
    assert scores[0] <= scores[1]
