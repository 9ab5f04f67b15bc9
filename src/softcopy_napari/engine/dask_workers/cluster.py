"""The workers of a cluster: which there are, which are left alone for a while, and what is to be done there."""

from __future__ import annotations

import queue
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from softcopy_napari.engine.dask_workers.scheduler import DaskWorker
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason

if TYPE_CHECKING:
    from softcopy_napari.engine.dask_workers.dask_link import DaskLink

_FIRST_HOLD, _LAST_HOLD = 1.0, 60.0
_TELL_AFTER = 3
"""Refusals in a row after which the user hears of it: a share shows a new file some seconds later elsewhere."""
Request = tuple[str, "DaskLink | None"]


@dataclass(slots=True)
class _Hold:
    """A Dask worker that is left alone."""

    times: int = 0
    until: float = 0.0
    """Monotonic, s."""
    reason: Reason | None = field(default=None)


class Cluster:
    """The workers of a cluster, and what is to be done with them by a thread that may wait for them.

    Parameters
    ----------
    scheduler : str
        What its user calls the scheduler.

    Attributes
    ----------
    workers : list of DaskWorker
        Those that there are.
    """

    def __init__(self, scheduler: str) -> None:
        self.workers: list[DaskWorker] = []
        self._scheduler = scheduler
        self._holds: dict[str, _Hold] = {}
        self._requests: queue.SimpleQueue[Request | None] = queue.SimpleQueue()

    # -- places ---------------------------------------------------------------------------------------

    def find_place(self, taken: Sequence[str]) -> DaskWorker | None:
        """Return the worker with the most free threads, of those that are not left alone; None where all are taken.

        Parameters
        ----------
        taken : sequence of str
            The address of each copy process's worker.
        """
        now, processes = time.monotonic(), Counter(taken)
        best, most = None, 0
        for worker in self.workers:
            hold = self._holds.get(worker.address)
            free = worker.threads - processes[worker.address]
            if free > most and (hold is None or hold.until <= now):
                best, most = worker, free
        return best

    def hold(self, address: str, reason: Reason | None) -> bool:
        """Leave a worker alone, for longer each time; return whether its user should hear why."""
        hold = self._holds.setdefault(address, _Hold())
        hold.times, hold.reason = hold.times + 1, reason
        hold.until = time.monotonic() + min(_FIRST_HOLD * 2.0 ** min(hold.times - 1, 10), _LAST_HOLD)
        return hold.times == _TELL_AFTER

    def note_success(self, address: str) -> None:
        """Note that a worker does what it was given."""
        self._holds.pop(address, None)

    @property
    def problem(self) -> Reason | None:
        """Why nothing is done; None where something is."""
        if not self.workers:
            return make_reason(ReasonCode.DASK_NO_WORKERS, scheduler=self._scheduler)
        return None

    # -- requests ---------------------------------------------------------------------------------------

    def add_request(self, what: str, link: DaskLink | None) -> None:
        """Have something done: `start`, `end` or `kill` a copy process, or tell all of them the `pace`."""
        self._requests.put((what, link))

    def end_requests(self) -> None:
        """Let nothing more be done after what waits."""
        self._requests.put(None)

    def wait_for_requests(self, seconds: float) -> list[Request] | None:
        """Return what is to be done, as soon as there is anything; None at the end."""
        requests: list[Request] = []
        try:
            request = self._requests.get(timeout=seconds)
            while request is not None:
                requests.append(request)
                request = self._requests.get_nowait()
        except queue.Empty:
            return requests
        self._requests.put(None)  # the end, once what came before it is done
        return requests or None
