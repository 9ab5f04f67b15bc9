"""Who fills a destination: one engine at a time, and what it leaves word of for the next one.

The lock files lie in the state folder. What they say can be lost: then a copy is known by sizes and times alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Literal

import psutil
from pydantic import BaseModel

from softcopy_napari.engine.reasons import ReasonCode
from softcopy_napari.engine.state_folder.folder import PLAIN, private_folder, state_folder_errors
from softcopy_napari.engine.state_folder.run_file import is_running, own_start_time
from softcopy_napari.engine.targets.store_url import Destination, StoreUrl
from softcopy_napari.engine.zarr_layout.probe import FolderIdentity

_SIZE = 400
"""Bytes of a lock file."""
Doing = Literal["filled", "checked", "watched", "freed", "left"]
"""What an engine does to a destination: fill or compare it; watch or free its source once it is complete; leave it."""
_BOOT_ERROR = 30
_LAST_COPIES = 10.0
"""Seconds that the copy processes of an engine that was killed have to end: they take 1.5, on a busy machine more."""


class DestinationBusy(Exception):
    """Another engine is filling or checking the destination."""

    def __init__(self, destination: str, pid: int, doing: Doing, has_ended: bool) -> None:
        self.pid = pid
        process = f" (process {pid})" if pid else ""
        who, does = ("a check", "reading") if doing == "checked" else ("another copy", "writing to")
        what = f"{who}{process} is {does} {destination}. Stop it first: softcopy stop"
        if doing == "freed":
            what = f"softcopy free{process} is at work on {destination} and its source. Wait until it has ended"
        if has_ended:
            what = (
                f"{who}{process} of {destination} has ended, but one of its copy processes hangs in a call to a disk. "
                "See whether both sides can be reached, then try again"
            )
        super().__init__(what)


class ReverifyReason(Enum):
    """Why files may not be at a destination as they were copied, though size and time agree."""

    FLUSH_FAILED = ReasonCode.REREAD_FLUSH_FAILED
    FLUSH_UNSURE = ReasonCode.REREAD_FLUSH_UNSURE
    POWER_LOST = ReasonCode.REREAD_POWER_LOST
    TAKEN_AWAY = ReasonCode.REREAD_TAKEN_AWAY


class _Record(BaseModel, frozen=True):
    """What a lock file says; empty where there is no file, or it cannot be read."""

    pid: int = 0
    started: float = 0.0
    doing: Doing = "filled"
    folder: FolderIdentity | None = None
    """What identifies the source's folder."""
    reverify_reason: ReverifyReason | None = None
    boot: str = ""
    """The system's start in which something was written to it that has not been flushed since; empty if all has."""
    device: int = 0
    """The system's number of the disk that it was written to."""
    keeps_times: bool = True
    """Whether the destination keeps modification times, as far as is known."""
    clean_end: bool = False
    """Whether all that was copied to it is on record: no copy process was at work when its engine ended."""

    @property
    def is_running(self) -> bool:
        """Whether the engine that wrote it still runs."""
        return is_running(self.pid, self.started)


class DestinationLock:
    """Holds a destination for one engine and its workers, for as long as any of them lives.

    On POSIX systems the workers inherit the lock (`fileno`): should the engine be killed, the next one
    waits until the last of its workers has gone, so that no old copy lands on top of a newer one. It waits
    so long as they need to end, and is refused if one is still there then: stuck in a call that does not return.
    So it does while an engine is about to leave the destination, which its user has been told already.

    Parameters
    ----------
    destination : Path or StoreUrl
    doing : {"filled", "checked", "freed"}
        What is to be done to it.
    end_watch : callable, optional
        Has the engine of this process id let go of the destination, where it is complete and only watched on.

    Attributes
    ----------
    reverify_reason : ReverifyReason or None
        Why what an earlier engine copied to it may not be there, though it looks so; None if there is no reason.
    ended_cleanly : bool
        Whether the engine before, if there was one, ended with all that it copied on record.

    Raises
    ------
    DestinationBusy
        Another process has it.
    StateFolderError
        There is no room for the lock's file, or its disk knows no locks.
    """

    def __init__(
        self, destination: Destination, doing: Doing = "filled", end_watch: Callable[[int], None] | None = None
    ) -> None:
        path = _lock_path(destination)
        if doing == "checked" and (other := _read_record(path)).doing == "watched" and other.is_running:
            path = path.with_name(f"{path.name}-check")  # both only read; of several checks one at a time
        with state_folder_errors():
            self._path = path
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | PLAIN, 0o600)
        try:
            self._acquire(destination, end_watch)
        except BaseException:
            os.close(self._fd)
            raise
        before = _read(self._fd)
        self.ended_cleanly = before.clean_end or not before.pid
        self.reverify_reason = before.reverify_reason
        if before.boot and not _is_same_boot(before.boot, _boot()):
            self.reverify_reason = before.reverify_reason or ReverifyReason.POWER_LOST
        self._record = before
        self._update(
            pid=os.getpid(),
            started=own_start_time(),
            doing=doing,
            reverify_reason=self.reverify_reason,
            boot=_boot() if before.boot and doing == "filled" else before.boot,
            clean_end=before.clean_end and doing != "filled",
        )

    def _acquire(self, destination: Destination, end_watch: Callable[[int], None] | None) -> None:
        deadline = time.monotonic() + _LAST_COPIES
        asked = False
        while True:
            with state_folder_errors():
                if try_lock(self._fd):
                    return
            owner = _read(self._fd)
            has_ended = owner.pid != 0 and (owner.doing == "left" or not owner.is_running)
            if end_watch is not None and owner.doing == "watched" and not (has_ended or asked):
                asked = True
                end_watch(owner.pid)
            if not (has_ended or asked) or time.monotonic() >= deadline:
                raise DestinationBusy(str(destination), owner.pid, owner.doing, has_ended)
            time.sleep(0.02)

    def _update(self, **changes: object) -> None:
        """Write the record with some changes, for other engines and the next one."""
        self._record = self._record.model_copy(update=changes)
        _write(self._fd, self._record)

    def note_source(self, folder: FolderIdentity | None) -> None:
        """Record what identifies the source's folder."""
        self._update(folder=folder)

    def note_doing(self, doing: Doing) -> None:
        """Record what is being done to the destination."""
        self._update(doing=doing)

    def note_clean_end(self, clean: bool) -> None:
        """Record whether all that was copied is on record, so that anything else there is somebody else's."""
        self._update(clean_end=clean)

    def note_reverify_reason(self, reason: ReverifyReason | None) -> None:
        """Record this for the next engine, and those after it, until one finds everything as it should be."""
        self.reverify_reason = reason
        self._update(reverify_reason=reason)

    def note_times_lost(self) -> None:
        """Record that the destination does not keep modification times."""
        if self._record.keeps_times:
            self._update(keeps_times=False)

    @property
    def unflushed(self) -> bool:
        """Whether something was written to the destination, by whatever engine, that may not be stored yet."""
        return bool(self._record.boot)

    def note_unflushed(self, device: int) -> None:
        """Record that from now on something is written to the destination: if the power fails, it may be lost.

        Parameters
        ----------
        device : int
            The system's number of the destination's disk; 0 where that is not known.
        """
        if not self._record.boot or device != self._record.device:
            self._update(boot=_boot(), device=device)
            # In a thread: it must be on the disk some time, and that may be busy.
            threading.Thread(target=_flush, args=(self._path,), daemon=True).start()

    def note_flushed(self) -> None:
        """Record that everything which was written is stored."""
        if self._record.boot:
            self._update(boot="")

    def note_failed_flush(self) -> None:
        """Record an error of the destination's disk for targets of this user on it that do not run just now.

        The system tells of what it could not write once. Those that run have asked to be told for themselves.
        """
        with contextlib.suppress(OSError):
            for path in self._path.parent.iterdir() if self._record.device else ():
                if path != self._path:
                    _note_failed_flush_of(path, self._record.device)

    def fileno(self) -> int:
        """Return the descriptor that workers inherit."""
        return self._fd

    def release(self) -> None:
        """Let others have the destination, once the workers have gone, too."""
        self._update()
        os.close(self._fd)


def filled_from(destination: Destination) -> FolderIdentity | None:
    """Return what identifies the folder that this user on this machine filled a destination from last."""
    return _read_record(_lock_path(destination)).folder


def keeps_times(destination: Destination) -> bool:
    """Whether a destination keeps modification times, as far as this user on this machine has found out."""
    return _read_record(_lock_path(destination)).keeps_times


def destination_id(destination: Destination) -> str:
    """Return what a destination is called in the state folder, however its path is spelled."""
    if isinstance(destination, StoreUrl):
        return hashlib.sha256(destination.place.encode()).hexdigest()[:32]
    real = os.path.normcase(os.path.realpath(destination))
    return hashlib.sha256(os.fsencode(real)).hexdigest()[:32]


def manifest_path(destination: Destination) -> Path:
    """Return where it is noted what an object store holds of a destination."""
    return private_folder("manifests") / f"{destination_id(destination)}.sqlite"


def _lock_path(destination: Destination) -> Path:
    return private_folder("locks") / destination_id(destination)


def _read_record(path: Path) -> _Record:
    with contextlib.suppress(OSError), _opened(path, os.O_RDONLY) as fd:
        return _read(fd)
    return _Record()


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    fd = os.open(path, flags | PLAIN)
    try:
        yield fd
    finally:
        os.close(fd)


def _read(fd: int) -> _Record:
    with contextlib.suppress(OSError, ValueError):
        os.lseek(fd, 0, os.SEEK_SET)
        return _Record.model_validate_json(os.read(fd, _SIZE))
    return _Record()


def _write(fd: int, record: _Record) -> None:
    with contextlib.suppress(OSError):  # it helps, but nothing depends on it
        os.lseek(fd, 0, os.SEEK_SET)
        # In one piece: the power may fail amid it.
        os.write(fd, record.model_dump_json(exclude_defaults=True).encode().ljust(_SIZE))


def _boot() -> str:
    """Return what tells this start of the system from all others."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{psutil.boot_time():.0f}"


def _is_same_boot(before: str, now: str) -> bool:
    """Whether these tell of the same start: a time moves when the clock is set, by less than a start takes."""
    if before.isdecimal() and now.isdecimal():
        return abs(int(before) - int(now)) < _BOOT_ERROR
    return before == now


def _flush(path: Path) -> None:
    with contextlib.suppress(OSError), open(path, "r+b") as file:  # not by the descriptor that holds the lock
        os.fsync(file.fileno())


def _note_failed_flush_of(path: Path, device: int) -> None:
    """Note the failed flush of this device for a destination on it that nobody holds now."""
    with contextlib.suppress(OSError), _opened(path, os.O_RDWR) as fd:
        if try_lock(fd):
            owner = _read(fd)
            if owner.device == device and _is_same_boot(owner.boot, _boot()) and owner.reverify_reason is None:
                _write(fd, owner.model_copy(update={"reverify_reason": ReverifyReason.FLUSH_FAILED}))


if sys.platform == "win32":
    import msvcrt

    def try_lock(fd: int) -> bool:
        """Lock an open file for this process and those that inherit it; return whether that could be done."""
        # Windows locks bytes against reading too: one far behind the text that others want to read.
        os.lseek(fd, 1 << 30, os.SEEK_SET)
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        os.lseek(fd, 0, os.SEEK_SET)
        return True
else:
    import fcntl

    def try_lock(fd: int) -> bool:
        """Lock an open file for this process and those that inherit it; return whether that could be done."""
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
