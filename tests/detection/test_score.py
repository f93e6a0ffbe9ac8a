import pytest

from app.detection.knobs import Knobs
from app.detection.score import statistics_of, without_behaviour
from tests.detection.worked import standing

FLEET = {"everything": (6000, 199), "days": 30}


def points(known):
    return statistics_of(known, Knobs(), new_program_is_routine=True).points


@pytest.mark.parametrize(("ports", "once"), [(60, 25), (6, 1), (200, 150)])
def test_a_port_seen_once_or_twice_never_outscores_one_never_seen(ports, once):
    never = points(standing(program=(6000, 190), ports=ports, once=once, **FLEET))
    few = [
        points(standing(seen=(n, n), program=(6000, 190), port=(n, n), ports=ports + 1, once=once + (n == 1), **FLEET))
        for n in (1, 2, 5)
    ]
    assert [never, *few] == sorted([never, *few], reverse=True)


def test_rare_ports_weigh_less_where_new_ones_are_routine():
    seldom, often = (
        statistics_of(
            standing(seen=(2, 2), program=(6000, 190), port=(2, 2), ports=60, once=once, **FLEET),
            Knobs(),
            new_program_is_routine=True,
        )
        for once in (0, 50)
    )
    assert (seldom.damping > 0.9, often.damping < 0.4) == (True, True)
    assert seldom.novelty_points > 2 * often.novelty_points


def test_without_its_sightings_a_behaviour_is_new():
    known = standing(seen=(9, 3), program=(90, 30), port=(9, 3), ports=3, **FLEET)
    without = without_behaviour(known, "2")
    assert (without.behaviour.units, without.program.units, without.everything.units) == (0, 81, 5991)
    assert "2" not in dict(without.program_ports)
    assert points(without) > points(known)
