"""Copies files into an object store in a copy process, many at a time. It guarantees what file_copier.py does:

- A request stores an object at once or not at all, and is made only once the whole file has been read and its identity,
  size and times are the same as before; of a large file, which is sent in parts, the last step is left out otherwise.
- What somebody else has put under a file's key is not replaced, unless it has the same content or the user said so.
- What was stored is noted in the manifest before the engine is told of it.

The source is read by the worker's own thread, at its pace; only requests are made by others.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from softcopy_napari.engine.fs.capabilities import Remark
from softcopy_napari.engine.fs.destination_problem import explain_write_error, is_destination_problem
from softcopy_napari.engine.fs.files import describe_kind
from softcopy_napari.engine.fs.root_folder import RootFolder
from softcopy_napari.engine.object_store.object_manifest import CopiedObject, KnownObject, ObjectManifest
from softcopy_napari.engine.object_store.store_connection import PART_SIZE, StoreConnection
from softcopy_napari.engine.object_store.store_errors import StoreError
from softcopy_napari.engine.reasons import ReasonCode, make_reason
from softcopy_napari.engine.worker.copy_outcome import CopyOutcome, CopyResult
from softcopy_napari.engine.worker.file_streams import Stopped
from softcopy_napari.engine.worker.publish_rules import PublishRules
from softcopy_napari.engine.worker.sides.existing_object import examine_object
from softcopy_napari.engine.worker.sides.source_reader import FileContent, SourceReader, find_md5
from softcopy_napari.engine.worker.source_files import (
    STOPPED,
    VANISHED,
    NotPublished,
    open_settled,
    stat_file,
    was_deleted_alone,
)
from softcopy_napari.engine.worker.tasks import CopyTask

LARGE = 4 * PART_SIZE
"""Bytes from which a file is sent in parts, and never held in memory as a whole."""
FEWEST, MOST = 4, 16
"""Requests under way at a time."""
_WEIGHT = 0.1
"""Of the last request in the mean of all so far."""
_SIGN_OF_LIFE = 0.2

_NO_OBJECT = CopyResult(CopyOutcome.FOLDER)
"""For what a store cannot hold: nothing is to be done."""


class StoreCopier:
    """Copies files of one target.

    Parameters
    ----------
    source : RootFolder
        Open while files are copied.
    store : StoreConnection
    manifest : ObjectManifest
    should_stop : callable
        True ends the copy.
    note_block : callable
        Called with the bytes of each block of a large file, and with 0 while it waits.
    overwrite : bool
        Replace what others have put in a file's place.
    proves : bool
        Find out the MD5 of what is read, which most stores tell of what they hold.

    Attributes
    ----------
    remarks : int
        What the user should know of the destination, see `Remark`; of the last task.
    at_a_time : int
        Requests that are worth having under way.
    """

    def __init__(
        self,
        source: RootFolder,
        store: StoreConnection,
        manifest: ObjectManifest,
        should_stop: Callable[[], bool],
        note_block: Callable[[int], None],
        overwrite: bool = False,
        proves: bool = False,
    ) -> None:
        self.remarks = 0
        self.at_a_time = FEWEST
        self._source, self._store, self._manifest = source, store, manifest
        self._should_stop, self._note_block = should_stop, note_block
        self._overwrite = overwrite
        self._threads = ThreadPoolExecutor(MOST, "request")
        self._reader = SourceReader(source, should_stop, note_block, proves)
        self._request_time = self._read_time = 0.0
        self._copied: list[CopiedObject] = []
        self._known: dict[str, KnownObject] = {}
        self._listed = False

    def copy_files(self, task: CopyTask) -> Iterator[CopyResult]:
        """Bring objects up to date; see `DestinationSide.copy_files`."""
        self.remarks = 0
        self._known = self._manifest.find_paths(task.paths)
        self._listed = self._listed or self._manifest.is_listed
        settled = task.rules._replace(quiet=0.0)
        under_way: deque[CopyResult | Future[CopyResult]] = deque()
        try:
            for path in task.paths:
                rules = task.rules if path in task.unsettled else settled
                under_way.append(self._begin(path, path in task.delete_if_gone, rules))
                while under_way and (len(under_way) > self.at_a_time or _is_done(under_way[0])):
                    yield self._wait_for(under_way.popleft())
            while under_way:
                yield self._wait_for(under_way.popleft())
        finally:
            for one in under_way:  # what is under way arrives, whether anybody waits for it or not
                with contextlib.suppress(Exception):
                    self._wait_for(one)
            copied, self._copied = self._copied, []
            if copied:
                self._manifest.note_copies(copied)

    def _wait_for(self, one: CopyResult | Future[CopyResult]) -> CopyResult:
        if isinstance(one, CopyResult):
            return one
        while True:
            try:
                return one.result(_SIGN_OF_LIFE)
            except TimeoutError:
                self._note_block(0)

    def _begin(self, path: str, delete_if_gone: bool, rules: PublishRules) -> CopyResult | Future[CopyResult]:
        """Read a file, and begin to send it."""
        self._note_block(0)
        began = time.perf_counter()
        try:
            content = self._read(path, delete_if_gone, rules)
            if isinstance(content, CopyResult):
                return content
        except OSError as error:
            return _failed(error)
        self._read_time += _WEIGHT * (time.perf_counter() - began - self._read_time)
        return self._threads.submit(self._send, content)

    # -- reading --------------------------------------------------------------------------------------

    def _read(self, path: str, delete_if_gone: bool, rules: PublishRules) -> CopyResult | FileContent:
        """Read a file; a large one is copied at once."""
        try:
            before = stat_file(self._source, path, partial(self._delete, path) if delete_if_gone else None)
            if stat.S_ISLNK(before.st_mode):
                self.remarks |= Remark.LINKS_LEFT_OUT
                return _NO_OBJECT
            if stat.S_ISDIR(before.st_mode):
                return _NO_OBJECT
            if not stat.S_ISREG(before.st_mode):
                return CopyResult(CopyOutcome.FAILED, reason=describe_kind(before.st_mode))
            known = self._known.get(path)
            if known is not None and known.is_copy_of(before.st_size, before.st_mtime_ns):
                return CopyResult(CopyOutcome.EQUAL, known.size, known.digest, modified=known.modified)
            fd, before = open_settled(self._source, path, before, rules, 1)
            try:
                if before.st_size > LARGE:
                    return self._send_large(fd, before, path, rules)
                return self._reader.read_whole(fd, before, path, rules)
            finally:
                os.close(fd)
        except NotPublished as error:
            return error.result
        except Stopped:
            return STOPPED

    # -- sending --------------------------------------------------------------------------------------

    def _send(self, content: FileContent) -> CopyResult:
        """Store a small file; in one of the threads."""
        try:
            digests = (content.digest, content.md5) if content.md5 else None
            existing = self._examine(content, lambda: digests or (content.digest, find_md5(content.data)))
            if existing is not None:
                return existing
            began = time.perf_counter()
            etag = self._store.put(content.path, content.data, content.attributes)
            self._learn(time.perf_counter() - began)
            self._note(content, etag)
            return content.result(CopyOutcome.COPIED)
        except OSError as error:
            return _failed(error)

    def _send_large(self, fd: int, before: os.stat_result, path: str, rules: PublishRules) -> CopyResult:
        """Send a large file in parts, as it is read."""
        content = FileContent(path, before.st_size, before.st_mtime_ns)
        found: list[FileContent] = []
        try:
            existing = self._examine(content, lambda: self._reader.find_digests(path))
            if existing is not None:
                return existing
            blocks = self._reader.read_blocks(fd, before, path, rules, PART_SIZE, found)
            etag = self._store.put_blocks(path, blocks, before.st_size, content.attributes)
        except OSError as error:
            return _failed(error)
        self._note(found[0], etag)
        return found[0].result(CopyOutcome.COPIED)

    def _examine(self, content: FileContent, find_digests: Callable[[], tuple[bytes, str]]) -> CopyResult | None:
        """Look at what lies in a file's place, if that may be what no copy put there; None if it is to be stored."""
        known = self._known.get(content.path)
        if not (known.is_foreign if known is not None else not self._listed):
            return None
        existing = examine_object(
            self._store, content, known, find_digests, self._overwrite, lambda _: not self._should_stop()
        )
        if existing.content is not None:
            self._note(existing.content, existing.etag)
        return existing.result

    def _note(self, content: FileContent, etag: str) -> None:
        proven = bool(content.md5) and etag == content.md5
        self._copied.append(CopiedObject(content.path, content.size, etag, content.modified, content.digest, proven))

    def _learn(self, seconds: float) -> None:
        """Note how long a request took: while it is under way, so many files can be read."""
        self._request_time += _WEIGHT * (seconds - self._request_time)
        ratio = self._request_time / max(self._read_time, 1e-5)
        self.at_a_time = max(FEWEST, min(MOST, round(ratio)))

    def _delete(self, path: str) -> CopyResult:
        """Delete the object of a file that its writer deleted."""
        if not was_deleted_alone(self._source, path):
            return VANISHED
        known = self._known.get(path)
        if known is None and self._listed:
            return CopyResult(CopyOutcome.DELETED)
        if known is not None and known.is_foreign and not self._overwrite:
            return CopyResult(CopyOutcome.FAILED, reason=make_reason(ReasonCode.FOREIGN_OBJECT))
        try:
            self._store.delete([path])
        except StoreError as error:
            if not error.denied:
                raise
            reason = make_reason(ReasonCode.STORE_NOT_DELETED, problem=error.strerror or "")
            return CopyResult(CopyOutcome.FAILED, reason=reason)
        self._manifest.note_gone([path])
        return CopyResult(CopyOutcome.DELETED)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _is_done(one: CopyResult | Future[CopyResult]) -> bool:
    return isinstance(one, CopyResult) or one.done()


def _failed(error: OSError) -> CopyResult:
    """Return the result of a file whose request failed."""
    if (isinstance(error, StoreError) and error.kind is not None) or is_destination_problem(error):
        return CopyResult(CopyOutcome.BLOCKED, error=error)
    return CopyResult(CopyOutcome.FAILED, reason=explain_write_error(error))
