"""How common something can be, given how seldom it was seen: the Jeffreys upper bound of a share."""

from functools import lru_cache
from math import exp, lgamma, log, log1p

_SMALLEST = 1e-300
_PRECISION = 1e-14
_MOST_STEPS = 500


@lru_cache(maxsize=65_536)
def jeffreys_upper(seen: int, of: int, confidence: float = 0.95) -> float:
    """With `confidence`, at most this share shows it, when `seen` of `of` peers did.

    Source: Brown, Cai, DasGupta 2001, Interval Estimation for a Binomial Proportion.
    """
    return 1.0 if seen >= of else beta_quantile(confidence, seen + 0.5, of - seen + 0.5)


def beta_quantile(probability: float, a: float, b: float) -> float:
    """The x at which the Beta(a, b) distribution function reaches `probability`."""
    low, high = 0.0, 1.0
    while high - low > _PRECISION:
        middle = (low + high) / 2
        if middle in {low, high}:
            break
        if beta_distribution(middle, a, b) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def beta_distribution(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function. Source: Lentz' continued fraction, DLMF 8.17.22."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front * _continued_fraction(x, a, b) / a
    return 1 - front * _continued_fraction(1 - x, b, a) / b


def _continued_fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    result = d
    for m in range(1, _MOST_STEPS):
        for step in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _away_from_zero(1 + step * d)
            c = _away_from_zero(1 + step / c)
            result *= c * d
        if abs(c * d - 1) < _PRECISION:
            break
    return result


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _SMALLEST else _SMALLEST
