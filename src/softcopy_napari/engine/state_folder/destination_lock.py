"""Who fills a destination: one engine at a time, and what it leaves word of for the next one.

The lock files lie in the state folder. What they say can be lost: then a copy is known by sizes and times alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from softcopy_napari.engine.reasons import ReasonCode
from softcopy_napari.engine.state_folder.folder import PLAIN, private_folder, state_folder_errors
from softcopy_napari.engine.state_folder.run_file import is_running, own_start_time
from softcopy_napari.engine.zarr_layout.probe import FolderIdentity

_SIZE = 400
"""Bytes of a lock file's words."""
_BOOT_ERROR = 30
_LAST_COPIES = 10.0
"""Seconds that the copy processes of an engine that was killed have to end: they take 1.5, on a busy machine more."""


class DestinationBusy(Exception):
    """Another engine is filling or checking the destination."""

    def __init__(self, destination: str, pid: int, doing: str, has_ended: bool) -> None:
        self.pid = pid
        process = f" (process {pid})" if pid else ""
        who, does = ("a check", "reading") if doing == "checked" else ("another copy", "writing to")
        what = f"{who}{process} is {does} {destination}. Stop it first: softcopy stop"
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


class DestinationLock:
    """Holds a destination for one engine and its workers, for as long as any of them lives.

    On POSIX systems the workers inherit the lock (`fileno`): should the engine be killed, the next one
    waits until the last of its workers has gone, so that no old copy lands on top of a newer one. It waits
    so long as they need to end, and is refused if one is still there then: stuck in a call that does not return.

    Parameters
    ----------
    destination : Path
    doing : str
        What is being done to it, for the others' users: "filled" or "checked".
    end_watch : callable, optional
        Has the engine of this process id let go of the destination, where it is complete and only watched on.

    Raises
    ------
    DestinationBusy
        Another process has it.
    StateFolderError
        There is no room for the lock's file, or its disk knows no locks.
    """

    def __init__(
        self, destination: Path, doing: str = "filled", end_watch: Callable[[int], None] | None = None
    ) -> None:
        path = _lock_path(destination)
        if doing == "checked" and _read_watcher(path):
            path = path.with_name(f"{path.name}-check")  # both only read; of several checks one at a time
        with state_folder_errors():
            self._path = path
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | PLAIN, 0o600)
        try:
            self._acquire(destination, end_watch)
        except BaseException:
            os.close(self._fd)
            raise
        before = _read_owner(self._fd)
        self.reverify_reason = before.reverify_reason
        """Why what an earlier engine copied to it may not be there, though it looks so; None if there is no reason."""
        if before.boot and not _is_same_boot(before.boot, _boot()) and self.reverify_reason is None:
            self.reverify_reason = ReverifyReason.POWER_LOST
        self.ended_cleanly = before.clean_end or not before.pid
        """Whether the engine before, if there was one, ended with all that it copied on record."""
        self._clean_end = before.clean_end and doing == "checked"
        self._doing = doing
        self._folder = before.folder
        self._keeps_times = before.keeps_times
        self._boot = _boot() if before.boot and doing == "filled" else before.boot
        self._device = before.device
        self._note()

    def _acquire(self, destination: Path, end_watch: Callable[[int], None] | None) -> None:
        deadline = time.monotonic() + _LAST_COPIES
        asked = False
        while True:
            with state_folder_errors():
                if _locked(self._fd):
                    return
            owner = _read_owner(self._fd)
            has_ended = owner.pid != 0 and not is_running(owner.pid, owner.started)
            if end_watch is not None and owner.doing == "watched" and not (has_ended or asked):
                asked = True
                end_watch(owner.pid)
            if not (has_ended or asked) or time.monotonic() >= deadline:
                raise DestinationBusy(str(destination), owner.pid, owner.doing, has_ended)
            time.sleep(0.02)

    def note_source(self, folder: FolderIdentity | None) -> None:
        """Leave word of what the destination is filled from: what its source's folder is known by."""
        self._folder = folder
        self._note()

    def note_doing(self, doing: str) -> None:
        """Leave word of what is being done: "filled", "checked", or "watched" once it is complete."""
        self._doing = doing
        self._note()

    def note_clean_end(self, noted: bool) -> None:
        """Leave word of whether all that was copied is on record, so that anything else there is somebody else's."""
        self._clean_end = noted
        self._note()

    def note_reverify_reason(self, reason: ReverifyReason | None) -> None:
        """Leave word for the next engine, and those after it, until one finds everything as it should be."""
        self.reverify_reason = reason
        self._note()

    def note_times_lost(self) -> None:
        """Leave word that the destination does not keep modification times."""
        if self._keeps_times:
            self._keeps_times = False
            self._note()

    @property
    def unflushed(self) -> bool:
        """Whether something was written to the destination, by whatever engine, that may not be stored yet."""
        return bool(self._boot)

    def note_unflushed(self, device: int) -> None:
        """Leave word that from now on something is written to the destination: if the power fails, it may be lost.

        Parameters
        ----------
        device : int
            The system's number of the destination's disk; 0 where that is not known.
        """
        if not self._boot or device != self._device:
            self._boot, self._device = _boot(), device
            self._note()
            # In a thread: it must be on the disk some time, and that may be busy.
            threading.Thread(target=_flush, args=(self._path,), daemon=True).start()

    def note_flushed(self) -> None:
        """Leave word that everything which was written is stored."""
        if self._boot:
            self._boot = ""
            self._note()

    def note_failed_flush(self) -> None:
        """Leave word of an error of the destination's disk for targets of this user on it that do not run just now.

        The system tells of what it could not write once. Those that run have asked to be told for themselves.
        """
        with contextlib.suppress(OSError):
            for path in self._path.parent.iterdir() if self._device else ():
                if path != self._path:
                    _note_failed_flush_of(path, self._device)

    def _note(self) -> None:
        words: dict[str, Any] = {
            "pid": os.getpid(), "started": own_start_time(), "doing": self._doing, "folder": self._folder,
        }  # fmt: skip
        if self.reverify_reason is not None:
            words["doubt"] = self.reverify_reason.name
        if self._boot:
            words |= {"boot": self._boot, "device": self._device}
        if not self._keeps_times:
            words["keeps_times"] = False
        if self._clean_end:
            words["clean_end"] = True
        with contextlib.suppress(OSError):  # it helps, but nothing depends on it
            os.lseek(self._fd, 0, os.SEEK_SET)
            os.write(self._fd, json.dumps(words).encode().ljust(_SIZE))  # in one piece: the power may fail amid it

    def fileno(self) -> int:
        """The descriptor that workers inherit."""
        return self._fd

    def release(self) -> None:
        """Let others have it (once the workers have gone, too)."""
        self._note()
        os.close(self._fd)


def filled_from(destination: Path) -> FolderIdentity | None:
    """What the folder is known by that a destination was filled from last, by this user on this machine."""
    return _owner_of(destination).folder


def keeps_times(destination: Path) -> bool:
    """Whether a destination keeps modification times, as far as this user on this machine has found out."""
    return _owner_of(destination).keeps_times


def _owner_of(destination: Path) -> _Owner:
    try:
        fd = os.open(_lock_path(destination), os.O_RDONLY | PLAIN)
    except OSError:
        return _Owner()
    try:
        return _read_owner(fd)
    finally:
        os.close(fd)


def _read_watcher(path: Path) -> bool:
    """Whether the lock's owner runs, and only watches on after its copy was complete."""
    try:
        fd = os.open(path, os.O_RDONLY | PLAIN)
    except OSError:
        return False
    try:
        owner = _read_owner(fd)
    finally:
        os.close(fd)
    return owner.doing == "watched" and is_running(owner.pid, owner.started)


def destination_id(destination: Path) -> str:
    """What a destination is called in the state folder, however its path is spelled."""
    real = os.path.normcase(os.path.realpath(destination))
    return hashlib.sha256(os.fsencode(real)).hexdigest()[:32]


def _lock_path(destination: Path) -> Path:
    return private_folder("locks") / destination_id(destination)


class _Owner(NamedTuple):
    """What a lock file says."""

    pid: int = 0
    started: float = 0.0
    doing: str = "filled"
    folder: FolderIdentity | None = None
    """What its source's folder is known by."""
    reverify_reason: ReverifyReason | None = None
    boot: str = ""
    """The system's start in which something was written to it that has not been flushed since; empty if all has."""
    device: int = 0
    """The system's number of the disk that it was written to."""
    keeps_times: bool = True
    """Whether the destination keeps modification times, as far as is known."""
    clean_end: bool = False
    """Whether all that was copied to it is on record: no copy process was at work when its engine ended."""


def _boot() -> str:
    """Tells this start of the system from all others."""
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
    with contextlib.suppress(OSError, ValueError):
        fd = os.open(path, os.O_RDWR | PLAIN)
        try:
            if not _locked(fd):
                return
            owner = _read_owner(fd)
            if owner.device == device and _is_same_boot(owner.boot, _boot()) and owner.reverify_reason is None:
                os.lseek(fd, 0, os.SEEK_SET)
                words = {**json.loads(os.read(fd, _SIZE)), "doubt": ReverifyReason.FLUSH_FAILED.name}
                os.lseek(fd, 0, os.SEEK_SET)
                os.write(fd, json.dumps(words).encode().ljust(_SIZE))
        finally:
            os.close(fd)


def _read_owner(fd: int) -> _Owner:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, OverflowError):
        os.lseek(fd, 0, os.SEEK_SET)
        owner = json.loads(os.read(fd, _SIZE))
        folder = owner.get("folder")
        known = (int(folder[0]), int(folder[1])) if isinstance(folder, list) and len(folder) == 2 else None
        doing = str(owner.get("doing"))
        if doing not in ("checked", "watched"):
            doing = "filled"
        reason = ReverifyReason.__members__.get(str(owner.get("doubt")))
        boot, times = str(owner.get("boot") or ""), owner.get("keeps_times") is not False
        device = int(owner.get("device") or 0)
        noted = owner.get("clean_end") is True
        return _Owner(int(owner["pid"]), float(owner["started"]), doing, known, reason, boot, device, times, noted)
    return _Owner()


if sys.platform == "win32":
    import msvcrt

    def _locked(fd: int) -> bool:
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

    def _locked(fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
