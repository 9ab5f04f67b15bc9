"""64 Dask workers in one process whose copy processes copy nothing: for `dask_workers.py`.

python benchmarks/dask_null_workers.py SCHEDULER COUNT
"""

from __future__ import annotations

import asyncio
import sys

from distributed import Worker, get_worker

from softcopy_napari.engine.dask_workers import on_worker
from softcopy_napari.engine.dask_workers.worker_messages import TOPIC, ProcessAnswer, ProcessRequest, ProcessTask
from softcopy_napari.engine.worker.copy_outcome import CopyOutcome
from softcopy_napari.engine.worker.tasks import CopyDone, SetPace


class NullProcess:
    """Says at once that everything is copied."""

    used = 0.0

    def __init__(self, request: ProcessRequest) -> None:
        self.setup = request.setup

    def set_pace(self, pace: SetPace) -> None:
        """Do nothing."""

    def end(self, at_once: bool = False) -> None:
        """Do nothing."""

    def carry_out(self, sent: ProcessTask) -> ProcessAnswer:
        """Answer as a copy process does that takes no time."""
        get_worker().log_event(TOPIC, [sent.key, sent.task.id, 0])
        count = len(sent.task.paths)
        digests = bytes(range(1, 17)) * count
        return ProcessAnswer([CopyDone(bytes([CopyOutcome.COPIED]) * count, digests, 0, {}, 0.2, versions=digests)])


async def main(scheduler: str, count: int) -> None:
    """Be so many workers until this process is ended."""
    on_worker._HostedProcess = NullProcess  # type: ignore[assignment,misc]
    on_worker._IDLE = float("inf")
    workers = [await Worker(scheduler, nthreads=1, name=f"null-{n}", dashboard=False) for n in range(count)]
    print("ready", flush=True)
    await asyncio.gather(*(worker.finished() for worker in workers))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
