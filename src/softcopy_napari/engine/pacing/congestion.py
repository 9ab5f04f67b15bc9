"""Decides how fast to copy while an acquisition goes on: gives way when its writer suffers, and comes back slowly.

Like congestion control in networks: fast down, slowly up, never quite to nothing. Pure: fed with one sample about
every second, it says how fast copying may go until the next. docs/dev/how-it-works.md tells why it is as it is.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

_WINDOW = 4.0
"""Seconds that count as the present."""
_FEWEST = 4
"""Lock holds from which a median is taken; of seconds with writes, two are enough."""
_NEGLIGIBLE = 1e6
"""Bytes a second that no disk notices: what is seen then counts as without copying."""
_NEGLIGIBLE_SHARE = 0.01
"""The same limit as a share of the fastest that copying went; the higher one counts."""
_LEAST_SHARE = 0.02
"""The lowest rate allowed, as a share of the fastest that copying went."""
_OLD = 900.0
"""Seconds after which what was seen without copying no longer counts."""
_BUSY = 0.9
"""Share of the time from which on a disk counts as busy."""
_BUSY_BASELINE = 0.5
"""A disk less busy than this without copying is not what a writer waits for."""
_BACKLOG = 2.0
"""Seconds of work that wait: less is what a live copy has under way."""
_SUSTAINED = 3
"""Samples in a row after which something is no passing moment."""
_PROBE = 3.0
"""Seconds of standing still to learn how the writer fares without copying."""
_PROBE_EVERY = 120.0
"""Seconds between two such looks at least, and longer where they change nothing."""
_UNEVEN = 0.05
"""Seconds by which the highest values exceed the lowest where something gets in the way at times."""
_STILL = 1.0
"""Bytes a second while standing still."""
_CUT = 0.5
"""What is left of the rate when the writer suffers."""
_QUICK, _SLOW = 1.15, 1.04
"""Growth a sample far from, and near, the rate at which the writer suffered last."""
_CALM = 180.0
"""Seconds without suffering after which growth is no longer held back by what was before."""
_URGENT, _LAST_MINUTES = 3600.0, 600.0
"""Seconds until the source's disk is full from which on the floor rises, and at which it is at the top."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What was seen since the sample before."""

    now: float
    """Monotonic, s."""
    live: bool
    """Whether the source was written to lately."""
    rate: float
    """Bytes copied a second."""
    backlog: float = 0.0
    """Seconds of work that wait."""
    holds: Sequence[float] = ()
    """How long the writer held locks that it let go of, or has held those that it still has for long; s."""
    busy: float | None = None
    """Share of the time in which the source's disk was busy; None where that is not known."""
    latency: float | None = None
    """Seconds that a write to the source's disk took; None where that is not known, or there was none."""
    full_in: float | None = None
    """Seconds until the source's disk is full; None where that is not known, or not to be feared."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How fast to copy until the next sample."""

    rate: float = math.inf
    """Bytes a second."""
    reason: str = ""
    """Why not faster, in words for its user; empty where there is no limit."""


class _Indicator:
    """One measure of how a writer fares: its current median, and its baseline, the median without copying.

    Parameters
    ----------
    factor, margin : float
        The current value is worse than the baseline if it is more than `factor` times as high, and `margin` higher.
    fewest : int
        Values from which a median is taken.
    """

    def __init__(self, factor: float, margin: float, fewest: int) -> None:
        self._factor = factor
        self._margin = margin
        self._fewest = fewest
        self._current: deque[tuple[float, float]] = deque(maxlen=512)
        self._baseline: deque[tuple[float, float]] = deque(maxlen=256)

    def record(self, values: Sequence[float], now: float, copies_nothing: bool) -> None:
        """Record values that were seen while copying, or while nothing was copied."""
        into = self._baseline if copies_nothing else self._current
        into.extend((now, value) for value in values)
        while self._current and self._current[0][0] < now - _WINDOW:
            self._current.popleft()
        while len(self._baseline) > self._fewest and self._baseline[0][0] < now - _OLD:
            self._baseline.popleft()

    def drop_high_baseline(self) -> None:
        """Forget the baseline where it is worse than while copying: something else was in the way then."""
        current, baseline = self.current, self.baseline
        if (
            current is not None
            and baseline is not None
            and baseline > max(self._factor * current, current + self._margin)
        ):
            self._baseline.clear()

    def clear_current(self) -> None:
        """Forget what was seen while copying: it belongs to another rate."""
        self._current.clear()

    @property
    def current(self) -> float | None:
        """The median of the last seconds while copying; None while there are too few values."""
        return median(value for _, value in self._current) if len(self._current) >= self._fewest else None

    @property
    def baseline(self) -> float | None:
        """The median without copying; None while there are too few values."""
        return median(value for _, value in self._baseline) if len(self._baseline) >= self._fewest else None

    def lacks_baseline(self, now: float) -> bool:
        """Return whether the baseline is not known, or too old."""
        return self.baseline is None or self._baseline[-1][0] < now - _OLD

    @property
    def uneven(self) -> bool:
        """Whether some current values are far above others, as where something gets in the way at times."""
        values = sorted(value for _, value in self._current)
        low, high = values[len(values) // 10 : 1 + len(values) // 10], values[-1 - len(values) // 10 :]
        return len(values) >= 4 * self._fewest and high[0] > 4 * low[0] + _UNEVEN

    @property
    def ratio(self) -> float | None:
        """How many times as high as the baseline it is, 1 for about the same; None while that is not known."""
        current, baseline = self.current, self.baseline
        if current is None or baseline is None:
            return None
        worse = current > max(self._factor * baseline, baseline + self._margin)
        return current / max(baseline, 1e-6) if worse else 1.0


class CongestionController:
    """Decides how fast one target may copy, from one sample about every second."""

    def __init__(self) -> None:
        self._holds = _Indicator(1.5, 0.01, _FEWEST)
        self._latency = _Indicator(2.0, 0.005, 2)
        self._busy_baseline: float | None = None
        self._busy_for = 0
        """Samples in a row with a busy disk."""
        self._waiting_for = 0
        """Samples in a row with a backlog."""
        self._rates: deque[float] = deque(maxlen=3)
        self._peak = 0.0
        self._limit = math.inf
        self._harmful = math.inf
        """The rate at which the writer suffered last; inf after a long calm."""
        self._cuts = 0
        """How often it has suffered since it was calm for long."""
        self._last_cut = -math.inf
        self._last_probe = -math.inf
        self._probe_ends = -math.inf
        self._probe_every = _PROBE_EVERY / 2
        self._reason = ""

    def decide(self, sample: Sample) -> RateLimit:
        """Return how fast copying may go until the next sample."""
        if not sample.live:
            self._record(sample)
            self._limit, self._probe_ends = math.inf, -math.inf
            return RateLimit()
        if sample.now < self._probe_ends:
            if sample.now > self._probe_ends - _PROBE + 1.5:  # before, what was under way is finished
                self._record(sample)
            return self._stand_still()
        self._record(sample)
        suffering = self._find_suffering(sample)
        if suffering and sample.now - self._last_cut > 2.0:
            self._cut(sample, suffering)
        elif self._should_probe(sample):
            self._last_probe, self._probe_ends = sample.now, sample.now + _PROBE
            self._probe_every = min(2 * self._probe_every, _OLD)  # it may tell nothing, and should cost little
            return self._stand_still()
        elif not suffering:
            self._grow(sample)
        return self._limit_for(sample)

    # -- what is seen ---------------------------------------------------------------------------------

    def _record(self, sample: Sample) -> None:
        copies_nothing = sample.rate <= self._negligible
        self._holds.record(sample.holds, sample.now, copies_nothing)
        self._latency.record(() if sample.latency is None else (sample.latency,), sample.now, copies_nothing)
        self._holds.drop_high_baseline()
        self._latency.drop_high_baseline()
        if sample.busy is not None:
            self._busy_for = self._busy_for + 1 if sample.busy > _BUSY else 0
            if copies_nothing:
                before = sample.busy if self._busy_baseline is None else self._busy_baseline
                self._busy_baseline = before + 0.5 * (sample.busy - before)
        self._waiting_for = self._waiting_for + 1 if sample.backlog > _BACKLOG else 0
        self._rates.append(sample.rate)
        self._peak = max(0.999 * self._peak, sample.rate)

    def _find_suffering(self, sample: Sample) -> str:
        """Return how the writer suffers, in words; empty if it does not, or nothing tells."""
        ratio = self._holds.ratio
        if ratio is not None:  # the writer itself tells: however busy the disk is, that is what counts
            return f"its writer holds its locks {_times(ratio)} as long as without copying" if ratio > 1 else ""
        if self._busy_for < _SUSTAINED or not self._is_copying:  # it is not copying that makes it busy
            return ""
        ratio = self._latency.ratio
        if ratio is not None:
            return f"writes to the source's disk take {_times(ratio)} as long as without copying" if ratio > 1 else ""
        if self._busy_baseline is not None and self._busy_baseline < _BUSY_BASELINE:
            return ""  # our own reads make it busy, and whoever writes has hardly anything to do with it
        if sample.now - self._last_probe > self._probe_every:
            return ""  # first see what it is without copying
        return f"the source's disk is busy {100 * (sample.busy or 0):.0f} % of the time"

    # -- standing still -------------------------------------------------------------------------------

    @property
    def _is_copying(self) -> bool:
        return self._rates[-1] > self._negligible

    @property
    def _negligible(self) -> float:
        """Bytes a second that count as nothing."""
        return max(_NEGLIGIBLE, _NEGLIGIBLE_SHARE * self._peak)

    def _should_probe(self, sample: Sample) -> bool:
        """Return whether it is worth some seconds to learn how the writer fares without copying.

        Not while all is well: what is live should arrive at once. With a backlog nobody waits for seconds.
        """
        if sample.now - self._last_probe <= self._probe_every or not self._is_copying:
            return False
        holds, latency = self._holds, self._latency
        if holds.current is not None and holds.lacks_baseline(sample.now):
            return self._waiting_for >= _SUSTAINED or self._busy_for >= _SUSTAINED or holds.uneven
        return holds.ratio is None and self._busy_for >= _SUSTAINED and latency.lacks_baseline(sample.now)

    def _stand_still(self) -> RateLimit:
        return RateLimit(_STILL, "stands still for some seconds, to see how the acquisition does without copying")

    # -- down and up ----------------------------------------------------------------------------------

    def _cut(self, sample: Sample, why: str) -> None:
        self._harmful = min(self._limit, max(self._rates))
        self._limit = max(_CUT * self._harmful, self._floor(0.0))
        self._probe_every = _PROBE_EVERY
        self._last_cut = sample.now
        self._cuts = min(self._cuts + 1, 10)
        self._reason = f"gives way to the acquisition: {why}"
        self._holds.clear_current()
        self._latency.clear_current()

    def _grow(self, sample: Sample) -> None:
        if self._limit == math.inf or sample.now - self._last_cut < _WINDOW:
            return
        if sample.now - self._last_cut > _CALM:
            self._cuts, self._harmful = 0, math.inf
        near = self._limit > 0.8 * self._harmful
        self._limit *= 1 + (_SLOW - 1) / self._cuts if near and self._cuts else _QUICK
        self._reason = "comes back slowly after it gave way to the acquisition"
        if self._limit > 2 * self._peak:
            self._limit = math.inf

    def _floor(self, urgency: float) -> float:
        """Return the slowest rate allowed: never nothing, and higher the more urgent it is."""
        return max((_LEAST_SHARE + (1 - _LEAST_SHARE) * urgency) * self._peak, _NEGLIGIBLE)

    def _urgency(self, sample: Sample) -> float:
        """Return 0 while there is time, rising to 1 where the source's disk is about to be full."""
        if sample.full_in is None:
            return 0.0
        return min(max((_URGENT - sample.full_in) / (_URGENT - _LAST_MINUTES), 0.0), 1.0)

    def _limit_for(self, sample: Sample) -> RateLimit:
        if self._limit == math.inf:
            return RateLimit()
        urgency, floor = self._urgency(sample), self._floor(self._urgency(sample))
        if urgency == 0 or floor <= self._limit:
            return RateLimit(max(self._limit, floor), self._reason)
        if urgency == 1:
            return RateLimit()
        minutes = max(1, round((sample.full_in or 0) / 60))
        return RateLimit(floor, f"gives way less: the source's disk is full in {minutes} min")


def _times(ratio: float) -> str:
    return f"{ratio:.1f} times" if ratio < 10 else f"{min(ratio, 1000):.0f} times"
