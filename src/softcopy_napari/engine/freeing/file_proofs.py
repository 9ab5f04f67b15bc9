"""Proves of single files that source, receipt and destination agree by content, as they are now on the disks."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, NoReturn

from softcopy_napari.engine.freeing.freed_files import FreedFile
from softcopy_napari.engine.freeing.refusal import refuse
from softcopy_napari.engine.fs.file_system_type import identify_file_system
from softcopy_napari.engine.fs.file_times import is_same_version
from softcopy_napari.engine.fs.moving import is_open_for_writing
from softcopy_napari.engine.fs.root_folder import RootFolder
from softcopy_napari.engine.fs.statx import refresh_attributes
from softcopy_napari.engine.reasons import ReasonCode
from softcopy_napari.engine.verify.verify import Interrupted
from softcopy_napari.engine.wording import describe
from softcopy_napari.engine.worker.content_checker import CheckOutcome, CheckResult, ContentChecker
from softcopy_napari.engine.worker.pause_gate import IN_PAUSES, PauseGate

_BUFFER = 1 << 20


class FileProof(NamedTuple):
    """A file whose content is the same at the source, in the receipt and at the destination."""

    file: FreedFile
    here: os.stat_result
    """The file at the source: whoever moves it makes sure that it is still this one, and unchanged."""
    there: os.stat_result
    """The file at the destination."""


class _Sides(threading.local):
    """What each thread reads with."""

    here: RootFolder
    there: RootFolder
    checker: ContentChecker


class FileProver:
    """Compares files in several threads; a context manager that ends them.

    Parameters
    ----------
    source : Path
        The source, or the folder to which its files were moved.
    destination : Path
    nprocs : int
        How many files are read at a time.
    board : str
        The path of the activity board: nothing is read while a writer is at work.
    stopped : callable
        Whether to stop at once; then `Interrupted` is raised.
    identity : tuple of int and int, optional
        Device and inode that the source must have.

    Attributes
    ----------
    identities : list of tuple of int and int
        Device and inode of source and destination.
    """

    def __init__(
        self,
        source: Path,
        destination: Path,
        nprocs: int,
        board: str,
        stopped: Callable[[], bool],
        identity: tuple[int, int] | None = None,
    ) -> None:
        self._source, self._destination = RootFolder(str(source)), RootFolder(str(destination))
        self._board = board
        self._stopped = stopped
        self._is_share = identify_file_system(str(destination)).is_share
        self.identities = [identity or _identity(self._source), _identity(self._destination)]
        self._sides = _Sides()
        self._opened: list[RootFolder] = []
        self._threads = ThreadPoolExecutor(nprocs, "free", self._open_sides)

    def __enter__(self) -> FileProver:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
        for place in self._opened:
            place.close()

    def _open_sides(self) -> None:
        mine = self._sides
        mine.here, mine.there = RootFolder(self._source.root), RootFolder(self._destination.root)
        for place, identity in zip((mine.here, mine.there), self.identities, strict=True):
            place.open(identity)
            self._opened.append(place)
        gate = PauseGate(self._board, IN_PAUSES, self._stopped, lambda: None)

        def go_on(_: int) -> bool:
            gate.wait()
            return not self._stopped()

        mine.checker = ContentChecker(mine.here, mine.there, memoryview(bytearray(_BUFFER)), go_on)

    def prove(self, lines: Sequence[tuple[bytes, str]]) -> list[FileProof]:
        """Compare files with the digests that a receipt has of them; those that the source lacks are left out.

        Raises
        ------
        FreeRefused
            Something is not as it should be.
        OSError
            A side has gone.
        Interrupted
        """
        proofs = self._threads.map(self._prove, lines)
        return [proof for proof in proofs if proof is not None]

    def _prove(self, line: tuple[bytes, str]) -> FileProof | None:
        digest, path = line
        if self._stopped():
            raise Interrupted
        source, mine = self._source.root, self._sides
        try:
            here = mine.here.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not stat.S_ISREG(here.st_mode):
            return None
        self._refuse_if_open(path)
        there = self._stat_copy(mine.there, path)
        if is_same_file(here, there):
            refuse(ReasonCode.FREE_SAME_FILE, path=path, source=source, destination=self._destination.root)
        self._refuse_unless_equal(path, digest, mine.checker.compare_with_source(path))
        if not is_same_version(here, mine.here.stat(path)):
            self._refuse_changed(path)
        if not is_same_version(there, self._stat_copy(mine.there, path)):
            self._refuse_copy(path, "it is changing")
        return FileProof(FreedFile(path, digest, here.st_size, here.st_mtime_ns), here, there)

    def _refuse_unless_equal(self, path: str, digest: bytes, result: CheckResult) -> None:
        match result.outcome:
            case CheckOutcome.STOPPED:
                raise Interrupted
            case CheckOutcome.MOVING:
                self._refuse_changed(path)
            case CheckOutcome.UNREADABLE:
                problem = result.detail if isinstance(result.detail, str) else describe(result.detail)
                refuse(ReasonCode.FREE_UNREADABLE, path=path, problem=problem)
        if result.digest != digest:
            self._refuse_copy(path, result.outcome.name.lower() if not result.good else "changed on both sides")
        if result.outcome is not CheckOutcome.EQUAL:
            self._refuse_changed(path)

    def renew_if_linked(self, proof: FileProof) -> FileProof:
        """Prove a file again if it has several names: to move or delete one of them changes what is known of all."""
        if proof.here.st_nlink < 2:
            return proof
        renewed = self.prove([(proof.file.digest, proof.file.path)])
        if not renewed or not is_same_file(renewed[0].here, proof.here):
            self._refuse_changed(proof.file.path)
        return renewed[0]

    def refuse_changed_copy(self, proof: FileProof, there: RootFolder) -> None:
        """Make sure that a copy is still what was proved, and that it did not move with the file at the source."""
        now = self._stat_copy(there, proof.file.path)
        if is_same_file(proof.here, now) or not is_same_version(proof.there, now):
            self._refuse_copy(proof.file.path, "it has changed since it was read back")

    def _stat_copy(self, there: RootFolder, path: str) -> os.stat_result:
        """Return the stat of a file at the destination, as its server knows it now."""
        try:
            if self._is_share:
                folder, _, name = path.rpartition("/")
                fd = there.enter_folder(folder)
                refresh_attributes(there.path(path) if fd is None else name, fd)
            return there.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            self._refuse_copy(path, CheckOutcome.MISSING.name.lower())
        except OSError as error:
            self._refuse_copy(path, error.strerror or str(error))

    def _refuse_if_open(self, path: str) -> None:
        try:
            fd = self._sides.here.open_for_reading(path)
        except OSError:
            return  # reading it will tell
        try:
            if is_open_for_writing(fd):
                refuse(ReasonCode.FREE_OPEN, path=path)
        finally:
            os.close(fd)

    def _refuse_changed(self, path: str) -> NoReturn:
        source, destination = self._source.root, self._destination.root
        refuse(ReasonCode.FREE_CHANGED, path=path, source=source, destination=destination)

    def _refuse_copy(self, path: str, problem: str) -> NoReturn:
        """Raise a `FreeRefused`: the copy of a file is not what it should be."""
        refuse(ReasonCode.FREE_COPY_DIFFERS, path=path, destination=self._destination.root, problem=problem)


def is_same_file(one: os.stat_result, other: os.stat_result) -> bool:
    """Whether two stats are of one file, under whatever names."""
    return bool(one.st_ino) and (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


def _identity(place: RootFolder) -> tuple[int, int]:
    found = os.stat(place.root)
    return found.st_dev, found.st_ino
