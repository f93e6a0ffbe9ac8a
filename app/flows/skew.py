"""How far a sensor's clock is from a node's: the median of joins that leave no doubt.

Real recordings are 7 to 22 hours apart (time zones), stable to about a minute, and may jump when a clock is set.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from statistics import median

#: Time from a connection's beginning to the poll that shows it, and what clocks drift within one recording.
TOLERANCE_SECONDS = 120.0
#: Joins around a moment that say what the skew was then: a jump is followed as soon as it has the majority.
NEIGHBOURS = 15
#: Other joins that must show the same skew before clocks that disagree are believed.
WITNESSES = 2

#: (when the node saw a connection, sensor's time of its flow minus that)
Sample = tuple[float, float]


class Skew:
    """Of one node and one sensor. `earlier`: skews known before, oldest first, that stand behind the samples."""

    def __init__(self, samples: Iterable[Sample], earlier: Sequence[float] = ()) -> None:
        self._samples = sorted(samples)
        self._earlier = tuple(earlier[-NEIGHBOURS:])

    def at(self, seen_at: float) -> float | None:
        """Seconds by which the sensor was ahead of the node; None when no join tells."""
        near = self._near(seen_at)
        return median(near) if near else None

    def witnesses(self, seen_at: float, skew: float) -> int:
        """How many joins around that moment show about this skew."""
        return sum(abs(each - skew) <= TOLERANCE_SECONDS for each in self._near(seen_at))

    def _near(self, seen_at: float) -> list[float]:
        middle = bisect_left(self._samples, (seen_at, float("-inf")))
        around = self._samples[max(0, middle - NEIGHBOURS) : middle + NEIGHBOURS]
        nearest = sorted(around, key=lambda sample: abs(sample[0] - seen_at))[:NEIGHBOURS]
        missing = NEIGHBOURS - len(nearest)
        return [skew for _, skew in nearest] + list(self._earlier[len(self._earlier) - missing :] if missing else ())
