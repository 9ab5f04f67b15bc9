"""Reads objects of a store back, in a copy process, many at a time: checks them as object_check.py does."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from softcopy_napari.engine.fs.destination_problem import DestinationProblem
from softcopy_napari.engine.fs.hashing import DIGEST_SIZE, NO_DIGEST
from softcopy_napari.engine.object_store.object_manifest import KnownObject, ObjectManifest
from softcopy_napari.engine.object_store.store_connection import StoreConnection
from softcopy_napari.engine.object_store.store_errors import StoreError
from softcopy_napari.engine.worker.content_checker import CheckOutcome, CheckResult, ContentChecker
from softcopy_napari.engine.worker.read_back import sum_up
from softcopy_napari.engine.worker.sides.object_check import check_object
from softcopy_napari.engine.worker.sides.store_copier import MOST
from softcopy_napari.engine.worker.tasks import VerifyDone, VerifyTask

_SIGN_OF_LIFE = 0.2
_STOPPED = CheckResult(CheckOutcome.STOPPED)


class StoreChecker:
    """Reads objects back.

    Parameters
    ----------
    store : StoreConnection
    manifest : ObjectManifest
    go_on : callable
        Called with the bytes of each block that was read; false stops the check. Only the caller's thread calls it.
    """

    def __init__(self, store: StoreConnection, manifest: ObjectManifest, go_on: Callable[[int], bool]) -> None:
        self._store, self._manifest, self._go_on = store, manifest, go_on
        self._threads = ThreadPoolExecutor(MOST, "check")
        self._ended = False

    def read_back(
        self, task: VerifyTask, source: ContentChecker, should_end: Callable[[], bool]
    ) -> tuple[VerifyDone, DestinationProblem | None]:
        """Check objects until all are checked or `should_end` says so; the rest is STOPPED then.

        Parameters
        ----------
        task : VerifyTask
        source : ContentChecker
            Finds the digests of the source's files.
        should_end : callable
        """
        known = self._manifest.find_paths(task.paths)
        self._ended = False
        results: list[CheckResult] = []
        under_way: deque[tuple[str, Future[CheckResult]]] = deque()
        problem: DestinationProblem | None = None
        gone: list[str] = []

        def wait() -> None:
            nonlocal problem
            path, one = under_way.popleft()
            while True:
                try:
                    result = one.result(_SIGN_OF_LIFE)
                    break
                except TimeoutError:
                    self._ended = not self._go_on(0) or self._ended
                except StoreError as error:
                    result, problem = _STOPPED, error.problem or problem
                    self._ended = True
                    break
            if not self._go_on(result.size):
                self._ended = True
            if result.outcome in (CheckOutcome.CHANGED, CheckOutcome.MISSING, CheckOutcome.TRUNCATED):
                gone.append(path)  # so that it is stored anew
            results.append(result)

        for number, path in enumerate(task.paths):
            if self._ended or should_end():
                break
            digest = task.digests[number * DIGEST_SIZE : (number + 1) * DIGEST_SIZE]
            if digest == NO_DIGEST and task.against_source:
                found = source.find_digest(path, ())
                digest = found.digest if found.outcome is CheckOutcome.HASHED else NO_DIGEST
            under_way.append((path, self._threads.submit(self._check, path, digest, known.get(path))))
            if len(under_way) >= MOST:
                wait()
        while under_way:
            wait()
        if gone and problem is None:
            self._manifest.note_gone(gone)
        return sum_up(task, results), problem

    def _check(self, path: str, digest: bytes, known: KnownObject | None) -> CheckResult:
        """Check one object; in one of the threads."""
        if self._ended:
            return _STOPPED
        return check_object(self._store, path, digest, known, lambda _: not self._ended)
