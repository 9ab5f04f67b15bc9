"""Limits redrawing by its cost: software 3D takes a quarter of a second per picture, 2D next to nothing."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from qtpy.QtCore import QObject, QTimer

_SLOWEST = 5.0
"""Seconds between two pictures at most, whatever they cost."""
_SLOWEST_NUMBERS = 0.8
"""Seconds between two updates of the numbers at most."""


def picture_rest(cost: float) -> float:
    """Return the seconds of rest after a picture, by its cost: 0.1 s after one of 0.1 s, 2.5 s after one of 0.5 s.

    Cheap pictures are drawn at once, and expensive ones leave the main thread free for the user.
    """
    return min(_SLOWEST, 10.0 * cost**2)


def numbers_rest(cost: float) -> float:
    """Return the seconds of rest after an update of numbers, which are to cost a few percent of a core at most.

    A window with a canvas is composed again for every number that changes; without a graphics card that takes 20 ms to
    40 ms, which slows copying on a small machine.
    """
    return min(_SLOWEST_NUMBERS, 30.0 * cost)


class RedrawBudget(QObject):
    """Decides when the next picture may be drawn. For the main thread.

    Parameters
    ----------
    rest : callable
        Returns the seconds of rest after a picture, by its cost in seconds.
    """

    def __init__(self, rest: Callable[[float], float] = picture_rest) -> None:
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
        """Seconds until the next picture may be drawn."""
        return max(0.0, self._next - time.perf_counter())

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Measure the drawing within this context, with the painting that Qt does later."""
        self._begun = time.perf_counter()
        yield
        # Qt paints before it handles timers.
        self._timer.start(0)

    @property
    def cost(self) -> float:
        """Seconds that a picture takes: the median of the last ones, as other work may get in between."""
        return sorted(self._costs)[len(self._costs) // 2]

    def _drawn(self) -> None:
        now = time.perf_counter()
        self._costs.append(now - self._begun)
        self._next = now + self._rest(self.cost)
