"""Rates over the last seconds, from running totals."""

from __future__ import annotations

from collections import deque

_WINDOW = 8.0
_STEP = 0.25


class Rate:
    """How fast a total grows, averaged over the last seconds."""

    def __init__(self, now: float) -> None:
        self._samples: deque[tuple[float, int]] = deque([(now, 0)])

    def note(self, total: int, now: float) -> None:
        """Note the total as it is now."""
        if now - self._samples[-1][0] >= _STEP:
            self._samples.append((now, total))
            while now - self._samples[0][0] > _WINDOW:
                self._samples.popleft()

    def per_second(self) -> float:
        """Growth a second; 0 before there is anything to tell from."""
        (start, first), (end, last) = self._samples[0], self._samples[-1]
        return max(0.0, last - first) / (end - start) if end > start else 0.0
