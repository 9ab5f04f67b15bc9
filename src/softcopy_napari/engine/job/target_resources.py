"""What a target needs before its job is made: its lock, its copy processes, and the inbox where they report.

It imports nothing heavy, so that the copy processes start while numpy and the job's modules are imported.
"""

from __future__ import annotations

import os
import queue
from collections.abc import Callable

from softcopy_napari.engine.activity_board import ActivityBoard
from softcopy_napari.engine.dispatch.worker_pool import WorkerAnswer, WorkerDied, WorkerPool
from softcopy_napari.engine.fs.own_files import TEMPORARY_PREFIX, TEMPORARY_SUFFIX
from softcopy_napari.engine.reasons import Reason
from softcopy_napari.engine.state_folder.activity import board_path, claim_slot
from softcopy_napari.engine.state_folder.destination_lock import DestinationLock, keeps_times, manifest_path
from softcopy_napari.engine.targets.store_url import StoreUrl
from softcopy_napari.engine.targets.target import Target
from softcopy_napari.engine.worker.pause_gate import ALL_THE_TIME, IN_PAUSES
from softcopy_napari.engine.worker.tasks import Setup


class TargetResources:
    """A target's lock, inbox and copy processes, none of them started yet.

    Parameters
    ----------
    target : Target
    lock : DestinationLock
        The copy processes hold it until they have ended.
    processes : int, optional
        The number of copy processes; without it, the number that the target wants.
    note : str
        Why there are fewer than the target wants, for the user.

    Attributes
    ----------
    target, lock
        As given.
    inbox : queue.SimpleQueue
        Messages to the job: answers of the processes, orders, functions to call, and None, which only wakes it.
    marker : str
        Name of the file that marks the destination as this run's; empty where nothing is written there.
    pool : WorkerPool
    board : ActivityBoard
    slot : ActivitySlot
        The source's on the board.
    """

    def __init__(
        self, target: Target, lock: DestinationLock, processes: int | None = None, note: Reason | None = None
    ) -> None:
        self.target, self.lock = target, lock
        self.inbox: queue.SimpleQueue[WorkerAnswer | WorkerDied | str | Callable[[], None] | None] = queue.SimpleQueue()
        path = board_path()
        self.board = ActivityBoard(path)
        self.slot = claim_slot(self.board)
        run = os.urandom(4).hex()
        self.marker = "" if target.check else f"{TEMPORARY_PREFIX}{run}-here{TEMPORARY_SUFFIX}"
        by_content = target.check and (target.by_content or not keeps_times(target.destination))
        is_store = isinstance(target.destination, StoreUrl)
        manifest = str(manifest_path(target.destination)) if is_store else ""
        setup = Setup(
            str(target.source), str(target.destination), run, "", target.sleep_time, target.check, self.marker,
            permissions=target.permissions, group=target.group_id, by_content=by_content,
            finish_marker=target.marker, any_files=target.is_folder,
            links=target.links, board=path, effort=ALL_THE_TIME if target.pace == "full" else IN_PAUSES,
            manifest=manifest, overwrite=target.overwrite, verify=target.verify == "checksum",
        )  # fmt: skip
        size, cluster = processes or target.nprocs, None
        if target.dask is not None:
            from softcopy_napari.engine.dask_workers.dask_host import DaskHost

            cluster = DaskHost(target.dask, setup, target.nprocs)
            size = target.nprocs
        self.pool = WorkerPool(setup, size, self.inbox.put, lock, cluster, problem=note)
