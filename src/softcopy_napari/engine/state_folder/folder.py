"""The state folder: run files that tell front ends where engines are, and ledgers. destination_lock.py has its locks.

Everything in it can be lost without losing data: it is for talking, never for deciding what is copied.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import platformdirs
import psutil
from pydantic import AfterValidator, Field

from softcopy_napari.engine.fs.atomic_write import write_atomically
from softcopy_napari.engine.protocol.connection import is_address
from softcopy_napari.engine.protocol.messages import EngineSnapshot, Message
from softcopy_napari.engine.targets.user_paths import written_path

STATE_FOLDER_VARIABLE = "SOFTCOPY_STATE_DIR"
"""Environment variable that puts the state folder elsewhere."""
_CLOCK_ERROR = 2.0
"""Seconds by which the start of one process may seem to differ: systems count it from when they were started."""
_MAX_SIZE = 1 << 28
"""Bytes of a run file; its last words may be of several hundred thousand arrays."""
_OF_TARGET = ("digests", "remembered")
"""What a target keeps beside its ledgers."""
PLAIN: int = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_REMEDY = f"set the environment variable {STATE_FOLDER_VARIABLE} to a folder of your own"


class StateFolderError(OSError):
    """The state folder cannot be used; the message says why, and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(errno.EACCES, message)

    def __str__(self) -> str:
        return str(self.strerror)


def state_folder() -> Path:
    """The folder, made if need be. Nobody else can change anything in it.

    Raises
    ------
    StateFolderError
        It cannot be made, or others could.
    """
    chosen = os.environ.get(STATE_FOLDER_VARIABLE)
    folder = _chosen_folder(chosen) if chosen else _users_folder()
    _make(folder, 0o022, mend=not chosen)  # a folder that was chosen may be there for other things, too
    return folder


def _chosen_folder(text: str) -> Path:
    try:
        return written_path(text, Path())
    except ValueError as error:
        raise StateFolderError(f"the state folder that {STATE_FOLDER_VARIABLE} names {error}") from None


def _users_folder() -> Path:
    """The folder that the system has for such things in its user's home."""
    with contextlib.suppress(RuntimeError, KeyError, OSError):  # a container's or a service's user may have no home
        folder = platformdirs.user_state_path("softcopy-napari", appauthor=False)
        if folder.is_absolute():
            return folder
    raise StateFolderError(f"there is no place for the state folder, as this user has no home folder; {_REMEDY}")


def private_folder(name: str) -> Path:
    """A folder in the state folder, made if need be, for its user alone."""
    folder = state_folder() / name
    _make(folder, 0o077, mend=True)
    return folder


def runs_folder() -> Path:
    """Where run files are."""
    return private_folder("runs")


@contextlib.contextmanager
def in_state_folder() -> Iterator[None]:
    """Have what goes wrong with a file within this said of the state folder.

    Raises
    ------
    StateFolderError
        In place of any other OSError.
    """
    try:
        yield
    except StateFolderError:
        raise
    except OSError as error:
        raise StateFolderError(
            f"the state folder {state_folder()} cannot be used: {error.strerror}; make room there, or {_REMEDY}"
        ) from None


def _make(folder: Path, others: int, mend: bool) -> None:
    """Make a folder, and see to it that it is its user's alone; `others` is what the rest may not do."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if os.name != "posix":
            return  # it lies in the user's profile, whose access list says so
        found = os.stat(folder)
        if found.st_uid == os.geteuid() and found.st_mode & others and mend and not folder.is_symlink():
            os.chmod(folder, 0o700)
            found = os.stat(folder)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "there is no such path"
        raise StateFolderError(f"the state folder {folder} cannot be used: {reason}; {_REMEDY}") from None
    if found.st_uid != os.geteuid():
        raise StateFolderError(f"the state folder {folder} belongs to another user; {_REMEDY}")
    if found.st_mode & others:
        raise StateFolderError(f"others may change what is in the state folder {folder}; chmod 700 it, or {_REMEDY}")


def open_plain(path: Path) -> int:
    """Open a regular file for reading, as a descriptor; never waits, as it would for the other end of a fifo.

    Raises
    ------
    OSError, ValueError
        It cannot be read, or is a link or no file.
    """
    fd = os.open(path, os.O_RDONLY | PLAIN)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise ValueError("it is no file")
    except BaseException:
        os.close(fd)
        raise
    return fd


def read_plain(path: Path, most: int) -> bytes:
    """Content of a regular file.

    Raises
    ------
    OSError, ValueError
        It cannot be read, is a link or no file, or has more than so many bytes.
    """
    with open(open_plain(path), "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError("it is too large")
    return content


def _is_address(text: str) -> str:
    if not is_address(text):
        raise ValueError("is no address of an engine")
    return text


class RunFile(Message):
    """How to reach a running engine, or how an ended one ended."""

    pid: Annotated[int, Field(gt=0, lt=1 << 31)]
    process_started: Annotated[float, Field(ge=0, lt=1e11)]
    """Tells the engine's process from a later one with the same pid."""
    address: Annotated[str, AfterValidator(_is_address)]
    """Of its local connection."""
    key: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """Hexadecimal; what a front end must know to be let in."""
    last: EngineSnapshot | None = None
    """Set when the engine has ended."""

    def alive(self) -> bool:
        """Whether its engine is still running."""
        return self.last is None and runs_still(self.pid, self.process_started)

    def path(self) -> Path:
        """Where it lies."""
        return runs_folder() / self.name

    @property
    def name(self) -> str:
        """Of the file."""
        return f"{self.pid}-{int(self.process_started)}.json"

    def write(self) -> None:
        """Write it for its user alone, whole or not at all."""
        path = self.path()
        write_atomically(path, self.model_dump_json().encode(), path.with_suffix(".tmp"), flush=False, mode=0o600)


def runs_still(pid: int, started: float) -> bool:
    """Whether a process that began at this time (`psutil`'s `create_time`) has not ended."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) < _CLOCK_ERROR and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def own_start() -> float:
    """When this process began, as `runs_still` is told; asked once, for there may be no file left to ask with."""
    return _start_of(os.getpid())


@lru_cache
def _start_of(pid: int) -> float:
    return psutil.Process(pid).create_time()


def read_run(path: Path) -> RunFile:
    """Read a run file.

    Raises
    ------
    OSError, ValueError
        It cannot be read, or is none.
    """
    run = RunFile.model_validate_json(read_plain(path, _MAX_SIZE))
    if run.name != path.name:
        raise ValueError("it is another engine's")
    return run


def run_files() -> list[RunFile]:
    """All readable run files, of running and ended engines, oldest first."""
    found = []
    for path in sorted(runs_folder().glob("*.json")):
        with contextlib.suppress(OSError, ValueError):
            found.append(read_run(path))
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
    for path in (*runs_folder().glob("*.socket"), *runs_folder().glob("*.tmp")):
        pid = _number(path.name.partition("-")[0].partition(".")[0])
        if pid is None or not psutil.pid_exists(pid):
            with contextlib.suppress(OSError):
                path.unlink()
    kept = [(run.pid, run.process_started) for run in run_files()]
    ledgers = private_folder("ledgers")
    for folder in () if ledgers.is_symlink() else ledgers.iterdir():
        pid, started = map(_number, folder.name.split("-", 1)) if "-" in folder.name else (None, None)
        if pid is None or started is None:
            continue
        of_kept = any(one == pid and abs(when - started) <= _CLOCK_ERROR for one, when in kept)
        # An engine that is just starting has no run file yet.
        if not of_kept and not runs_still(pid, started):
            _remove_ledgers(folder)


def _number(text: str) -> int | None:
    """The number of a process, or of seconds, in a file's name; None where it can be neither."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else None


def _remove_ledgers(folder: Path) -> None:
    """Remove an engine's ledgers, and nothing that anybody else might have put there; no link is followed."""
    with contextlib.suppress(OSError):
        if folder.is_symlink():
            return
        for of_target in folder.iterdir():
            if _number(of_target.name) is not None and not of_target.is_symlink() and of_target.is_dir():
                for path in of_target.iterdir():
                    if path.name in _OF_TARGET or (path.suffix == ".npy" and _number(path.stem) is not None):
                        path.unlink()
                of_target.rmdir()
        folder.rmdir()


def ledger_folder() -> Path:
    """Where this process, an engine, keeps its ledgers: nowhere that an earlier process had them."""
    return private_folder("ledgers") / f"{os.getpid()}-{round(own_start())}"


def find_ledger(path: str) -> Path:
    """Where a ledger is that an engine tells of: in the state folder, wherever a message may say that it is.

    Raises
    ------
    ValueError
        This is no ledger's path.
    """
    parts = path.replace(os.sep, "/").split("/")[-3:]
    folders = [part for name in parts[:-1] for part in name.split("-")]
    digits = [*folders, parts[-1].removesuffix(".npy")]
    if len(digits) != 4 or not parts[-1].endswith(".npy") or None in map(_number, digits):
        raise ValueError(f"{path!r} is no ledger's path")
    return private_folder("ledgers").joinpath(*parts)
