"""The grace folder beside a source: files move into it by rename, and back, and are deleted from it.

`SOURCE.freed` holds the record and a text for people (receipt/freed_record.py), the journal (freed_files.py), and the
files under their old names in `files`. One process at a time works in it.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Collection, Iterator
from pathlib import Path

from softcopy_napari.engine.freeing.freed_files import JOURNAL, Journal
from softcopy_napari.engine.freeing.refusal import refuse
from softcopy_napari.engine.fs.folder_listing import listing
from softcopy_napari.engine.fs.own_files import is_own_temporary
from softcopy_napari.engine.fs.relative_paths import join, parent
from softcopy_napari.engine.fs.root_folder import FOLDER, RootFolder
from softcopy_napari.engine.reasons import ReasonCode
from softcopy_napari.engine.receipt.freed_record import (
    FILES,
    README,
    RECORD,
    FreedRecord,
    forget_grace_folder,
    note_grace_folder,
    read_record,
    write_record,
)
from softcopy_napari.engine.state_folder.destination_lock import try_lock

_OWN = {JOURNAL, FILES, README, RECORD}


class GraceFolder:
    """A grace folder that is held while something is done with it; a context manager.

    Parameters
    ----------
    path : Path
        Its place.
    source : Path
        The source that it belongs to.
    make : bool
        Whether to make it if need be; else it must be there.

    Attributes
    ----------
    record : FreedRecord or None
        None where nothing has been moved so far.
    over : bool
        Whether nothing is left in it, so that it is removed at the end.
    files : RootFolder
        The folder with the files, open.
    journal : Journal

    Raises
    ------
    FreeRefused
        It cannot be used, or another process works in it.
    """

    def __init__(self, path: Path, source: Path, make: bool) -> None:
        self.path = path
        self._source = source
        self._make = make
        self._made: str | None = None
        """The folder that was found or made last."""
        self.record: FreedRecord | None = None
        self.over = False
        self.files = RootFolder(str(path / FILES))

    def __enter__(self) -> GraceFolder:
        try:
            if self._make:
                self._make_folders()
            self.journal = Journal(self.path / JOURNAL)
        except OSError as error:
            refuse(ReasonCode.FREE_NO_GRACE_FOLDER, grace=str(self.path), problem=error.strerror or str(error))
        try:
            if not try_lock(self.journal.fd):
                refuse(ReasonCode.FREE_BUSY, grace=str(self.path))
            self.record = read_record(self.path)
            self._open_files()
        except BaseException:
            self.journal.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.files.close()
        self.journal.close()
        if self.over or (self._make and self.record is None):
            self._remove_files(README, JOURNAL, RECORD)
            with contextlib.suppress(OSError):
                self.path.rmdir()
                forget_grace_folder(self.path)
        elif self.record is not None and self.record.deleted:
            self._remove_files(JOURNAL)  # the record stays: it says where the data are

    def _make_folders(self) -> None:
        with contextlib.suppress(FileExistsError):
            self.path.mkdir(mode=os.stat(self._source).st_mode & 0o777)
        if not self.is_unused() and read_record(self.path) is None:
            refuse(ReasonCode.FREE_GRACE_TAKEN, grace=str(self.path), source=str(self._source))
        (self.path / FILES).mkdir(exist_ok=True, mode=os.stat(self._source).st_mode & 0o777)

    def _open_files(self) -> None:
        """Open the folder with the files; a link in its place, or in that of the grace folder, is refused."""
        try:
            there = os.lstat(self.path / FILES)
            if self.path.is_symlink():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            self.files.open((there.st_dev, there.st_ino))
        except FileNotFoundError:
            return
        except OSError as error:
            refuse(ReasonCode.FREE_NO_GRACE_FOLDER, grace=str(self.path), problem=error.strerror)

    def is_unused(self) -> bool:
        """Whether nothing lies in it but what a run that had moved nothing, or moved all back, has left."""
        names = os.listdir(self.path)
        with contextlib.suppress(FileNotFoundError):
            names += [f"{FILES}/{name}" for name in os.listdir(self.path / FILES)]
        return all(name in _OWN - {RECORD} or is_own_temporary(name) for name in names)

    def write_record(self, record: FreedRecord) -> None:
        """Write the record, and remember where the grace folder is."""
        try:
            write_record(self.path, record)
        except OSError as error:
            refuse(ReasonCode.FREE_NO_GRACE_FOLDER, grace=str(self.path), problem=error.strerror)
        self.record = record
        note_grace_folder(self.path)

    # -- files ----------------------------------------------------------------------------------------

    def move_in(self, path: str, source: RootFolder) -> None:
        """Rename a file of the source, open, to its place in here."""
        self._enter(self.files, parent(path))
        source.move(path, self.files)

    def move_back(self, path: str, source: RootFolder) -> None:
        """Rename a file in here to its place in the source, open."""
        self._enter(source, parent(path))
        self.files.move(path, source)

    def _enter(self, place: RootFolder, folder: str) -> None:
        if folder != self._made:
            try:
                place.enter_folder(folder)
            except FileNotFoundError:
                place.enter_folder(folder, make=True)
            self._made = folder

    def list_files(self) -> Iterator[tuple[str, os.stat_result]]:
        """Yield the files in here with their stats, folder by folder."""
        folders = [""] if os.path.isdir(self.path / FILES) else []
        while folders:
            folder = folders.pop()
            with listing(self.files, folder) as (entries, _):
                found = [(join(folder, one.name), one.is_dir(follow_symlinks=False)) for one in entries]
            folders += [path for path, is_folder in found if is_folder]
            for path, is_folder in found:
                if not is_folder:
                    yield path, self.files.stat(path)

    def measure(self) -> tuple[int, int]:
        """Return the number of files in here, and of their bytes."""
        sizes = [there.st_size for _, there in self.list_files()]
        return len(sizes), sum(sizes)

    def _remove_files(self, *names: str) -> None:
        """Remove files of softcopy's own, if no freed file is left."""
        self.remove_empty_folders(self.files)
        with contextlib.suppress(OSError):
            if (self.path / FILES).is_dir():
                (self.path / FILES).rmdir()
            for name in (*names, *filter(is_own_temporary, os.listdir(self.path))):
                (self.path / name).unlink(missing_ok=True)

    @staticmethod
    def remove_empty_folders(place: RootFolder) -> None:
        """Remove the folders below a root folder in which nothing lies any more."""
        folders = [""]
        found: list[str] = []
        opened = place.fd is None
        with contextlib.suppress(OSError):
            if opened:
                place.open()
            while folders:
                folder = folders.pop()
                with listing(place, folder) as (entries, _):
                    inner = [join(folder, one.name) for one in entries if one.is_dir(follow_symlinks=False)]
                folders += inner
                found += inner
            for folder in reversed(found):
                place.remove_folder(folder)
        if opened:
            place.close()


def flush_folders(place: RootFolder, folders: Collection[str]) -> None:
    """Have it stored which files folders hold, where the system can do that."""
    if place.fd is None:
        return
    for folder in folders:
        with contextlib.suppress(OSError):  # some network file systems cannot flush folders
            fd = place.open_file(folder, FOLDER)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
