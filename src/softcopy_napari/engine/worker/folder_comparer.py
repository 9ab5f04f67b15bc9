"""Compares folders of the source with the same folders of the destination.

It runs in the copy workers: a hanging share blocks no engine. Memory use does not grow with a folder's size.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
import time
from collections.abc import Iterable, Iterator

from softcopy_napari.engine.fs.capabilities import Capabilities, infer_time_unit
from softcopy_napari.engine.fs.destination_problem import DestinationProblem, diagnose_problem
from softcopy_napari.engine.fs.file_system_type import identify_file_system
from softcopy_napari.engine.fs.files import flush_file
from softcopy_napari.engine.fs.folder_listing import holding, listing
from softcopy_napari.engine.fs.followed_links import KEEP, make_source_folder
from softcopy_napari.engine.fs.name_clashes import NameClashes
from softcopy_napari.engine.fs.own_files import TEMPORARY_PREFIX, TEMPORARY_SUFFIX
from softcopy_napari.engine.fs.relative_paths import join, prefix_of
from softcopy_napari.engine.fs.root_folder import RootFolder
from softcopy_napari.engine.fs.statx import refresh_attributes
from softcopy_napari.engine.worker.extra_files import ExtraFiles
from softcopy_napari.engine.worker.file_comparer import FileComparer
from softcopy_napari.engine.worker.folder_batch import FolderBatch
from softcopy_napari.engine.worker.folder_diff import FolderDiff
from softcopy_napari.engine.worker.native import MAX_FILES, load_comparer
from softcopy_napari.engine.worker.numbered_folders import RACY_NS, NumberedFolders, group_of
from softcopy_napari.engine.zarr_layout.file_names import (
    MARKER,
    METADATA_NAMES,
    TEMPORARY_ENDINGS,
    TemporaryKind,
    classify_temporary,
)
from softcopy_napari.engine.zarr_layout.probe import read_metadata

PART = 2048
"""Most names in one part of a folder's comparison."""
_FEW = 256
"""Names of a folder that are listed before its metadata are read."""
_MAX_NAMES = 1 << 14
"""Most names of a folder that are remembered; beyond that, asking the file system is slower but takes no memory."""
_SIGN_OF_LIFE = 2.0
"""Seconds after which a part is sent, so that a slow share is not taken for one that hangs."""


class FolderComparer:
    """Compares folders of one target.

    Parameters
    ----------
    source, destination : str
        The target's folders, absolute.
    own_run : str
        What the names of this run's temporaries contain; temporaries of other runs are removed.
    read_only : bool
        Remove and make nothing at the destination; zarr metadata are of the same size only if they are equal.
    temporary : str
        Name of a temporary that no other process uses, to find out what the destination can do.
    links : str
        The target's setting `links`.
    by_content : bool
        Read files of equal size whose times differ, because the destination keeps no times.
    marker : str
        Name of the file that marks the end of the acquisition.
    """

    def __init__(
        self,
        source: str,
        destination: str,
        own_run: str,
        read_only: bool = False,
        temporary: str = "",
        links: str = KEEP,
        by_content: bool = False,
        marker: str = MARKER,
    ) -> None:
        self._source = make_source_folder(source, destination, links)
        self._follows = links != KEEP
        self._by_content = by_content
        self._destination = RootFolder(destination)
        self._temporary = temporary or f"{TEMPORARY_PREFIX}{own_run}-0{TEMPORARY_SUFFIX}"
        self._read_only = read_only
        self._extras = ExtraFiles(self._source, self._destination, None if read_only else own_run)
        self._flushes = False
        native = load_comparer()
        self._files = FileComparer(self._source, self._destination, native, read_only, by_content, marker)
        self._numbered = NumberedFolders(native, self._source, self._destination) if native is not None else None

    def compare_folders(
        self,
        folders: list[tuple[str, int]],
        quiet: float,
        identity: tuple[int, int] | None = None,
        marker: str = "",
        fresh_attributes: bool = False,
        flush: bool = False,
    ) -> Iterator[FolderDiff | FolderBatch]:
        """Compare folders: without the folders in them, unless everything below is asked for and is plain.

        Parameters
        ----------
        folders : list of tuple of str and int
            Folders relative to the source, each with the modification time (ns) at which its content is known, 0, or
            ALL_BELOW.
        quiet : float
            Files that differ and changed within this many seconds are `fresh`.
        identity, marker : optional
            What source and destination must be, see `RootFolder.open`.
        fresh_attributes : bool
            If the source is a share, make its server send sizes and times, which a network mount may have cached before
            another computer wrote. This costs a round trip a file.
        flush : bool
            Flush the destination's folders.

        Yields
        ------
        FolderDiff or FolderBatch
            One or more parts of each folder, or many folders together; the very last has `final` set.
        """
        self._flushes = flush
        lost, obstacle = self._open_sides(identity, marker)
        try:
            if lost or obstacle:
                found: Iterable[FolderDiff | FolderBatch] = (
                    FolderDiff(folder, lost=lost, obstacle=obstacle, last=True) for folder, _ in folders
                )
            else:
                refresh = fresh_attributes and identify_file_system(self._source.root).is_share
                found = self._compare(folders, quiet, refresh)
            last = None
            for part in itertools.chain(found, [None]):
                if last is not None:
                    last.final = part is None
                    yield last
                last = part
        finally:
            self._source.close()
            self._destination.close()

    def _compare(
        self, folders: list[tuple[str, int]], quiet: float, refresh: bool
    ) -> Iterator[FolderDiff | FolderBatch]:
        """Compare folders together that are named by numbers and lie in the same one, all others one by one."""
        one_by_one = self._follows or self._by_content or self._read_only or refresh
        if self._numbered is None or self._source.fd is None or one_by_one:
            for folder, known in folders:
                yield from self._parts(folder, known, quiet, refresh)
            return
        unchanged = self._numbered.find_unchanged(folders)
        if unchanged:
            yield FolderBatch.of_unchanged(unchanged)
        left = [one for one in folders if one not in unchanged] if unchanged else folders
        for (base, deep), group in itertools.groupby(left, key=group_of):
            paths = [folder for folder, _ in group]
            if base is None:
                for path in paths:
                    yield from self._parts(path, 0, quiet, refresh)
                continue
            there = self._destination.has_folder(base)
            self._note_time_unit(base, there)
            names = [path[len(prefix_of(base)) :] for path in paths]
            for batch in self._numbered.compare(base, names, there, deep, self._files.unit, quiet, self._flushes):
                yield batch
                asked = set(paths)
                for path, problem in batch.peculiar.items():
                    if path in asked or problem:  # the others are asked for
                        yield from self._parts(path, 0, quiet, refresh, problem)

    def _note_time_unit(self, folder: str, there: bool) -> None:
        """Note the unit of the destination's modification times, as far as it is known, where it has a folder."""
        if there and not self._read_only:
            self._files.unit = self._destination.get_capabilities(self._temporary).time_unit
        elif there:
            self._files.unit = infer_time_unit(self._destination.stat(""), self._destination.stat(folder))

    def _open_sides(self, identity: tuple[int, int] | None, marker: str) -> tuple[bool, DestinationProblem | None]:
        """Open both sides; return whether the source is lost, and what is wrong with the destination."""
        try:
            self._source.open(identity)
        except OSError:
            return True, None
        try:
            self._destination.open(marker=marker)
        except FileNotFoundError:
            if marker:
                return False, diagnose_problem(FileNotFoundError(), self._destination.root)
        except OSError as error:
            return False, diagnose_problem(error, self._destination.root)
        return False, None

    def _parts(self, folder: str, known: int, quiet: float, refresh: bool, unflushed: str = "") -> Iterator[FolderDiff]:
        """Compare a folder; `unflushed` is what the system has said of why the destination's may not be stored."""
        source, destination = self._source, self._destination
        part = FolderDiff(folder, unflushed=unflushed)
        try:
            if refresh:
                refresh_attributes(source.path(folder))  # new names show in its time
            found = source.stat(folder)
            if not stat.S_ISDIR(found.st_mode):
                raise FileNotFoundError
            part.modified = part.newest = found.st_mtime_ns
            if part.modified == known and known:
                part.unchanged = part.last = True
                yield part
                return
            if time.time_ns() - part.modified < RACY_NS:
                part.modified = 0  # a later change could leave it the same time
            there = self._destination.has_folder(folder)
            can = Capabilities() if self._read_only else destination.get_capabilities(self._temporary)
            clashes, clashing = NameClashes(can), []
            self._note_time_unit(folder, there)
            names: set[str] = set()
            seen = temporaries = 0
            deadline = time.monotonic() + _SIGN_OF_LIFE
            files: list[os.DirEntry[str]] = []
            with (
                listing(source, folder) as (entries, here),
                holding(destination, folder if there else None, to_list=True) as held,
            ):
                part.unflushed = unflushed = unflushed or self._flush(held)
                # A share takes its time to say of each name that there is none, one after the other.
                is_empty = held is not None and self._extras.is_empty(held)
                has_files, copies = there and not is_empty, None if is_empty else held
                # Metadata come first because they explain what follows; most folders have few names and no metadata.
                first = list(itertools.islice(entries, _FEW))
                metadata = METADATA_NAMES.intersection([entry.name for entry in first])
                part.metadata = read_metadata(source.root, folder, metadata if len(first) < _FEW else METADATA_NAMES)
                for entry in itertools.chain(first, entries):
                    seen += 1
                    name = entry.name
                    if seen <= _MAX_NAMES:
                        names.add(name)
                    if other := clashes.add_name(name):
                        clashing.append((other, name))
                    if entry.is_dir(follow_symlinks=False) or (self._follows and self._leads_to_folder(folder, entry)):
                        part.folders.append(name)
                    elif name.endswith(TEMPORARY_ENDINGS) and (temporary := classify_temporary(name)) is not None:
                        kind, becomes = temporary
                        temporaries += 1
                        (part.locks if kind is TemporaryKind.LOCK else part.scratch).append(becomes or name)
                    else:
                        files.append(entry)
                        if refresh:
                            refresh_attributes(name if here is not None else entry.path, here)
                        if len(files) == MAX_FILES:
                            self._files.compare_files(files, has_files, here, copies, part, quiet)
                            files.clear()
                    if seen % PART == 0 or time.monotonic() > deadline:
                        self._files.compare_files(files, has_files, here, copies, part, quiet)
                        files.clear()
                        deadline = time.monotonic() + _SIGN_OF_LIFE
                        yield part
                        part = FolderDiff(folder, modified=part.modified, newest=part.newest, unflushed=unflushed)
                self._files.compare_files(files, has_files, here, copies, part, quiet)
                clashing += clashes.find_in_large_folder(
                    lambda: os.listdir(source.path(folder) if here is None else here)
                )
                part.clashes = clashing
                part.empty = seen == temporaries and not there
                if there:
                    part.extra = self._extras.find_extra_files(folder, held, names if seen <= _MAX_NAMES else None)
        except FileNotFoundError:
            part.missing = True
        except OSError as error:
            part.error = error.strerror or str(error)
        part.last = True
        yield part

    def _flush(self, held: int | None) -> str:
        """Flush an open folder of the destination, if that is asked for; return why it may not be stored."""
        if self._flushes and held is not None:
            try:
                flush_file(held)
            except OSError as error:
                return error.strerror or str(error)
        return ""

    def _leads_to_folder(self, folder: str, entry: os.DirEntry[str]) -> bool:
        """Whether an entry is a link to a folder that is followed."""
        with contextlib.suppress(OSError):
            return entry.is_symlink() and stat.S_ISDIR(self._source.stat(join(folder, entry.name)).st_mode)
        return False
