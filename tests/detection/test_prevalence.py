import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.detection.prevalence import beta_distribution, beta_quantile, jeffreys_upper


@pytest.mark.parametrize(
    ("seen", "of", "upper"),
    [(0, 4, 0.36), (0, 5, 0.31), (0, 199, 0.0096), (0, 99_999, 0.00002), (0, 50, 0.0374)],
)
def test_small_fleets_prove_little_and_large_ones_much(seen, of, upper):
    assert jeffreys_upper(seen, of) == pytest.approx(upper, rel=0.06)


@pytest.mark.parametrize(
    ("x", "a", "b", "value"),
    [(0.5, 0.5, 0.5, 0.5), (0.25, 1, 1, 0.25), (0.5, 2, 3, 0.6875), (0.1, 2, 2, 0.028), (0.9, 5, 1, 0.59049)],
)
def test_the_distribution_has_its_closed_form_values(x, a, b, value):
    assert beta_distribution(x, a, b) == pytest.approx(value, rel=1e-9)


@given(st.floats(0.01, 0.99), st.floats(0.5, 500), st.floats(0.5, 500))
def test_the_quantile_undoes_the_distribution(probability, a, b):
    assert beta_distribution(beta_quantile(probability, a, b), a, b) == pytest.approx(probability, abs=1e-6)


@given(st.integers(0, 50), st.integers(0, 1000))
def test_more_sightings_never_lower_the_bound(seen, more):
    of = 50 + more
    assert jeffreys_upper(seen, of) <= jeffreys_upper(seen + 1, of)


def test_all_of_them_is_no_bound():
    assert jeffreys_upper(5, 5) == 1
    assert jeffreys_upper(0, 0) == 1
