"""Checks objects by content, in a copy process: by what the store tells of them where that proves it, else by reading.

A store that answers with the MD5 of what it holds, as S3 does, has told that it holds what was read at the source: then
nothing is read back. What was found before, and is unchanged since, is not read to learn its checksum either.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from softcopy_napari.engine.fs.destination_problem import DestinationProblem
from softcopy_napari.engine.fs.hashing import DIGEST_SIZE, LINK_DIGEST, NO_DIGEST
from softcopy_napari.engine.object_store.object_manifest import KnownObject, ObjectManifest
from softcopy_napari.engine.object_store.store_connection import StoreConnection
from softcopy_napari.engine.object_store.store_errors import StoreError
from softcopy_napari.engine.worker.content_checker import CheckOutcome, CheckResult, ContentChecker
from softcopy_napari.engine.worker.read_back import why_not_right
from softcopy_napari.engine.worker.sides.existing_object import read_digest
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
        results += [_STOPPED] * (len(task.paths) - len(results))
        reasons = {number: reason for number, one in enumerate(results) if (reason := why_not_right(one))}
        done = VerifyDone(
            bytes([one.outcome for one in results]),
            b"".join([one.digest for one in results]),
            sum(one.size for one in results),
            reasons,
        )
        return done, problem

    def _check(self, path: str, digest: bytes, known: KnownObject | None) -> CheckResult:
        """Check one object; in one of the threads."""
        if self._ended:
            return _STOPPED
        try:
            if digest == LINK_DIGEST:
                return CheckResult(CheckOutcome.LINK)
            intact = known is not None and not known.is_foreign and bool(known.digest)
            if known is not None and intact and digest == NO_DIGEST:
                return CheckResult(CheckOutcome.HASHED, 0, known.digest)
            if known is not None and intact and known.proven and digest == known.digest:
                facts, _ = self._store.look_up(path)
                if (facts.etag, facts.size) == (known.etag, known.size):
                    return CheckResult(CheckOutcome.EQUAL, 0, digest)
            found = read_digest(self._store, path, lambda _: not self._ended)
        except FileNotFoundError:
            return CheckResult(CheckOutcome.MISSING)
        except StoreError as error:
            if error.kind is not None:
                raise
            return CheckResult(CheckOutcome.UNREADABLE, detail=error.strerror or "")
        except OSError as error:
            return CheckResult(CheckOutcome.UNREADABLE, detail=error.strerror or str(error))
        if found is None:
            return _STOPPED
        size = known.size if known is not None else 0
        if digest == NO_DIGEST:
            return CheckResult(CheckOutcome.HASHED, size, found)
        return CheckResult(CheckOutcome.EQUAL if found == digest else CheckOutcome.CHANGED, size, found)
