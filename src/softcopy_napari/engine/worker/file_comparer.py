"""Compares the files of one folder of the source with their copies, many together with the C library.

Part of folder_comparer.py.
"""

from __future__ import annotations

import contextlib
import os
import time
from functools import partial

from softcopy_napari.engine.fs.file_times import is_up_to_date, pack_version
from softcopy_napari.engine.fs.files import KIND, LINK, REGULAR
from softcopy_napari.engine.fs.followed_links import leads_out
from softcopy_napari.engine.fs.relative_paths import join
from softcopy_napari.engine.fs.root_folder import RootFolder
from softcopy_napari.engine.worker.file_streams import have_same_content
from softcopy_napari.engine.worker.folder_diff import FolderDiff
from softcopy_napari.engine.worker.lanes import Lanes, split
from softcopy_napari.engine.worker.native import FRESH, LACKING, SAME, NativeComparer
from softcopy_napari.engine.worker.numbered_folders import CLOCK_SKEW_NS
from softcopy_napari.engine.worker.special_files import is_same_link
from softcopy_napari.engine.zarr_layout.file_names import (
    ANNOTATED_NAMES,
    ARRAY_METADATA_NAMES,
    METADATA_NAMES,
    is_named_like_chunk,
)


class FileComparer:
    """Compares files of one target.

    Parameters
    ----------
    source, destination : RootFolder
        The target's folders, opened by the caller.
    native : NativeComparer or None
    read_only, by_content, marker
        As of `FolderComparer`.

    Attributes
    ----------
    unit : int
        Unit of the destination's modification times, ns.
    """

    def __init__(
        self,
        source: RootFolder,
        destination: RootFolder,
        native: NativeComparer | None,
        read_only: bool,
        by_content: bool,
        marker: str,
    ) -> None:
        self.unit = 1
        self._source, self._destination, self._native = source, destination, native
        self._lanes = Lanes()
        self._read_only, self._by_content, self._marker = read_only, by_content, marker

    def compare_files(
        self,
        files: list[os.DirEntry[str]],
        there: bool,
        here: int | None,
        held: int | None,
        part: FolderDiff,
        quiet: float,
    ) -> None:
        """Compare some files as `_compare_file` does; `here` is the descriptor of the source's folder."""
        if self._native is None or here is None:
            for entry in files:
                self._compare_file(entry, there, held, part, quiet)
            return
        chunks = [entry for entry in files if is_named_like_chunk(entry.name)]
        rest = [entry for entry in files if not is_named_like_chunk(entry.name)] if len(chunks) < len(files) else []
        self._compare_natively(chunks, True, there, here, held, part, quiet)
        self._compare_natively(rest, False, there, here, held, part, quiet)

    def _compare_natively(
        self,
        files: list[os.DirEntry[str]],
        chunks: bool,
        there: bool,
        here: int,
        held: int | None,
        part: FolderDiff,
        quiet: float,
    ) -> None:
        """Compare files with the library: either all of them are named like chunks, or none is."""
        if self._native is None or not files:
            return
        names = [entry.name for entry in files]
        if not chunks and self._marker in names:  # its time is not that of data
            self._compare_file(files.pop(names.index(self._marker)), there, held, part, quiet)
            return self._compare_natively(files, chunks, there, here, held, part, quiet)
        now = time.time_ns()
        lately, soon = now - int(quiet * 1e9), now + CLOCK_SKEW_NS
        parts = split(len(names), self._lanes.count_on(self._destination.root) if there else 1)
        compare = partial(self._native.compare, here, held, self.unit, lately, soon)
        found = self._lanes.run([partial(compare, names[first : first + count]) for first, count in parts])
        verdicts = b"".join(some for some, _ in found)
        newests, sizes, oldests, changes = zip(*(totals for _, totals in found), strict=True)
        newest, size, oldest, changed = max(newests), sum(sizes), min(oldests), max(changes)
        part.note_times(newest, changed)
        if chunks:
            part.oldest_chunk = min(part.oldest_chunk, oldest)
            part.newest_chunk = max(part.newest_chunk, newest)
        elif not ARRAY_METADATA_NAMES.isdisjoint(names):
            for entry in files:
                with contextlib.suppress(OSError):
                    part.note_time(entry.name, entry.stat(follow_symlinks=False).st_mtime_ns, self._marker)
        part.size += size
        if not any(verdicts):  # all SAME
            part.same += names
            return
        for entry, name, verdict in zip(files, names, verdicts, strict=True):
            if verdict == SAME:
                part.same.append(name)
            elif verdict & LACKING:
                part.different.append(name)
                if self._read_only:
                    part.absent.append(name)
                if verdict & FRESH:
                    part.fresh.append(name)
            else:  # in detail, since such files are few
                self._compare_file(entry, there, held, part, quiet)

    def _compare_file(
        self, entry: os.DirEntry[str], there: bool, held: int | None, part: FolderDiff, quiet: float
    ) -> None:
        """Compare one file; `there` says whether the destination has the folder, whose descriptor is `held`."""
        name = entry.name
        try:
            here = entry.stat(follow_symlinks=False)
            if here.st_mode & KIND == LINK:
                here = self._resolve_link(here, name, part)
        except FileNotFoundError:
            return
        modified = here.st_mtime_ns
        part.note_time(name, modified, self._marker)
        lacking = not there
        if there:
            try:
                if here.st_mode & KIND != REGULAR:
                    same = is_same_link(self._source, self._destination, join(part.folder, name), here)
                else:
                    path = join(part.folder, name)
                    if held is None:
                        copy = self._destination.stat(path)
                    else:
                        copy = os.stat(name, dir_fd=held, follow_symlinks=False)
                    same = is_up_to_date(here, copy, self.unit)
                    if copy.st_mode & KIND == REGULAR:
                        same_size = copy.st_size == here.st_size
                        part.newest_change = max(part.newest_change, copy.st_ctime_ns)
                        part.size += here.st_size if same_size else 0
                        reads = self._by_content or (self._read_only and name in METADATA_NAMES)
                        if reads and same_size and not same:
                            same_size = have_same_content(self._source, self._destination, path, here.st_size)
                            same = same_size and self._by_content
                        if not same:
                            part.source_versions[name] = pack_version(modified, here.st_size), same_size
                            if copy.st_mtime_ns > modified + CLOCK_SKEW_NS and name not in ANNOTATED_NAMES:
                                part.newer.append(name)
                if same:
                    part.same.append(name)
                    return
            except FileNotFoundError:
                lacking = True
            except OSError:
                pass
        self._note_different(part, name, modified, lacking, quiet)

    def _note_different(self, part: FolderDiff, name: str, modified: int, lacking: bool, quiet: float) -> None:
        """Note a file that the destination lacks, or has in another version."""
        part.different.append(name)
        if self._read_only and lacking:
            part.absent.append(name)
        if -CLOCK_SKEW_NS < time.time_ns() - modified < quiet * 1e9:
            part.fresh.append(name)

    def _resolve_link(self, found: os.stat_result, name: str, part: FolderDiff) -> os.stat_result:
        """Return the stat of a link, or of what it leads to if it is followed; note links out of the source."""
        path = join(part.folder, name)
        if self._source.follows_links:
            found = self._source.stat(path)
        if found.st_mode & KIND == LINK:
            target = self._source.read_link(path)
            if leads_out(self._source.root, part.folder, target):
                part.links[name] = target
        return found
