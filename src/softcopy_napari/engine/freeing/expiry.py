"""Deletes the files of a freed source when their time is over, each after its copy was read back once more.

Time alone deletes nothing: of what the destination does not hold byte for byte, nothing is deleted.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from softcopy_napari.engine.freeing.file_proofs import FileProver, is_same_file
from softcopy_napari.engine.freeing.grace_folder import GraceFolder
from softcopy_napari.engine.freeing.refusal import FreeRefused, refuse
from softcopy_napari.engine.freeing.sides import flush_copies, lock_destination, refuse_one_folder, timed_batches
from softcopy_napari.engine.fs.file_times import is_same_version
from softcopy_napari.engine.fs.root_folder import RootFolder
from softcopy_napari.engine.reasons import ReasonCode
from softcopy_napari.engine.receipt.checksum_file import ReceiptError
from softcopy_napari.engine.receipt.freed_record import FILES, FreedRecord, grace_folder_of, is_folder_of, read_record
from softcopy_napari.engine.receipt.receipt import find_unchanged_receipt
from softcopy_napari.engine.state_folder.activity import board_path
from softcopy_napari.engine.verify.verify import Interrupted

_EXPIRED = "expired"
Progress = Callable[[int, int], bool]
"""Called with how many files have been deleted, of how many; returns false to stop."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """What was deleted from a grace folder."""

    record: FreedRecord
    files: int
    bytes: int


def delete_expired(path: Path, progress: Progress = lambda files, total: True, nprocs: int = 4) -> Deleted:
    """Delete the files in a grace folder, if their time is over and the destination holds every one of them.

    First the copies are looked at, and nothing is deleted if one is missing or of another size. Then each file is
    compared with its copy by content, read back past the page cache, and deleted. The first that differs ends it.

    Parameters
    ----------
    path : Path
        The grace folder.
    progress : callable
    nprocs : int
        How many files are read at a time.

    Raises
    ------
    FreeRefused
        Nothing is deleted, or nothing more.
    Interrupted
        `progress` said so.
    """
    record = read_record(path)
    if record is None:
        refuse(ReasonCode.FREE_NO_GRACE_FOLDER, grace=str(path), problem="its record cannot be read")
    if record.deleted:
        return Deleted(record, 0, 0)
    if not record.ended:
        refuse(ReasonCode.EXPIRY_UNFINISHED, grace=str(path))
    if not record.expired:
        refuse(ReasonCode.EXPIRY_TOO_EARLY, grace=str(path), until=record.until)
    source, destination = Path(record.source), Path(record.destination)
    if not destination.is_dir():
        _refuse_copy(record, path, ".", "missing")
    try:
        find_unchanged_receipt(destination)
    except ReceiptError as error:
        refuse(ReasonCode.FREE_WITHOUT_RECEIPT, problem=str(error))
    with lock_destination(destination), GraceFolder(path, source, make=False) as grace:
        deletion = _Deletion(grace, record, nprocs, progress)
        try:
            deletion.run()
        except OSError as error:
            refuse(ReasonCode.FREE_UNREADABLE, path=str(error.filename or path), problem=error.strerror)
        grace.write_record(record.model_copy(update={"deleted": time.time()}))
        if grace_folder_of(source) == Path(os.path.realpath(path)) and is_folder_of(record, source):
            GraceFolder.remove_empty_folders(RootFolder(str(source)))
        return Deleted(record, deletion.files, deletion.bytes)


class _Deletion:
    """Deletes the files of one grace folder, which is held.

    Attributes
    ----------
    files, bytes : int
        What was deleted so far.
    """

    def __init__(self, grace: GraceFolder, record: FreedRecord, nprocs: int, progress: Progress) -> None:
        self._grace, self._record, self._nprocs, self._progress = grace, record, nprocs, progress
        self._destination = Path(record.destination)
        self._stopped = False
        self.files = self.bytes = 0

    def run(self) -> None:
        """Delete all files."""
        files = self._grace.path / FILES
        refuse_one_folder(files, self._destination)
        there = RootFolder(str(self._destination))
        there.open()
        try:
            total = self._check_copies(there)
            self._grace.journal.append_event(_EXPIRED)
            held = os.stat(files if self._grace.files.fd is None else self._grace.files.fd)
            with FileProver(
                files,
                self._destination,
                self._nprocs,
                board_path(),
                lambda: self._stopped,
                (held.st_dev, held.st_ino),
            ) as prover:
                there.open(prover.identities[1])
                for batch in timed_batches(self._recorded_files()):
                    if not self._progress(self.files, total):
                        self._stopped = True
                        raise Interrupted
                    self._delete(list(dict.fromkeys(batch)), there, prover)  # after a kill it was recorded twice
        finally:
            there.close()
        for path, _ in self._grace.list_files():
            refuse(ReasonCode.EXPIRY_UNKNOWN_FILE, path=path, grace=str(self._grace.path))

    def _check_copies(self, there: RootFolder) -> int:
        """Refuse if any copy is missing or of another size; returns the number of files."""
        count = 0
        for path, here in self._grace.list_files():
            count += 1
            try:
                copy = there.stat(path)
            except OSError as error:
                _refuse_copy(self._record, self._grace.path, path, error.strerror or str(error))
            if not stat.S_ISREG(copy.st_mode) or copy.st_size != here.st_size or is_same_file(copy, here):
                _refuse_copy(self._record, self._grace.path, path, "changed")
        return count

    def _recorded_files(self) -> Iterator[tuple[bytes, str]]:
        """Yield digest and path of the files that are here as the journal has them."""
        for file in self._grace.journal.files():
            try:
                here = self._grace.files.stat(file.path)
            except (FileNotFoundError, NotADirectoryError):
                continue  # it was never moved, or is not here any more
            if (here.st_size, here.st_mtime_ns) == (file.size, file.modified):
                yield file.digest, file.path

    def _delete(self, batch: list[tuple[bytes, str]], there: RootFolder, prover: FileProver) -> None:
        try:
            flush_copies(there, [path for _, path in batch])
            for proof in prover.prove(batch):
                path = proof.file.path
                proof = prover.renew_if_linked(proof)
                prover.refuse_changed_copy(proof, there)
                if not is_same_version(proof.here, self._grace.files.stat(path)):
                    refuse(ReasonCode.EXPIRY_UNKNOWN_FILE, path=path, grace=str(self._grace.path))
                self._grace.files.unlink(path)
                self.files += 1
                self.bytes += proof.file.size
        except FreeRefused as error:
            fields = dict(error.reason.fields)
            if error.reason.code == ReasonCode.FREE_COPY_DIFFERS:
                _refuse_copy(self._record, self._grace.path, fields["path"], fields["problem"])
            if error.reason.code == ReasonCode.FREE_CHANGED:
                refuse(ReasonCode.EXPIRY_UNKNOWN_FILE, path=fields["path"], grace=str(self._grace.path))
            raise


def _refuse_copy(record: FreedRecord, grace: Path, path: str, problem: str) -> NoReturn:
    refuse(ReasonCode.EXPIRY_COPY_DIFFERS, path=path, destination=record.destination, grace=str(grace), problem=problem)
