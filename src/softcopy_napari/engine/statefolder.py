"""The state folder: run files that tell front ends where engines are, destination locks, ledgers.

Everything in it can be lost without losing data: it is for talking, never for deciding what is copied.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

import platformdirs
import psutil

from softcopy_napari.engine.messages import EngineSnapshot, Message

STATE_FOLDER_VARIABLE = "SOFTCOPY_STATE_DIR"
"""Environment variable that puts the state folder elsewhere."""
_CLOCK_ERROR = 2.0
"""Seconds by which the start of one process may seem to differ: systems count it from when they were started."""


def state_folder() -> Path:
    """The folder, made if need be, for its user alone."""
    chosen = os.environ.get(STATE_FOLDER_VARIABLE)
    folder = Path(chosen) if chosen else platformdirs.user_state_path("softcopy-napari", appauthor=False)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


class RunFile(Message):
    """How to reach a running engine, or how an ended one ended."""

    pid: int
    process_started: float
    """Tells the engine's process from a later one with the same pid."""
    address: str
    """Of its local connection."""
    key: str
    """Hexadecimal; what a front end must know to be let in."""
    last: EngineSnapshot | None = None
    """Set when the engine has ended."""

    def alive(self) -> bool:
        """Whether its engine is still running."""
        return self.last is None and _runs_still(self.pid, self.process_started)

    def path(self) -> Path:
        """Where it lies."""
        return _runs() / f"{self.pid}-{int(self.process_started)}.json"

    def write(self) -> None:
        """Write it for its user alone, whole or not at all."""
        path = self.path()
        temporary = path.with_suffix(".tmp")
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(fd, "wb") as file:
            file.write(self.model_dump_json().encode())
        temporary.replace(path)


def _runs_still(pid: int, started: float) -> bool:
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) < _CLOCK_ERROR and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _runs() -> Path:
    folder = state_folder() / "runs"
    folder.mkdir(exist_ok=True, mode=0o700)
    return folder


def run_files() -> list[RunFile]:
    """All readable run files, of running and ended engines, oldest first."""
    found = []
    for path in sorted(_runs().glob("*.json")):
        with contextlib.suppress(OSError, ValueError):
            found.append(RunFile.model_validate_json(path.read_bytes()))
    return sorted(found, key=lambda run: run.process_started)


def clean_up(keep: int = 20) -> None:
    """Remove what engines left that ended or died, but for the last few ends and their ledgers."""
    ended = []
    for run in run_files():
        if run.alive():
            continue
        if run.last is None:
            run.path().unlink(missing_ok=True)
        else:
            ended.append(run)
    for run in ended[: max(0, len(ended) - keep)]:
        run.path().unlink(missing_ok=True)
    for path in (*_runs().glob("*.socket"), *_runs().glob("*.tmp")):
        pid = path.name.partition("-")[0].partition(".")[0]
        if not (pid.isdigit() and psutil.pid_exists(int(pid))):
            path.unlink(missing_ok=True)
    kept = [(run.pid, run.process_started) for run in run_files()]
    ledgers = state_folder() / "ledgers"
    for folder in ledgers.iterdir() if ledgers.is_dir() else ():
        pid, _, started = folder.name.partition("-")
        if not (pid.isdigit() and started.isdigit()):
            continue
        of_kept = any(one == int(pid) and abs(when - int(started)) <= _CLOCK_ERROR for one, when in kept)
        # An engine that is just starting has no run file yet.
        if not of_kept and not _runs_still(int(pid), int(started)):
            shutil.rmtree(folder, ignore_errors=True)


def ledger_folder() -> Path:
    """Where this process, an engine, keeps its ledgers: nowhere that an earlier process had them."""
    return state_folder() / "ledgers" / f"{os.getpid()}-{round(psutil.Process().create_time())}"


class DestinationBusy(Exception):
    """Another engine is filling or checking the destination."""

    def __init__(self, destination: str, pid: int, doing: str) -> None:
        self.pid = pid
        who = f"softcopy process {pid}" if pid else "another softcopy process"
        super().__init__(f"{destination} is being {doing} by {who}: stop that one first (softcopy stop)")


class DestinationLock:
    """Holds a destination for one engine and its workers, for as long as any of them lives.

    On POSIX systems the workers inherit the lock (`fileno`): should the engine be killed, the next one
    waits until the last of its workers has gone, so that no old copy lands on top of a newer one.

    Parameters
    ----------
    destination : Path
    doing : str
        What is being done to it, for the others' users: "filled" or "checked".

    Raises
    ------
    DestinationBusy
        Another process has it.
    """

    def __init__(self, destination: Path, doing: str = "filled") -> None:
        real = os.path.normcase(os.path.realpath(destination))
        folder = state_folder() / "locks"
        folder.mkdir(exist_ok=True, mode=0o700)
        path = folder / hashlib.sha256(os.fsencode(real)).hexdigest()[:32]
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(self._fd)
        except OSError:
            owner, doing = _read_owner(self._fd)
            os.close(self._fd)
            raise DestinationBusy(str(destination), owner, doing) from None
        os.ftruncate(self._fd, 0)
        os.write(self._fd, json.dumps({"pid": os.getpid(), "doing": doing}).encode())

    def fileno(self) -> int:
        """The descriptor that workers inherit."""
        return self._fd

    def release(self) -> None:
        """Let others have it (once the workers have gone, too)."""
        os.close(self._fd)


def _read_owner(fd: int) -> tuple[int, str]:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        os.lseek(fd, 0, os.SEEK_SET)
        owner = json.loads(os.read(fd, 100))
        return int(owner["pid"]), "checked" if owner.get("doing") == "checked" else "filled"
    return 0, "filled"


if sys.platform == "win32":
    import msvcrt

    def _lock(fd: int) -> None:
        # Windows locks bytes against reading too: one far behind the text that others want to read.
        os.lseek(fd, 1 << 30, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        os.lseek(fd, 0, os.SEEK_SET)
else:
    import fcntl

    def _lock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
