"""Decides how much is copied while an acquisition goes on: in its pauses, and more only if those do not suffice.

Copy processes heed the writer's bursts by themselves, within a millisecond; what is decided here, from one sample about
every second, is their effort (worker/pause_gate.py). As in networks it goes down fast where the writer suffers, and
comes back slowly. Pure; docs/dev/how-it-works.md tells why it is as it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.worker.pause_gate import ALL_THE_TIME, IN_PAUSES

_WINDOW = 4.0
"""Seconds that count as the present."""
_FEWEST = 4
"""Times that files were open from which a median is taken."""
_FACTOR, _MARGIN = 1.5, 0.01
"""The writer suffers if its files are open so many times as long as without copying, and so many seconds longer."""
_NEGLIGIBLE = 1e6
"""Bytes a second that no disk notices: what is seen then counts as without copying."""
_NEGLIGIBLE_SHARE = 0.01
"""The same limit as a share of the fastest that copying went; the higher one counts."""
_LEAST = 0.05
"""The least effort: never nothing."""
_OLD = 900.0
"""Seconds after which what was seen without copying no longer counts."""
_BACKLOG, _NO_BACKLOG = 2.0, 0.5
"""Seconds of work that wait: less is what a live copy has under way, and with the least it keeps up."""
_SUSTAINED = 3
"""Samples in a row after which something is no passing moment."""
_PROBE = 3.0
"""Seconds of standing still to learn how the writer fares without copying."""
_PROBE_EVERY = 120.0
"""Seconds between two such looks at least, and longer where they change nothing."""
_UNEVEN = 0.05
"""Seconds by which the highest values exceed the lowest where something gets in the way at times."""
_CUT = 0.5
"""What is left of the effort, or of what it exceeds 1 by, when the writer suffers."""
_QUICK, _SLOW = 1.15, 1.04
"""Growth a sample far from, and near, the effort at which the writer suffered last."""
_FIRST_SHARE, _MORE, _LESS = 0.05, 1.3, 0.8
"""The share of the bursts that is taken first, and what it grows and shrinks by in a sample."""
_CALM = 180.0
"""Seconds without suffering after which growth is no longer held back by what was before."""
_URGENT, _LAST_MINUTES = 3600.0, 600.0
"""Seconds until the source's disk is full from which on the effort rises, and at which it is at the top."""


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
    """How long the writer had files open that it closed, or has had those open that it still has for long; s."""
    full_in: float | None = None
    """Seconds until the source's disk is full; None where that is not known, or not to be feared."""


@dataclass(frozen=True, slots=True)
class Decision:
    """How much to do until the next sample."""

    effort: float = IN_PAUSES
    reason: Reason | None = None
    """What is done, and why; None where there is nobody to give way to."""


class _HoldTimes:
    """For how long the writer has files open: now, and when nothing is copied (the baseline)."""

    def __init__(self) -> None:
        self._current: deque[tuple[float, float]] = deque(maxlen=512)
        self._baseline: deque[tuple[float, float]] = deque(maxlen=256)

    def record(self, values: Sequence[float], now: float, copies_nothing: bool) -> None:
        """Record values that were seen while copying, or while nothing was copied."""
        into = self._baseline if copies_nothing else self._current
        into.extend((now, value) for value in values)
        while self._current and self._current[0][0] < now - _WINDOW:
            self._current.popleft()
        while len(self._baseline) > _FEWEST and self._baseline[0][0] < now - _OLD:
            self._baseline.popleft()
        current, baseline = self.current, self.baseline
        if current is not None and baseline is not None and baseline > max(_FACTOR * current, current + _MARGIN):
            self._baseline.clear()  # something else was in the way then

    def clear_current(self) -> None:
        """Forget what was seen while copying: it belongs to another effort."""
        self._current.clear()

    @property
    def current(self) -> float | None:
        """The median of the last seconds while copying; None while there are too few values."""
        return _median(self._current)

    @property
    def baseline(self) -> float | None:
        """The median without copying; None while there are too few values."""
        return _median(self._baseline)

    def lacks_baseline(self, now: float) -> bool:
        """Return whether the baseline is not known, or too old."""
        return self.baseline is None or self._baseline[-1][0] < now - _OLD

    @property
    def uneven(self) -> bool:
        """Whether some current values are far above others, as where something gets in the way at times."""
        values = sorted(value for _, value in self._current)
        low, high = values[len(values) // 10 : 1 + len(values) // 10], values[-1 - len(values) // 10 :]
        return len(values) >= 4 * _FEWEST and high[0] > 4 * low[0] + _UNEVEN

    @property
    def ratio(self) -> float:
        """How many times as long as without copying it is; 1 for about the same, and where that is not known."""
        current, baseline = self.current, self.baseline
        if current is None or baseline is None:
            return 1.0
        worse = current > max(_FACTOR * baseline, baseline + _MARGIN)
        return current / max(baseline, 1e-6) if worse else 1.0


class EffortController:
    """Decides how much one target may copy, from one sample about every second."""

    def __init__(self) -> None:
        self._holds = _HoldTimes()
        self._waiting_for = 0
        """Samples in a row with a backlog."""
        self._backlog = 0.0
        self._rate = self._peak = 0.0
        self._effort = IN_PAUSES
        self._harmful = ALL_THE_TIME
        """The effort at which the writer suffered last; the highest one after a long calm."""
        self._cuts = 0
        """How often it has suffered since it was calm for long."""
        self._last_cut = self._last_probe = self._probe_ends = float("-inf")
        self._probe_every = _PROBE_EVERY / 2
        self._suffered = 1.0
        """How many times as long as without copying its files were open when it suffered last."""

    def decide(self, sample: Sample) -> Decision:
        """Return how much may be done until the next sample."""
        if not sample.live:
            self._record(sample)
            self._effort, self._probe_ends = IN_PAUSES, float("-inf")
            return Decision()
        if sample.now < self._probe_ends:
            if sample.now > self._probe_ends - _PROBE + 1.5:  # before, what was under way is finished
                self._record(sample)
            return Decision(0.0, make_reason(ReasonCode.STANDS_STILL))
        self._record(sample)
        ratio = self._holds.ratio
        if ratio > 1 and sample.now - self._last_cut > 2.0:
            self._cut(sample, ratio)
        elif self._should_probe(sample):
            self._last_probe, self._probe_ends = sample.now, sample.now + _PROBE
            self._probe_every = min(2 * self._probe_every, _OLD)  # it may tell nothing, and should cost little
            return Decision(0.0, make_reason(ReasonCode.STANDS_STILL))
        elif ratio <= 1:
            self._adapt(sample)
        return self._decision(sample)

    def _record(self, sample: Sample) -> None:
        copies_nothing = sample.rate <= self._negligible
        self._holds.record(sample.holds, sample.now, copies_nothing)
        self._waiting_for = self._waiting_for + 1 if sample.backlog > _BACKLOG else 0
        self._rate = sample.rate
        self._peak = max(0.999 * self._peak, sample.rate)

    @property
    def _negligible(self) -> float:
        """Bytes a second that count as nothing."""
        return max(_NEGLIGIBLE, _NEGLIGIBLE_SHARE * self._peak)

    def _should_probe(self, sample: Sample) -> bool:
        """Return whether it is worth some seconds to learn how the writer fares without copying.

        Not while all is well: what is live should arrive at once. With a backlog nobody waits for seconds.
        """
        if sample.now - self._last_probe <= self._probe_every or self._rate <= self._negligible:
            return False
        if self._holds.current is None or not self._holds.lacks_baseline(sample.now):
            return False
        return self._waiting_for >= _SUSTAINED or self._holds.uneven

    def _cut(self, sample: Sample, ratio: float) -> None:
        self._harmful = self._effort
        if self._effort > IN_PAUSES + _FIRST_SHARE:
            self._effort = IN_PAUSES + _CUT * (self._effort - IN_PAUSES)
        else:
            self._effort = max(_CUT * min(self._effort, IN_PAUSES), _LEAST)
        self._probe_every = _PROBE_EVERY
        self._last_cut, self._suffered = sample.now, ratio
        self._cuts = min(self._cuts + 1, 10)
        self._holds.clear_current()

    def _adapt(self, sample: Sample) -> None:
        """Come back after a cut; take more than the pauses while those do not suffice, and less when they do."""
        before, self._backlog = self._backlog, sample.backlog
        if sample.now - self._last_cut > _CALM:
            self._cuts, self._harmful = 0, ALL_THE_TIME
        near = self._cuts > 0 and self._effort > 0.8 * self._harmful
        slowly = 1 + (_SLOW - 1) / max(self._cuts, 1)
        if self._effort < IN_PAUSES:
            if sample.now - self._last_cut > _WINDOW:
                self._effort = min(self._effort * (slowly if near else _QUICK), IN_PAUSES)
            return
        share = self._effort - IN_PAUSES
        if sample.backlog < _NO_BACKLOG:
            share = _LESS * share if share > _FIRST_SHARE / 2 else 0.0
        elif self._waiting_for >= _SUSTAINED and sample.backlog >= 0.95 * before:
            share = max(share * (slowly if near else _MORE), _FIRST_SHARE)
        self._effort = min(IN_PAUSES + share, ALL_THE_TIME)

    def _decision(self, sample: Sample) -> Decision:
        urgency = _urgency(sample.full_in)
        urgent = urgency * ALL_THE_TIME
        if urgent > self._effort:
            minutes = max(1, round((sample.full_in or 0) / 60))
            return Decision(urgent, make_reason(ReasonCode.DISK_NEARLY_FULL, minutes=minutes))
        if self._effort > IN_PAUSES:
            percent = max(1, round(100 * (self._effort - IN_PAUSES)))
            return Decision(self._effort, make_reason(ReasonCode.MORE_THAN_PAUSES, percent=percent))
        if self._effort == IN_PAUSES:
            return Decision(self._effort, make_reason(ReasonCode.IN_PAUSES))
        if self._holds.ratio > 1 or sample.now - self._last_cut < _WINDOW:
            times = round(min(self._suffered, 1000.0), 1)
            return Decision(self._effort, make_reason(ReasonCode.GIVES_WAY, times=times))
        return Decision(self._effort, make_reason(ReasonCode.COMES_BACK))


def _median(values: Sequence[tuple[float, float]]) -> float | None:
    return median(value for _, value in values) if len(values) >= _FEWEST else None


def _urgency(full_in: float | None) -> float:
    """Return 0 while there is time, rising to 1 where the source's disk is about to be full."""
    if full_in is None:
        return 0.0
    return min(max((_URGENT - full_in) / (_URGENT - _LAST_MINUTES), 0.0), 1.0)
