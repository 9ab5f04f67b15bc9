"""What a target's thread works with: its inbox, and the copy processes that report there.

Apart from the thread itself, so that the processes can be started before what the thread needs is imported.
"""

from __future__ import annotations

import os
import queue
from collections.abc import Callable

from softcopy_napari.engine.dispatch.worker_pool import WorkerAnswer, WorkerDied, WorkerPool
from softcopy_napari.engine.fs.own_files import TEMPORARY_PREFIX, TEMPORARY_SUFFIX
from softcopy_napari.engine.state_folder.destination_lock import DestinationLock, keeps_times
from softcopy_napari.engine.targets.target import Target
from softcopy_napari.engine.worker.tasks import Setup


class TargetResources:
    """Copy processes, none of them started yet, and where they report.

    Parameters
    ----------
    target : Target
    lock : DestinationLock
        The processes keep it until they have ended.
    processes : int, optional
        How many there are to be, where that is not what the target wants.
    note : str
        Why they are fewer, for the user.

    Attributes
    ----------
    target, lock
        As given.
    inbox : queue.SimpleQueue
        What the processes say; orders; what was done in other threads; None to look at once.
    marker : str
        Name of the file by which the destination is known again; empty where nothing is written there.
    pool : WorkerPool
    """

    def __init__(self, target: Target, lock: DestinationLock, processes: int | None = None, note: str = "") -> None:
        self.target, self.lock = target, lock
        self.inbox: queue.SimpleQueue[WorkerAnswer | WorkerDied | str | Callable[[], None] | None] = queue.SimpleQueue()
        run = os.urandom(4).hex()
        self.marker = "" if target.check else f"{TEMPORARY_PREFIX}{run}-here{TEMPORARY_SUFFIX}"
        setup = Setup(
            str(target.source), str(target.destination), run, "", target.sleep_time, target.check, self.marker,
            permissions=target.permissions, by_content=target.check and not keeps_times(target.destination),
            links=target.links,
        )  # fmt: skip
        self.pool = WorkerPool(setup, processes or target.nprocs, self.inbox.put, lock)
        self.pool.problem = note
