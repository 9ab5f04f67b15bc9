"""Tells an adaptive cluster that more workers are wanted.

Such a cluster grows by what waits at its scheduler. The engine hands out only what its workers can begin, which is
never much, so where files wait it leaves as many placeholders there as make the cluster grow to what was asked for.
They ask for a resource that no worker has, and are never run; they go when no file waits any more.
"""

from __future__ import annotations

import math
import time
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distributed import Client, Future

_AFTER, _UNTIL = 2.0, 10.0
"""Seconds for which files wait before more workers are asked for, and for which none has waited when that ends."""
RESOURCE = "softcopy-wants-a-worker"


class Demand:
    """The placeholders of one target.

    Parameters
    ----------
    size : int
        Workers that are wanted at most.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._missing = 0
        self._since = self._last = 0.0
        """When files began to wait, and when they did last; monotonic."""
        self._placeholders: list[Future[Any]] = []

    def note(self, missing: int) -> None:
        """Note how many workers files wait for: 0 where none do. Called often."""
        now = time.monotonic()
        if missing:
            if now - self._last > _UNTIL:
                self._since = now
            self._last = now
        self._missing = missing

    def update(self, client: Client, processes: int) -> None:
        """Leave placeholders, or take them away."""
        now = time.monotonic()
        waits = now - self._last < _UNTIL and now - self._since > _AFTER
        if waits and self._missing and not self._placeholders:
            self._placeholders = self._leave(client)
        elif self._placeholders and (not waits or processes >= self._size):
            self.withdraw()

    def withdraw(self) -> None:
        """Take the placeholders away."""
        for future in self._placeholders:
            future.release()
        self._placeholders = []

    def forget(self) -> None:
        """Forget the placeholders: their scheduler has gone."""
        self._placeholders = []

    def _leave(self, client: Client) -> list[Future[Any]]:
        import dask
        from dask.utils import parse_timedelta

        # An adaptive cluster wants a worker for each so many seconds of work that waits, and takes tasks of which it
        # knows nothing for half a second long.
        target = parse_timedelta(dask.config.get("distributed.adaptive.target-duration", "5s"))
        each = parse_timedelta(dask.config.get("distributed.scheduler.unknown-task-duration", "500ms"))
        count = math.ceil(self._size * target / each)
        return client.map(
            _nothing, range(count), key=[f"{RESOURCE}-{uuid.uuid4()}" for _ in range(count)], resources={RESOURCE: 1},
            pure=False,
        )  # fmt: skip


def _nothing(_: int) -> None:
    """Do nothing: it is never run."""
