"""Has the files of a check by content read by the machines of a Dask cluster; see `softcopy verify --dask`.

Each task takes some seconds, and as many wait as keep all threads at work, and make an adaptive cluster grow. What
comes to nothing because machines went away is handed out again, in parts: a file that takes them down is named.
"""

from __future__ import annotations

import itertools
import logging
import pickle
import queue
import time
import uuid
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from softcopy_napari.engine.dask_workers.reading import ReadingDone, ReadingTask, check_files
from softcopy_napari.engine.dask_workers.scheduler import close, connect, list_workers
from softcopy_napari.engine.dask_workers.source_evidence import gather_evidence
from softcopy_napari.engine.dispatch.batch_size import BatchSize
from softcopy_napari.engine.verify.verify import (
    Interrupted,
    Items,
    VerifyError,
    VerifyOptions,
    VerifyReport,
    identify_folder,
)
from softcopy_napari.engine.verify.verify_journal import VerifyJournal
from softcopy_napari.engine.worker.content_checker import CheckOutcome

if TYPE_CHECKING:
    from distributed import Client, Future

_SECONDS = 2.0
_MOST = 4096
"""Seconds that a task should take, and files in it at most."""
_FEWEST, _A_THREAD = 16, 3
"""Tasks that wait or are at work: in all at least, and for each thread."""
_TRIES = 4
"""How often a file is handed out that was lost with its machines."""
_LOOK = 1.0
_POLL = 0.1

log = logging.getLogger(__name__)


class _Batch(NamedTuple):
    files: list[tuple[str, bytes]]
    tries: int = 0
    """How often machines were lost with it, since it has been a single file."""


class ClusterReader:
    """Reads files on a cluster, for `VerifyOptions.read_all`.

    Parameters
    ----------
    scheduler : str
        The scheduler's address, or the path of its file.
    journal : VerifyJournal
        Knows the files that were found right before, and is told of more.
    """

    def __init__(self, scheduler: str, journal: VerifyJournal) -> None:
        self._scheduler = scheduler
        self._journal = journal
        self._done: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()
        self._out: dict[str, tuple[Future[Any], _Batch]] = {}
        self._again: deque[_Batch] = deque()
        self._size = BatchSize(_SECONDS, _MOST)
        self._size.shrink()  # they may be of any size
        self._blind: dict[str, str] = {}
        """Workers that do not see a folder, and which."""
        self._workers: dict[str, int] = {}

    def read_all(
        self, source: Path | None, destination: Path, items: Items, options: VerifyOptions, report: VerifyReport
    ) -> None:
        """Check files; see `VerifyOptions`.

        Raises
        ------
        VerifyError
            A folder has gone, or no machine sees it, or the scheduler has.
        """
        folders = [folder for folder in (destination, source) if folder is not None]
        evidence = [gather_evidence(str(folder), identify_folder(folder)) for folder in folders]
        head = ReadingTask(str(destination), None if source is None else str(source), evidence, ())
        unread = self._skip_known(items, report)
        client = connect(self._scheduler)
        next_poll_workers = 0.0
        try:
            while True:
                if time.monotonic() >= next_poll_workers:
                    self._poll_workers(client)
                    next_poll_workers = time.monotonic() + _LOOK
                more = self._hand_out(client, head, unread)
                if not (more or self._out):
                    return
                self._collect_results(client, report)
                if not options.progress():
                    raise Interrupted
        finally:
            self._journal.flush()
            futures = [future for future, _ in self._out.values()]
            if futures and client.status == "running":
                client.cancel(futures)
            close(client)

    def _skip_known(self, items: Items, report: VerifyReport) -> Items:
        """Yield the files that no earlier run found right, and count the others."""
        for path, digest in items:
            if self._journal.find(path) is None:
                yield path, digest
            else:
                report.files += 1
                report.earlier += 1

    def _poll_workers(self, client: Client) -> None:
        """See which workers there are, and that some see the folders."""
        try:
            self._workers = {worker.address: worker.threads for worker in list_workers(client)}
        except (OSError, TimeoutError):
            raise VerifyError(
                f"the Dask scheduler at {self._scheduler} does not answer any more: run it again to go on"
            ) from None
        if self._workers and self._workers.keys() <= self._blind.keys():
            what = next(iter(self._blind.values()))
            raise VerifyError(f"no Dask worker sees {what} as this computer does: is it mounted there?")

    def _hand_out(self, client: Client, head: ReadingTask, unread: Items) -> bool:
        """Hand out files; return whether there may be more."""
        able = [address for address in self._workers if address not in self._blind]
        wanted = max(_FEWEST, _A_THREAD * sum(self._workers[address] for address in able))
        while len(self._out) < wanted:
            batch = self._again.popleft() if self._again else _Batch(list(itertools.islice(unread, self._size.files)))
            if not batch.files:
                return False
            future = client.submit(
                check_files,
                pickle.dumps(head._replace(files=batch.files), pickle.HIGHEST_PROTOCOL),
                key=f"softcopy-verify-{uuid.uuid4()}",
                workers=able if self._blind else None,
                pure=False,
                retries=0,
            )
            self._out[str(future.key)] = future, batch
            future.add_done_callback(self._done.put)
        return True

    def _collect_results(self, client: Client, report: VerifyReport) -> None:
        """Wait for results for a moment, and note those that are there."""
        done = []
        try:
            done.append(self._done.get(timeout=_POLL))
            while True:
                done.append(self._done.get_nowait())
        except queue.Empty:
            pass
        good = [future for future in done if future.status == "finished"]
        results: dict[str, bytes] = {}
        if good:
            try:
                results = dict(client.gather({str(future.key): future for future in good}, errors="skip"))
            except Exception as error:  # a machine has just gone: Dask raises what its parts raise
                log.info("results were lost: %s", error)
        for future in done:
            _, batch = self._out.pop(str(future.key))
            if (result := results.get(str(future.key))) is not None:
                self._apply(batch, pickle.loads(result), report)
            else:
                problem = str(future.exception()) if future.status == "error" else "lost"
                self._try_again(batch, (problem.splitlines() or [""])[0], report)

    def _apply(self, batch: _Batch, done: ReadingDone, report: VerifyReport) -> None:
        if done.missing:
            self._blind[done.address] = done.missing
            self._again.append(batch)
            return
        for (path, _), result in zip(batch.files, done.results, strict=False):
            report.add_result(path, result)
            if result.good:
                self._journal.note_right(path, result.size)
        if len(done.results) < len(batch.files):
            self._again.append(_Batch(batch.files[len(done.results) :], batch.tries))
        if done.results:
            self._size.note_task(done.seconds, len(done.results))

    def _try_again(self, batch: _Batch, problem: str, report: VerifyReport) -> None:
        """Hand out files again, in two parts, or give a single one up that machines keep being lost with."""
        if len(batch.files) == 1 and batch.tries >= _TRIES:
            report.files += 1
            report.note(CheckOutcome.UNREADABLE, batch.files[0][0], f"no machine could read it: {problem}")
            return
        middle = (len(batch.files) + 1) // 2
        tries = batch.tries + (len(batch.files) == 1)
        self._again.extend(_Batch(part, tries) for part in (batch.files[:middle], batch.files[middle:]) if part)
