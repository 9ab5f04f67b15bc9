"""Copies one file. What it guarantees, whatever happens at the source or to the process:

- The destination's file is never half a file: data goes to a temporary in the destination's folder, which
  is renamed over the file once it is whole. A crash leaves only that temporary, whose name tells what it is.
- What is published was once whole at the source: the source's identity, size and times are the same before
  the first byte is read and after the last; otherwise the copy is thrown away (CHANGED). What that cannot
  tell is a single write call, in place, that began before the copy and ended after it: the system notes the time
  when a write begins. Such a file is copied again when its writer closes it.
- Size and modification time of the published file equal the source's, so that a later look can tell
  that it is up to date without a journal.
- The source is only read: no lock, no access time where the system allows that, nothing kept in the way
  of its writer.
- No file is read before the clock tick of its last change is over: any later change shows in its time.
- Nothing is read, written or deleted anywhere but below the two folders that the caller holds (root_folder.py).
- What cannot be whole by its own bytes is TORN; it is published only if it is to be copied as it is (publish_rules.py).
- Links are copied as links and never followed; what is neither file, folder nor link is never opened
  in a way that could block.

Runs in the copy workers and must import nothing heavy.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence

from softcopy_napari.engine.fs.capabilities import Remark, is_refusal
from softcopy_napari.engine.fs.destination_problem import explain_too_large, explain_write_error, is_destination_problem
from softcopy_napari.engine.fs.file_times import TIME_UNITS, is_same_version, remaining_tick
from softcopy_napari.engine.fs.files import BINARY, NOFOLLOW, spare_the_cache
from softcopy_napari.engine.fs.free_space import measure_free_space
from softcopy_napari.engine.fs.permissions import is_shared
from softcopy_napari.engine.fs.root_folder import RootFolder
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
from softcopy_napari.engine.worker.publish_rules import PublishRules, examine_file, must_prove_whole
from softcopy_napari.engine.worker.special_files import (
    VANISHED,
    copy_link,
    make_folder,
    mirror_deletion,
    temporary_beside,
)
from softcopy_napari.engine.zarr_layout.chunk_check import Checksum, needs_checksum
from softcopy_napari.engine.zarr_layout.file_names import METADATA_NAMES

_CHANGED = CopyResult(CopyOutcome.CHANGED)
_STOPPED = CopyResult(CopyOutcome.STOPPED)
_NOT_PROVEN = CopyResult(CopyOutcome.TORN)
_NO_RULES = PublishRules()

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | BINARY | NOFOLLOW
_SHORT_WAIT = 20_000_000
"""ns for which a worker waits until a file's tick is over; for longer it is set aside."""


class FileCopier:
    """Copies files of one target, one at a time, with one buffer.

    Parameters
    ----------
    source, destination : RootFolder
        The target's folders, held by the caller while files are copied.
    temporary : str
        Name of the temporary file; no other worker's.
    should_stop : callable
        Asked between blocks of a large file; true ends the copy.
    progress : callable
        Told the bytes of each block of a file larger than the buffer.

    Attributes
    ----------
    unit : int
        In which the destination keeps modification times, ns.
    remarks : int
        What was found that the user should know, see `Remark`.
    buffer : memoryview
        Free to use between copies.
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
        self._looked = False
        """Whether a file was looked at since this batch began, after it was published."""
        self._temporary = temporary
        self._should_stop = should_stop
        self._progress = progress
        buffer = bytearray(BUFFER_SIZE)
        self.buffer = self._view = memoryview(buffer)
        self._native = load_copier(buffer)
        self._together = MAX_FILES

    def begin_batch(self) -> None:
        """Begin a batch: from here on the destination may be another one."""
        can = self._destination.get_capabilities(self._temporary)
        self.unit, self._keeps_times = can.time_unit, can.keeps_times
        self.remarks = 0 if can.keeps_times else Remark.NO_TIMES
        self._looked = False

    def copy_files(
        self,
        paths: Sequence[str],
        gone: frozenset[str],
        rules: PublishRules,
        unsettled: frozenset[str] = frozenset(),
        together: bool = True,
    ) -> Iterator[CopyResult]:
        """Copy files one after the other, as `copy_file` does; small ones of a folder together, where that can be done.

        Parameters
        ----------
        paths : sequence of str
        gone : frozenset of str
            Those of them whose writer deleted them under their locks.
        rules : PublishRules
        unsettled : frozenset of str
            Those of them for which the rules' quiet time counts.
        together : bool
            Whether small files may be.

        Yields
        ------
        Result
            Of each path.
        """
        settled = rules._replace(quiet=0.0)
        for folder, group in itertools.groupby(paths, _folder_of):
            of_folder = list(group)
            first = len(folder) + 1 if folder else 0
            # One that has to prove itself is looked at before it is read.
            names = [path[first:] for path in of_folder]
            if not (together and unsettled.isdisjoint(of_folder) and METADATA_NAMES.isdisjoint(names)):
                names = []
            at = 0
            while at < len(of_folder):
                for found in self._copy_together(folder, names[at : at + self._together], rules) or [None]:
                    path = of_folder[at]
                    at += 1
                    if found is None:
                        yield self.copy_file(path, path in gone, rules if path in unsettled else settled)
                    else:
                        size, digest, modified = found
                        self._look_at_published(path, size, modified)
                        yield CopyResult(CopyOutcome.COPIED, size, digest, modified=modified)

    def _copy_together(self, folder: str, names: list[str], rules: PublishRules) -> list[tuple[int, bytes, int] | None]:
        """Copy some files of a folder by native.py: the first of them; None for each that it left alone."""
        if self._native is None or not names or not self._keeps_times:
            return []
        try:
            source, destination = self._source.enter_folder(folder), self._destination.enter_folder(folder)
        except OSError:
            return []
        if source is None or destination is None:
            return []
        mode = self._destination.file_mode
        found = self._native.copy(
            source, destination, self._temporary, names, self.unit, mode, chunk_format=rules.chunk_format
        )
        # So many are likely to be taken next time, too.
        self._together = min(MAX_FILES, len(found) + 1 if len(found) < len(names) else 2 * self._together)
        return found

    def _tick_left(self, found: os.stat_result) -> int:
        """How long to wait until later changes of a file will show in its time, in ns."""
        now = time.time_ns()
        return remaining_tick(found.st_mtime_ns, now, self.unit) if found.st_mtime_ns > now - TIME_UNITS[0] else 0

    def copy_file(self, path: str, delete_if_gone: bool = False, rules: PublishRules = _NO_RULES) -> CopyResult:
        """Bring one file of the destination up to date.

        Parameters
        ----------
        path : str
            Relative to source and destination, `/` separated.
        delete_if_gone : bool
            The file's writer deleted it under its lock: if it is still gone, so must the copy be.
        rules : PublishRules, optional
            When it may be published; else it is TORN.

        Returns
        -------
        Result
            Never raises for what the file systems do: errors are a FAILED or BLOCKED with the reason.
        """
        try:
            try:
                before = self._source.stat(path)
            except (FileNotFoundError, NotADirectoryError):
                return mirror_deletion(self._source, self._destination, path) if delete_if_gone else VANISHED
            except OSError as error:
                return _unreadable(error)
            if stat.S_ISLNK(before.st_mode):
                return copy_link(self._source, self._destination, path, temporary_beside(path, self._temporary))
            if not stat.S_ISREG(before.st_mode):
                return make_folder(self._destination, path, before.st_mode)
            if rules.copied_metadata is not None and path.rpartition("/")[2] in METADATA_NAMES:
                copied = rules.copied_metadata.get(path, b"")
                edit = find_edit(self._source, self._destination, path, before, copied, self._keeps_times)
                if edit is not None:
                    return CopyResult(CopyOutcome.KEPT, reason=edit)
            return self._copy_file(before, path, rules)
        except OSError as error:
            if is_destination_problem(error):
                return CopyResult(CopyOutcome.BLOCKED, error=error)
            if error.errno == errno.EFBIG:
                return CopyResult(CopyOutcome.TOO_LARGE, reason=explain_too_large(before.st_size))
            return CopyResult(CopyOutcome.FAILED, reason=f"cannot be written: {explain_write_error(error)}")

    def remove_temporary(self, folder: str, temporary: str) -> None:
        """Remove a dead worker's temporary from a folder of the destination, if it is there."""
        self._destination.discard(f"{folder}/{temporary}" if folder else temporary)

    def _copy_file(self, before: os.stat_result, path: str, rules: PublishRules) -> CopyResult:
        try:
            if left := self._tick_left(before):
                if left > _SHORT_WAIT:
                    return _CHANGED
                time.sleep(left / 1e9)
                before = self._source.stat(path)
            # Looked at by its name, and before it is opened: some network file systems answer fstat by the name, too,
            # and would say of a file that was replaced after it was opened what holds for the new one.
            fd = self._source.open_for_reading(path)
        except (FileNotFoundError, NotADirectoryError):
            return _CHANGED
        except OSError as error:
            if must_prove_whole(before, rules):
                return _NOT_PROVEN  # on Windows, its writer may share it with nobody
            return _unreadable(error)
        try:
            if before.st_size > BUFFER_SIZE or must_prove_whole(before, rules):  # not to be read in vain
                try:
                    may, damage = examine_file(fd, before, rules)
                    os.lseek(fd, 0, os.SEEK_SET)
                except OSError as error:
                    return _unreadable(error)
                if not may:
                    return CopyResult(CopyOutcome.TORN, reason=damage)
            return self._copy_opened(fd, before, path, rules)
        finally:
            os.close(fd)

    def _copy_opened(self, fd: int, before: os.stat_result, path: str, rules: PublishRules) -> CopyResult:
        if before.st_size > BUFFER_SIZE:
            self._look_for_room(min(before.st_size, allocated(before)))
        spare_the_cache(fd)
        place, chunk_format = self._destination, rules.chunk_format
        if not self._keeps_times and (equal := self._compare_contents(fd, before, path)):
            may, damage = examine_file(fd, before, rules)
            if not may:
                return CopyResult(CopyOutcome.TORN, reason=damage)
            return equal._replace(outcome=CopyOutcome.DAMAGED, reason=damage) if damage else equal
        checksum = Checksum(chunk_format, before.st_size) if needs_checksum(chunk_format) else None
        mode = place.file_mode if place.file_mode >= 0 else before.st_mode & 0o777 | stat.S_IWUSR
        temporary, out = self._create(path, mode)
        try:
            try:
                reserve(out, before.st_size)
                size, digest = copy_stream(fd, out, before, self._view, self._go_on, checksum)
            except (OSError, Stopped, Unreadable) as error:
                os.close(out)
                if isinstance(error, OSError):
                    raise
                place.unlink(temporary)
                return _STOPPED if isinstance(error, Stopped) else CopyResult(CopyOutcome.FAILED, reason=str(error))
            self._set_times(temporary, out, before)
            try:
                may, damage = examine_file(fd, before, rules, checksum)
                after = self._source.stat(path)
            except (FileNotFoundError, NotADirectoryError):
                place.unlink(temporary)
                return _CHANGED
            except OSError as error:
                place.unlink(temporary)
                return _unreadable(error)
            if size != before.st_size or not is_same_version(before, after):
                place.unlink(temporary)
                return _CHANGED
            if not may:
                place.unlink(temporary)
                return CopyResult(CopyOutcome.TORN, reason=damage)
            place.replace(path, temporary)
        except OSError:
            place.discard(temporary)
            raise
        self._look_at_published(path, size, before.st_mtime_ns)
        return CopyResult(
            CopyOutcome.DAMAGED if damage else CopyOutcome.COPIED, size, digest, damage, modified=before.st_mtime_ns
        )

    # -- destinations that keep no times --------------------------------------------------------------

    def _set_times(self, temporary: str, out: int, before: os.stat_result) -> None:
        """Give a temporary the source's times, and close it; a destination may refuse that."""
        try:
            self._destination.set_times(temporary, out, before.st_atime_ns, before.st_mtime_ns)
        except OSError as error:
            if not is_refusal(error):
                raise
            self._lost_times()

    def _look_at_published(self, path: str, size: int, modified: int) -> None:
        """Look at the first file of a batch: some destinations set another time when they rename."""
        if self._looked:
            return
        self._looked = True
        place = self._destination
        with contextlib.suppress(OSError):
            found = place.stat(path)
            if place.file_mode < 0 and is_shared(place.mode) and not found.st_mode & stat.S_IRGRP:
                self.remarks |= Remark.GROUP_CANNOT_READ
            if self._keeps_times and found.st_size == size and abs(found.st_mtime_ns - modified) >= self.unit:
                self._lost_times()

    def _lost_times(self) -> None:
        self._keeps_times = False
        self.remarks |= Remark.NO_TIMES
        self._destination.note_lost_times()

    def _compare_contents(self, fd: int, before: os.stat_result, path: str) -> CopyResult | None:
        """Look whether the destination has a file already, where its time does not tell; None where it must be copied.

        The source's descriptor is at its start again then.
        """
        try:
            found = self._destination.stat(path)
            if not stat.S_ISREG(found.st_mode) or found.st_size != before.st_size:
                return None
            copy = self._destination.open_for_reading(path)
        except OSError:
            return None
        try:
            digest = same_content(fd, copy, before.st_size, self._view, self._go_on)
            if digest and is_same_version(before, self._source.stat(path)):
                return CopyResult(CopyOutcome.EQUAL, before.st_size, digest, modified=before.st_mtime_ns)
        except Stopped:
            return _STOPPED
        except OSError:
            pass  # copying finds out what is the matter
        finally:
            os.close(copy)
            os.lseek(fd, 0, os.SEEK_SET)
        return None

    def _look_for_room(self, size: int) -> None:
        """Not to fill a disk to its brim with a large file that will not fit."""
        free, _ = measure_free_space(self._destination.root)
        if 0 <= free < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _create(self, path: str, mode: int) -> tuple[str, int]:
        temporary = temporary_beside(path, self._temporary)
        try:
            return temporary, self._destination.open_file(temporary, _CREATE, mode)
        except (FileNotFoundError, NotADirectoryError):
            self._destination.enter_folder(_folder_of(path), make=True)
        except FileExistsError:  # our own, of a copy whose clean-up failed
            self._destination.unlink(temporary)
        return temporary, self._destination.open_file(temporary, _CREATE, mode)

    def _go_on(self, count: int) -> bool:
        self._progress(count)
        return not self._should_stop()


def _folder_of(path: str) -> str:
    return path.rpartition("/")[0]


def _unreadable(error: OSError) -> CopyResult:
    return CopyResult(CopyOutcome.FAILED, reason=f"cannot be read: {error.strerror}")
