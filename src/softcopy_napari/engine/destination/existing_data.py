"""Is what lies at a destination a copy of its source? If not, whose data are these?

A name is used again: what was copied yesterday may be all that is left of a deleted source, and must not be overwritten
by today's. Called where a disk that hangs holds up nobody: before an engine starts, and in a thread of its own.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from softcopy_napari.engine.destination.store_sketch import sketch
from softcopy_napari.engine.fs.file_times import TIME_UNITS, coarsest_time_unit, is_up_to_date
from softcopy_napari.engine.fs.files import extended_path, native_path
from softcopy_napari.engine.fs.own_files import RECEIPTS, is_own_temporary
from softcopy_napari.engine.fs.relative_paths import join, parent
from softcopy_napari.engine.fs.statx import read_birth_time
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.receipt.checksum_file import ReceiptError, read_lines
from softcopy_napari.engine.receipt.files_beside_store import FilesBesideStore
from softcopy_napari.engine.receipt.receipt import Receipt, find_receipt, remove_receipt
from softcopy_napari.engine.state_folder.destination_lock import filled_from, keeps_times
from softcopy_napari.engine.targets.store_url import Destination, StoreUrl
from softcopy_napari.engine.targets.target import Target
from softcopy_napari.engine.zarr_layout.array_layout import ArrayLayout, GroupLayout, LayoutError
from softcopy_napari.engine.zarr_layout.file_names import (
    ANNOTATED_NAMES,
    ARRAY_METADATA_NAMES,
    METADATA_NAMES,
    classify_temporary,
)
from softcopy_napari.engine.zarr_layout.metadata import parse_metadata, why_unusable
from softcopy_napari.engine.zarr_layout.probe import FolderIdentity, identify_source, probe_source, read_metadata

_MAX_FOLDERS = 200
"""Folders of a destination that are searched for arrays."""
_MAX_ENTRIES = 2000
_SAMPLES_A_FOLDER = 8
_SAMPLES_AN_ARRAY = 16
_SAMPLES = 128


class ExistingData(NamedTuple):
    """What lies at a destination before anything is copied there."""

    conflict: Reason | None
    """Why the source must not be copied there; None where it may be."""
    receipt: Receipt | None
    """The receipt of the copy that lies there, if that was complete."""
    metadata: dict[str, bytes]
    """XXH128 of the metadata that were copied there, by path, as far as it is known."""


def find_other_dataset(source: Path, destination: Destination, any_files: bool = False) -> Reason | None:
    """Say whose data lie at a destination, if the source is there and they are no copy of it; else None."""
    found = probe_source(str(source), any_files)
    unusable = not found.exists or why_unusable(found, any_files)
    return None if unusable else examine_destination(source, destination, any_files).conflict


def examine_destination(source: Path, destination: Destination, any_files: bool = False) -> ExistingData:
    """Compare what lies at a destination with the source, as far as it takes to know one from another.

    It is a copy of the source if this computer, or the receipt, remembers the source's folder; or if any of some
    chunk files there is equal to the source's in size and time. A folder of any files may be copied to where others'
    files lie, but not over them, and not to where another source was copied to.

    Raises
    ------
    StoreError
        The store that it lies in cannot be asked.
    """
    if not isinstance(destination, StoreUrl):
        return _examine(source, destination, destination, destination, any_files)
    files = FilesBesideStore(destination)
    with sketch(files.store) as there:
        return _examine(source, destination, there, files.fetch_receipts(), any_files)


def _examine(source: Path, destination: Destination, folder: Path, receipts: Path, any_files: bool) -> ExistingData:
    """Look at a destination's folder, or at the sketch of one, and at the receipts beside a path."""
    here, there = extended_path(str(source)), extended_path(str(folder))
    receipt, metadata = _read_receipt(receipts)
    seen = _Seen()
    times_tell = keeps_times(destination)
    filled_before = receipt is not None or filled_from(destination) is not None
    for file in _spread(there, "", _SAMPLES) if any_files else ():
        if file not in RECEIPTS and not is_own_temporary(file):
            seen.compare(here, there, file, counts=filled_before)
    for path, then, has_metadata in () if any_files else _arrays(there, here):
        now = _layout(here, path)
        seen.differs = seen.differs or _difference(path, now, then, ignore_shape=True)
        seen.shape = seen.shape or _difference(path, now, then, ignore_shape=False)
        seen.rewritten = seen.rewritten or (times_tell and _written_again(here, there, path))
        if not seen.equal and seen.samples < _SAMPLES:
            known_form = then if isinstance(then, ArrayLayout) else None
            for file in _samples(os.path.join(there, native_path(path)), known_form):
                seen.compare(here, there, os.path.join(native_path(path), file), has_metadata)
    conflict = None
    if difference := seen.conflict(_is_known(identify_source(here), destination, receipt), receipt):
        sides = {"source": str(source), "destination": str(destination)}
        conflict = make_reason(ReasonCode.OTHER_DATASET, **sides, difference=difference)
    return ExistingData(conflict, receipt, metadata)


class _Seen:
    """Collects what comparing both sides shows."""

    def __init__(self) -> None:
        self.rewritten = False
        self.differs: Reason | None = None
        self.shape: Reason | None = None
        self.samples = self.equal = self.in_both = self.newest = 0

    def compare(self, here: str, there: str, name: str, counts: bool) -> None:
        """Compare a file of the destination with the source's; whether it `counts` if the source has none like it."""
        try:
            copy = os.stat(os.path.join(there, name), follow_symlinks=False)
        except OSError:
            return
        self.newest = max(self.newest, copy.st_mtime_ns)
        self.samples += counts
        with contextlib.suppress(OSError):
            original = os.stat(os.path.join(here, name), follow_symlinks=False)
            self.in_both += 1
            self.equal += is_up_to_date(original, copy, coarsest_time_unit(copy.st_mtime_ns))

    def conflict(self, known: bool, receipt: Receipt | None) -> Reason | None:
        """Return why this is no copy of the source; None where it may be one."""
        if self.differs:
            return self.differs
        if self.equal or not (self.samples or self.in_both) or (known and not (self.rewritten and self.in_both)):
            return None
        code = ReasonCode.WRITTEN_ANEW if known else ReasonCode.ANOTHER_SOURCE
        another = make_reason(code, copy=_whose(receipt, self.newest))
        if known or self.shape is None:
            return another
        return make_reason(ReasonCode.ALL_OF, parts=(self.shape, another))


def take_over_destination(target: Target, metadata: Iterable[str]) -> list[ArrayLayout]:
    """Remove the receipt of another dataset that is to be replaced; return its arrays, whose files may be removed.

    Parameters
    ----------
    target : Target
    metadata : iterable of str
        Paths of the metadata that are known to have been copied there.

    Raises
    ------
    OSError
        The receipt cannot be removed.
    """
    if not isinstance(target.destination, StoreUrl):
        found = _find_replaceable_arrays(target, target.destination, target.destination, metadata)
        remove_receipt(target.destination)
        return found
    files = FilesBesideStore(target.destination)
    receipts = files.fetch_receipts()
    with sketch(files.store) as folder:
        found = _find_replaceable_arrays(target, folder, receipts, metadata)
    remove_receipt(receipts, files.remove)
    return found


def _find_replaceable_arrays(
    target: Target, folder: Path, receipts: Path, metadata: Iterable[str]
) -> list[ArrayLayout]:
    """Return the arrays of another dataset for certain: they are known to have been copied, or the source has them.

    Labels, for example, that others have added to a copy, are neither. Folder and receipts as of `_examine`.
    """
    receipt, _ = _read_receipt(receipts)
    if target.is_folder:
        return []
    here, there = extended_path(str(target.source)), extended_path(str(folder))
    listed = {array.path for array in receipt.arrays} if receipt is not None else set()
    listed.update(parent(path) for path in metadata if path.rpartition("/")[2] in ARRAY_METADATA_NAMES)
    return [
        layout
        for path, layout, _ in _arrays(there, here, sys.maxsize)
        if isinstance(layout, ArrayLayout) and (path in listed or _layout(here, path) is not None)
    ]


def _read_receipt(destination: Path) -> tuple[Receipt | None, dict[str, bytes]]:
    """Read a destination's receipt, and the checksums of zarr metadata that it lists."""
    receipt, metadata = None, dict[str, bytes]()
    with contextlib.suppress(ReceiptError, OSError):
        sums, receipt = find_receipt(destination)
        if receipt is not None:
            others = max(0, receipt.files - receipt.chunk_files) + receipt.links  # the first lines: no chunk files
            for digest, path in islice(read_lines(sums, destination), others):
                if path.rpartition("/")[2] in ANNOTATED_NAMES:
                    metadata[path] = digest
    return receipt, metadata


def _is_known(now: FolderIdentity | None, destination: Destination, receipt: Receipt | None) -> bool:
    """Whether a source is the one that the destination was filled from."""
    # Inodes are used again: without a time, nothing is known by its own.
    return now is not None and now in (filled_from(destination), receipt.source_folder if receipt else None)


def _whose(receipt: Receipt | None, newest: int) -> Reason:
    """Return whose data lie at a destination."""
    if receipt is not None:
        with contextlib.suppress(ValueError):
            finished = datetime.fromisoformat(receipt.finished).timestamp()
            return make_reason(ReasonCode.COPY_OF, source=receipt.source, finished=finished)
    return make_reason(ReasonCode.COPY_OF, newest=newest / 1e9)


def _arrays(there: str, here: str, most: int = _MAX_FOLDERS) -> Iterator[tuple[str, object, bool]]:
    """Yield the arrays at a destination: path, layout, and whether it has metadata.

    One whose metadata have not arrived is taken to be what the source has there.
    """
    level = deque([""])
    for _ in range(most):
        if not level:
            return
        folder = level.popleft()
        try:
            layout = parse_metadata(folder, read_metadata(there, folder))
        except LayoutError:
            layout = None
        has_metadata = layout is not None
        if layout is None and isinstance(ours := _layout(here, folder), ArrayLayout):
            layout = ours
        if layout is not None and not isinstance(layout, GroupLayout):
            yield folder, layout, has_metadata
            continue
        with contextlib.suppress(OSError), os.scandir(os.path.join(there, native_path(folder))) as entries:
            for _, entry in zip(range(_MAX_ENTRIES), entries, strict=False):
                if entry.is_dir(follow_symlinks=False):
                    level.append(join(folder, entry.name))


def _layout(root: str, folder: str) -> object:
    with contextlib.suppress(LayoutError):
        return parse_metadata(folder, read_metadata(root, folder))
    return None


def _difference(path: str, now: object, then: object, *, ignore_shape: bool) -> Reason | None:
    """Return how an array at the destination differs from what the source has in its place; None if it does not."""
    if not isinstance(now, ArrayLayout | GroupLayout) or not isinstance(then, ArrayLayout):
        return None
    if isinstance(now, GroupLayout):
        what: Reason | None = make_reason(ReasonCode.NO_GROUP)
    else:
        what = then.difference(now, ignore_shape=ignore_shape)
    return make_reason(ReasonCode.ARRAY_DIFFERS, array=path, difference=what) if what and path else what


def _written_again(here: str, there: str, path: str) -> bool:
    """Whether an array's metadata were deleted and then made with the same content, since they were copied."""
    for name in METADATA_NAMES:
        ours, copy = (os.path.join(root, native_path(path), name) for root in (here, there))
        with contextlib.suppress(OSError):
            found = os.stat(ours)
            if read_birth_time(ours, found) > os.stat(copy).st_mtime_ns + TIME_UNITS[0]:
                return read_metadata(here, path, (name,)) == read_metadata(there, path, (name,))
    return False


def _samples(folder: str, layout: ArrayLayout | None) -> Iterator[str]:
    """Yield some of an array's chunk files, from all over it; where its layout is not known, any files in it."""
    count = 0
    for path in _spread(folder, "", _SAMPLES_AN_ARRAY):
        name = path.replace(os.sep, "/")
        if layout is not None and not layout.has_form_of_key(name):
            continue
        yield path
        count += 1
        if count == _SAMPLES_AN_ARRAY:
            return


def _spread(root: str, folder: str, most: int) -> Iterator[str]:
    """Yield files below a folder, of each folder some, and at most so many."""
    files: list[str] = []
    folders: list[str] = []
    with contextlib.suppress(OSError), os.scandir(os.path.join(root, folder)) as entries:
        for _, entry in zip(range(_MAX_ENTRIES), entries, strict=False):
            name = os.path.join(folder, entry.name)
            if entry.is_dir(follow_symlinks=False):
                folders.append(name)
            elif entry.name not in METADATA_NAMES and classify_temporary(entry.name) is None:
                files.append(name)
    yield from _some_of(files, most)
    chosen = _some_of(folders, min(most, _SAMPLES_A_FOLDER))
    for name in chosen:
        yield from _spread(root, name, max(1, most // len(chosen)))


def _some_of(names: list[str], most: int) -> list[str]:
    """Return at most so many names, the first and the last in order among them."""
    names.sort()
    if len(names) <= most:
        return names
    return [names[number * (len(names) - 1) // max(1, most - 1)] for number in range(most)]
