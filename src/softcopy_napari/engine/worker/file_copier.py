"""Copies files in a copy process. It guarantees, whatever happens at the source or to the process:

- The destination never has half a file: data goes to a temporary in the destination's folder, which is renamed over the
  file once it is complete. A crash leaves only that temporary, which its name identifies.
- What is published was whole at the source at one time: the source's identity, size and times are the same before the
  first byte is read and after the last; otherwise the copy is thrown away (CHANGED). The exception is a single write
  call in place that begins before the copy and ends after it, because the system notes a write's time when it begins.
  Such a file is copied again when its writer closes it.
- The published file has the source's size and modification time, so that no journal is needed to know later that it is
  up to date.
- The source is only read: it is not locked, its access times stay where the system allows that, and its writer is never
  in the way.
- No file is read before the clock tick of its last change is over, so that any later change shows in its time.
- Nothing is read, written or deleted outside the two folders that the caller has opened (root_folder.py).
- A file that is damaged by its own bytes is TORN, and is published only if the rules say so (publish_rules.py).
- Links are copied as links and never followed. Other special files are never opened in a way that could block.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from softcopy_napari.engine.fs.capabilities import Remark, is_refusal, leftovers_of
from softcopy_napari.engine.fs.destination_problem import explain_write_error, is_destination_problem
from softcopy_napari.engine.fs.file_times import is_same_version
from softcopy_napari.engine.fs.files import NotFlushed
from softcopy_napari.engine.fs.free_space import check_free_space
from softcopy_napari.engine.fs.own_files import MOST_LANES, temporaries_of
from softcopy_napari.engine.fs.permissions import heeds_umask, is_shared
from softcopy_napari.engine.fs.relative_paths import join, parent
from softcopy_napari.engine.fs.root_folder import RootFolder
from softcopy_napari.engine.reasons import ReasonCode, make_reason
from softcopy_napari.engine.worker.copy_outcome import CopyOutcome, CopyResult
from softcopy_napari.engine.worker.edited_metadata import find_edit
from softcopy_napari.engine.worker.file_streams import (
    BUFFER_SIZE,
    Stopped,
    Unreadable,
    allocated,
    copy_stream,
    reserve,
    same_content,
)
from softcopy_napari.engine.worker.native import MAX_FILES, load_copier
from softcopy_napari.engine.worker.publish_rules import PublishRules
from softcopy_napari.engine.worker.source_files import (
    STOPPED,
    NotPublished,
    check_after_reading,
    examine_opened,
    open_settled,
    stat_file,
    unreadable,
)
from softcopy_napari.engine.worker.special_files import copy_link, create_temporary, make_folder, mirror_deletion
from softcopy_napari.engine.zarr_layout.chunk_check import Checksum, needs_checksum
from softcopy_napari.engine.zarr_layout.file_names import ANNOTATED_NAMES

_NO_RULES = PublishRules()


class FileCopier:
    """Copies files of one target, one at a time, with one buffer.

    Parameters
    ----------
    source, destination : RootFolder
        The target's folders, which the caller keeps open while files are copied.
    temporary : str
        Name of the temporary file, which no other worker uses.
    should_stop : callable
        Called between blocks of a large file; true ends the copy.
    progress : callable
        Called with the bytes of each block of a file that has several.

    Attributes
    ----------
    unit : int
        Unit in which the destination keeps modification times, ns.
    remarks : int
        What the user should know about the destination, see `Remark`.
    buffer : memoryview
        The copy buffer, free to use between copies.
    native : NativeCopier or None
    at_a_time : int
        Small files that are written at a time at most: several on a share only, since a slow disk would seek more.
    left_unflushed : bool
        Whether a file of this batch was published that has not been flushed.
    """

    def __init__(
        self,
        source: RootFolder,
        destination: RootFolder,
        temporary: str,
        should_stop: Callable[[], bool],
        progress: Callable[[int], None],
    ) -> None:
        self.unit = 1
        self.remarks = 0
        self._source = source
        self._destination = destination
        self._keeps_times = True
        self._checked_published = False
        """Whether a published file of this batch has been checked."""
        self._temporary, self._temporaries = temporary, temporaries_of(temporary)
        self.at_a_time = 1
        self.left_unflushed = self._flushes = False
        self._should_stop = should_stop
        self._progress = progress
        buffer = bytearray(BUFFER_SIZE)
        self.buffer = self._view = memoryview(buffer)
        self.native = load_copier(buffer)
        self._together = MAX_FILES

    def begin_batch(self, on_share: bool = False, flush: bool = False) -> None:
        """Begin a batch of files: the destination may be another one than before, and on a share.

        With `flush`, small files are flushed before they are published: to open them again for that would cost more.
        """
        can = self._destination.get_capabilities(self._temporary)
        self.unit, self._keeps_times = can.time_unit, can.keeps_times
        self.remarks = 0 if can.keeps_times else Remark.NO_TIMES
        self._checked_published = False
        self.at_a_time = MOST_LANES if on_share else 1
        self.left_unflushed, self._flushes = False, flush

    def copy_files(
        self,
        paths: Sequence[str],
        gone: frozenset[str],
        rules: PublishRules,
        unsettled: frozenset[str] = frozenset(),
        together: bool = True,
    ) -> Iterator[CopyResult]:
        """Copy files as `copy_file` does; small files of a folder are copied together where possible.

        Parameters
        ----------
        paths : sequence of str
            Files, relative to source and destination.
        gone : frozenset of str
            Those of them that their writer deleted under their locks.
        rules : PublishRules
            When they may be published.
        unsettled : frozenset of str
            Those of them to which the rules' quiet time applies.
        together : bool
            Whether small files may be copied together.

        Yields
        ------
        CopyResult
            The outcome for each path.
        """
        settled = rules._replace(quiet=0.0)

        def run_of(path: str) -> tuple[bool, str]:
            # A file that must prove whole is examined before it is read.
            folder, _, name = path.rpartition("/")
            plain = together and path not in unsettled and name not in ANNOTATED_NAMES
            return plain, folder if self._source.follows_links else ""

        for (plain, folder), group in itertools.groupby(paths, run_of):
            run = list(group)
            at = 0
            while at < len(run):
                batch = run[at : at + self._together] if plain else []
                for found in self._copy_together(folder, batch, rules) or [None]:
                    path = run[at]
                    at += 1
                    if found is None:
                        yield self.copy_file(path, path in gone, rules if path in unsettled else settled)
                    else:
                        size, digest, modified = found
                        self._check_published(path, size, modified)
                        yield CopyResult(CopyOutcome.COPIED, size, digest, modified=modified)

    def _copy_together(self, folder: str, paths: list[str], rules: PublishRules) -> list[tuple[int, bytes, int] | None]:
        """Copy the first of some files below a folder with native.py; the result is None for each that it skipped."""
        if self.native is None or not paths or not self._keeps_times:
            return []
        source = destination = None
        with contextlib.suppress(OSError):
            if self._destination.folder_mode < 0 or self._destination.group >= 0:  # the library cannot make such
                for above in dict.fromkeys(map(parent, paths)):
                    self._destination.enter_folder(above, make=True)
            source, destination = self._source.enter_folder(folder), self._destination.enter_folder(folder)
        if source is None or destination is None:
            return []
        modes = self._destination.file_mode, self._destination.folder_mode, self._destination.group
        below = [path[len(folder) + 1 :] for path in paths] if folder else paths
        names = self._temporaries[: self.at_a_time]
        found = self.native.copy(source, destination, names, below, self.unit, modes, rules.chunk_format, self._flushes)
        self.left_unflushed |= not self._flushes
        # About as many are likely to be copied next time.
        self._together = min(MAX_FILES, len(found) + 1 if len(found) < len(paths) else 2 * self._together)
        return found

    def copy_file(self, path: str, delete_if_gone: bool = False, rules: PublishRules = _NO_RULES) -> CopyResult:
        """Bring one file of the destination up to date.

        Parameters
        ----------
        path : str
            Relative to source and destination, `/` separated.
        delete_if_gone : bool
            The file's writer deleted it under its lock: if it is still missing, the copy is deleted.
        rules : PublishRules, optional
            When it may be published; otherwise it is TORN.

        Returns
        -------
        CopyResult
            Errors of the file systems are not raised; they make a FAILED or BLOCKED with the reason.
        """
        try:
            delete = partial(mirror_deletion, self._source, self._destination, path) if delete_if_gone else None
            before = stat_file(self._source, path, delete)
            if stat.S_ISLNK(before.st_mode):
                return copy_link(self._source, self._destination, path, join(parent(path), self._temporary))
            if not stat.S_ISREG(before.st_mode):
                return make_folder(self._destination, path, before.st_mode)
            if rules.copied_metadata is not None and path.rpartition("/")[2] in ANNOTATED_NAMES:
                copied = rules.copied_metadata.get(path, b"")
                edit = find_edit(self._source, self._destination, path, before, copied, self._keeps_times)
                if edit is not None:
                    both = make_reason(ReasonCode.EDITED_ON_BOTH_SIDES, path=path)
                    return CopyResult(CopyOutcome.KEPT, reason=both if edit else None)
            fd, before = open_settled(self._source, path, before, rules, self.unit)
            try:
                return self._copy_opened(fd, before, path, rules)
            finally:
                os.close(fd)
        except NotPublished as error:
            return error.result
        except Stopped:
            return STOPPED
        except Unreadable as error:
            return unreadable(error)
        except OSError as error:
            if is_destination_problem(error):
                return CopyResult(CopyOutcome.BLOCKED, error=error)
            if error.errno == errno.EFBIG:
                return CopyResult(CopyOutcome.TOO_LARGE, reason=make_reason(ReasonCode.TOO_LARGE, size=before.st_size))
            return CopyResult(CopyOutcome.FAILED, reason=explain_write_error(error))

    def remove_temporaries(self, folder: str, temporary: str) -> None:
        """Remove a dead worker's temporaries from a folder of the destination, if they are there."""
        for name in leftovers_of(temporary):
            self._destination.discard(join(folder, name))

    def _copy_opened(self, fd: int, before: os.stat_result, path: str, rules: PublishRules) -> CopyResult:
        if before.st_size > BUFFER_SIZE:
            check_free_space(self._destination.root, min(before.st_size, allocated(before)))
        destination, chunk_format = self._destination, rules.chunk_format
        if not self._keeps_times and (equal := self._compare_contents(fd, before, path)):
            damage = examine_opened(fd, before, rules)
            return equal._replace(outcome=CopyOutcome.DAMAGED, reason=damage) if damage else equal
        checksum = Checksum(chunk_format, before.st_size) if needs_checksum(chunk_format) else None
        temporary, out = create_temporary(destination, join(parent(path), self._temporary), before)
        try:
            try:
                reserve(out, before.st_size)
                size, digest = copy_stream(fd, out, before, self._view, self._should_continue, checksum)
            except (OSError, Stopped, Unreadable):
                os.close(out)
                raise
            flush = self._flushes and before.st_size <= BUFFER_SIZE
            self._set_times(temporary, out, before, flush)
            damage = check_after_reading(self._source, fd, before, path, size, rules, checksum)
            destination.replace(path, temporary)
            self.left_unflushed |= not flush
        except OSError:
            destination.discard(temporary)
            raise
        except (NotPublished, Stopped, Unreadable):
            destination.unlink(temporary)
            raise
        self._check_published(path, size, before.st_mtime_ns)
        outcome = CopyOutcome.DAMAGED if damage else CopyOutcome.COPIED
        return CopyResult(outcome, size, digest, damage, modified=before.st_mtime_ns)

    # -- destinations that keep no times --------------------------------------------------------------

    def _set_times(self, temporary: str, out: int, before: os.stat_result, flush: bool) -> None:
        """Set the source's times, which may be refused, flush what was written if that is asked for, and close it."""
        try:
            self._destination.set_times(temporary, out, before.st_atime_ns, before.st_mtime_ns, flush)
        except OSError as error:
            if isinstance(error, NotFlushed) or not is_refusal(error):
                raise
            self.left_unflushed = True
            self._lost_times()

    def _check_published(self, path: str, size: int, modified: int) -> None:
        """Check the first published file of a batch: some destinations set another time on a rename."""
        if self._checked_published:
            return
        self._checked_published = True
        destination = self._destination
        with contextlib.suppress(OSError):
            found = destination.stat(path)
            shared = heeds_umask(destination.permissions) and is_shared(destination.mode)
            if shared and not found.st_mode & stat.S_IRGRP:
                self.remarks |= Remark.GROUP_CANNOT_READ
            if self._keeps_times and found.st_size == size and abs(found.st_mtime_ns - modified) >= self.unit:
                self._lost_times()

    def _lost_times(self) -> None:
        self._keeps_times = False
        self.remarks |= Remark.NO_TIMES
        self._destination.note_lost_times()

    def _compare_contents(self, fd: int, before: os.stat_result, path: str) -> CopyResult | None:
        """Compare a file's content with the destination's, whose time says nothing; None if it must be copied.

        The source's descriptor is left at its start.
        """
        try:
            found = self._destination.stat(path)
            if not stat.S_ISREG(found.st_mode) or found.st_size != before.st_size:
                return None
            copy = self._destination.open_for_reading(path)
        except OSError:
            return None
        try:
            digest = same_content(fd, copy, before.st_size, self._view, self._should_continue)
            if digest and is_same_version(before, self._source.stat(path)):
                return CopyResult(CopyOutcome.EQUAL, before.st_size, digest, modified=before.st_mtime_ns)
        except OSError:
            pass  # copying will report the error
        finally:
            os.close(copy)
            os.lseek(fd, 0, os.SEEK_SET)
        return None

    def _should_continue(self, count: int) -> bool:
        self._progress(count)
        return not self._should_stop()
