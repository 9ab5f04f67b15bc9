"""Holds back redrawing by what it costs: software 3D takes a quarter of a second a picture, 2D next to nothing."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from qtpy.QtCore import QObject, QTimer

_SLOWEST = 5.0
"""Seconds between two pictures at most, whatever they cost."""
_UNHURRIED = 0.8
"""Seconds between two looks of the numbers at most."""


def of_pictures(cost: float) -> float:
    """Seconds of rest after a picture of so many seconds: 0.1 s after one of 0.1 s, 2.5 s after one of 0.5 s.

    So what is cheap is drawn at once, and what is not leaves the main thread to its user.
    """
    return min(_SLOWEST, 10.0 * cost**2)


def of_numbers(cost: float) -> float:
    """Seconds of rest after numbers that took so long to draw: they are to cost a few percent of a core at most.

    A window with a canvas in it is put together anew for every number that changes; without a graphics card that takes
    20 ms to 40 ms, which copying on a small machine would miss.
    """
    return min(_UNHURRIED, 30.0 * cost)


class RedrawBudget(QObject):
    """Says when the next picture may be drawn. For the main thread.

    Parameters
    ----------
    rest : callable
        Seconds of rest for the seconds that a picture costs.
    """

    def __init__(self, rest: Callable[[float], float] = of_pictures) -> None:
        super().__init__()
        self._rest = rest
        self._costs: deque[float] = deque([0.0], maxlen=3)
        self._next = 0.0
        self._begun = 0.0
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._drawn)

    def due(self) -> bool:
        """Whether a picture may be drawn now."""
        return not self._timer.isActive() and not self.left

    @property
    def left(self) -> float:
        """Seconds until then."""
        return max(0.0, self._next - time.perf_counter())

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Draw within this; painting, which Qt does later, is counted as well."""
        self._begun = time.perf_counter()
        yield
        # Qt paints what is due before it looks at timers.
        self._timer.start(0)

    @property
    def cost(self) -> float:
        """Seconds that a picture takes; the median of the last ones, as other things get in between."""
        return sorted(self._costs)[len(self._costs) // 2]

    def _drawn(self) -> None:
        now = time.perf_counter()
        self._costs.append(now - self._begun)
        self._next = now + self._rest(self.cost)
