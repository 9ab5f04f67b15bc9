"""Moves the files of a freed source back to where they were, as long as they are in the grace folder."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from softcopy_napari.engine.formatting import NO_NAMES, CountedNames
from softcopy_napari.engine.freeing.grace_folder import GraceFolder, flush_folders
from softcopy_napari.engine.freeing.refusal import refuse
from softcopy_napari.engine.fs.relative_paths import parent
from softcopy_napari.engine.fs.root_folder import RootFolder
from softcopy_napari.engine.reasons import ReasonCode
from softcopy_napari.engine.receipt.freed_record import FreedRecord, grace_folder_of, is_folder_of, read_record
from softcopy_napari.engine.zarr_layout.file_names import METADATA_NAMES

_IN_THE_WAY = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY}


@dataclass(frozen=True, slots=True)
class Returned:
    """What came of moving files back.

    Attributes
    ----------
    files : int
        Files that were moved back.
    taken : CountedNames
        Files that stay in the grace folder, as something else has their name at the source by now.
    """

    record: FreedRecord
    grace: Path
    files: int
    taken: CountedNames


def undo_free(source: str | Path) -> Returned:
    """Move all files of a freed source back; nothing at the source is replaced.

    Raises
    ------
    FreeRefused
        The source has not been freed, or the files cannot be moved.
    """
    source = Path(source).absolute()
    path = grace_folder_of(source)
    record = read_record(path)
    if record is None:
        _remove_unused(GraceFolder(path, source, make=False))
        refuse(ReasonCode.UNDO_NOTHING, source=str(source), grace=str(path))
    if not is_folder_of(record, source):
        refuse(ReasonCode.UNDO_OTHER_FOLDER, source=str(source), grace=str(path))
    if record.deleted:
        return Returned(record, path, 0, NO_NAMES)
    with GraceFolder(path, source, make=False) as grace:
        place = RootFolder(str(source))
        files, taken = 0, NO_NAMES
        try:
            with contextlib.suppress(FileExistsError):
                source.mkdir()
            place.open()
            folders: set[str] = set()
            for file in _metadata_last(grace):
                try:
                    grace.move_back(file, place)
                    files += 1
                    folders.add(parent(file))
                except OSError as error:
                    if error.errno not in _IN_THE_WAY:
                        raise
                    taken = taken.plus(CountedNames(1, (file,)))
            flush_folders(place, folders)
            flush_folders(grace.files, folders)
        except OSError as error:
            refuse(ReasonCode.FREE_MOVE_FAILED, path=str(path), grace=str(source), problem=error.strerror)
        finally:
            place.close()
        grace.over = not taken.total
        return Returned(record, path, files, taken)


def _remove_unused(left: GraceFolder) -> None:
    """Remove an empty grace folder, as runs that were killed leave it."""
    with contextlib.suppress(OSError):
        if left.is_unused():
            with left as grace:
                grace.over = True


def _metadata_last(grace: GraceFolder) -> Iterator[str]:
    """Yield all files, and zarr metadata at the end: until then the dataset does not open, and misleads nobody."""
    metadata = []
    for path, _ in grace.list_files():
        if os.path.basename(path) in METADATA_NAMES:
            metadata.append(path)
        else:
            yield path
    yield from metadata
