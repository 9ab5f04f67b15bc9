"""How fast a total grows, averaged over the last seconds."""

from __future__ import annotations

from collections import deque

_STEP = 0.25


class Rate:
    """The rate at which a total grows that starts at 0, averaged over the last seconds."""

    def __init__(self, now: float, window: float) -> None:
        self._window = window
        self._samples: deque[tuple[float, float]] = deque([(now, 0)])

    def note_total(self, total: float, now: float) -> None:
        """Note what the total is now."""
        if now - self._samples[-1][0] >= _STEP:
            self._samples.append((now, total))
            while now - self._samples[0][0] > self._window:
                self._samples.popleft()

    @property
    def seconds(self) -> float:
        """Seconds that the average covers so far."""
        return self._samples[-1][0] - self._samples[0][0]

    @property
    def per_second(self) -> float:
        """Growth a second; 0 before there are two samples."""
        growth = self._samples[-1][1] - self._samples[0][1]
        return max(0.0, growth) / self.seconds if self.seconds else 0.0
