from hypothesis import given
from hypothesis import strategies as st

from app.detection.behaviour import Direction
from app.detection.history import History
from app.detection.standing import Tally
from tests.detection.worked import CHROME, SVCHOST, behaviour

WEB, ODD = behaviour(SVCHOST, 443), behaviour(SVCHOST, 5678)
BROWSER = behaviour(CHROME, 443)


def history(*sightings):
    known = History()
    for node, role, day, what in sightings:
        known.add(node, role, day, what)
    return known


def test_units_are_node_days_and_nodes_are_nodes():
    known = history(("a", "pc", 1, WEB), ("a", "pc", 1, WEB), ("a", "pc", 2, WEB), ("b", "pc", 2, ODD))
    standing = known.standing("z", "pc", 9, WEB)
    assert (standing.behaviour, standing.program) == (Tally(2, 1), Tally(3, 2))
    assert (standing.port, standing.everything) == (Tally(2, 1), Tally(3, 2))
    assert standing.program_ports == (("443", 2), ("5678", 1))
    assert standing.days == 2


def test_the_judged_node_and_day_do_not_speak_for_themselves():
    known = history(("a", "pc", 1, ODD), ("a", "pc", 2, ODD), ("b", "pc", 2, ODD), ("c", "pc", 1, WEB))
    standing = known.standing("a", "pc", 2, ODD)
    assert standing.behaviour == Tally()
    assert standing.own_days == 1
    assert known.standing("a", "pc", None, ODD).behaviour == Tally(1, 1)
    assert known.standing("a", "pc", None, ODD).own_days == 2


def test_the_role_speaks_where_it_ran_the_program_and_else_the_platform():
    known = history(("a", "pc", 1, WEB), ("b", "server", 1, BROWSER))
    assert known.standing("z", "pc", None, ODD).peers == "pc"
    assert known.standing("z", "server", None, ODD).peers == "all windows nodes"
    assert known.standing("z", "server", None, ODD).program == Tally(1, 1)
    assert known.standing("z", "", None, ODD).peers == "all windows nodes"


def test_the_only_node_of_a_role_is_said_to_be_alone():
    known = history(("a", "dc", 1, WEB), ("b", "pc", 1, WEB), ("c", "pc", 1, WEB))
    assert known.standing("a", "dc", None, WEB).only_of_its_role
    assert not known.standing("b", "pc", None, WEB).only_of_its_role
    assert not known.standing("a", "", None, WEB).only_of_its_role


def test_a_program_is_new_to_a_role_whose_other_nodes_never_ran_it():
    known = history(("a", "pc", 1, WEB), ("b", "server", 1, BROWSER), ("c", "dc", 1, WEB))
    assert known.standing("z", "server", None, WEB).new_to_role
    assert not known.standing("z", "server", None, BROWSER).new_to_role
    assert not known.standing("c", "dc", None, BROWSER).new_to_role  # no other node to compare with
    assert not known.standing("z", "", None, behaviour(CHROME, 1)).new_to_role


def test_the_whole_platform_is_counted_beside_the_role():
    known = history(("a", "dc", 1, ODD), ("b", "pc", 1, ODD), ("b", "pc", 2, ODD), ("c", "pc", 2, WEB))
    standing = known.standing("z", "dc", None, ODD)
    assert (standing.behaviour, standing.everything) == (Tally(1, 1), Tally(1, 1))
    assert (standing.platform_behaviour, standing.platform_everything) == (Tally(3, 2), Tally(4, 3))


def test_platforms_and_directions_are_counted_apart():
    known = history(("a", "", 1, WEB), ("m", "", 1, behaviour("/usr/bin/ssh", 443)))
    listener = behaviour(SVCHOST, 443, direction=Direction.LISTENING)
    assert known.standing("z", "", None, WEB).everything == Tally(1, 1)
    assert known.standing("z", "", None, listener).everything == Tally()


def test_programs_arrive_at_a_rate():
    settled = [("a", "", day, WEB) for day in range(17)]
    late = [("a", "", 8 + n, behaviour(rf"C:\New{n}x\a.exe", 443)) for n in range(5)]
    assert history(*settled, *late).standing("z", "", None, WEB).new_programs_per_day == 0.5
    assert history(*settled).standing("z", "", None, WEB).new_programs_per_day == 0


def test_a_short_history_estimates_the_rate_from_what_it_saw_once():
    once = [("a", "", 0, behaviour(rf"C:\New{n}x\a.exe", 443)) for n in range(5)]
    usual = [(node, "", 0, WEB) for node in "abc"]
    assert history(*once, *usual).standing("z", "", None, WEB).new_programs_per_day == 5


SIGHTINGS = st.lists(
    st.tuples(st.sampled_from("abc"), st.just("pc"), st.integers(0, 20), st.sampled_from([WEB, ODD, BROWSER])),
    max_size=20,
)


@given(SIGHTINGS, st.randoms())
def test_the_order_of_sightings_and_their_repetition_change_nothing(sightings, chance):
    shuffled = sightings * 2
    chance.shuffle(shuffled)
    for node in "abz":
        for what in (WEB, ODD):
            expected = history(*sightings).standing(node, "pc", 3, what)
            assert history(*shuffled).standing(node, "pc", 3, what) == expected


def test_a_listener_is_held_to_its_role_once_enough_of_the_role_listens():
    web, ssh = (behaviour(path, port, direction=Direction.LISTENING) for path, port in ((CHROME, 443), (SVCHOST, 22)))
    others = [(f"s{n}", "server", 1, ssh) for n in range(9)]
    few, enough = ([(f"l{n}", "laptop", 1, web) for n in range(nodes)] for nodes in (4, 5))
    silent = history(*others, *enough).standing("z", "laptop", None, ssh)
    assert (silent.peers, silent.behaviour, silent.new_to_role) == ("laptop", Tally(), True)
    assert silent.platform_behaviour == Tally(9, 9)
    assert history(*others, *few).standing("z", "laptop", None, ssh).peers == "all windows nodes"
    assert not history(*others, *enough).standing("s0", "server", None, ssh).new_to_role


def test_a_history_tells_for_how_many_of_its_days_it_has_known_a_program_and_its_port():
    known = history(*(("a", "pc", day, BROWSER) for day in range(10)), ("b", "pc", 6, WEB), ("a", "pc", 8, ODD))
    after = known.standing("z", "pc", None, ODD)
    assert (after.program_days, after.behaviour_days) == (4, 2)
    then = known.standing("z", "pc", 8, ODD)
    assert (then.program_days, then.behaviour_days) == (3, None)
