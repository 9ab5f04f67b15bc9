"""The state folder, in which engines leave word for front ends: where it is, and that it is its user's alone.

Everything in it can be lost without losing data: it is for talking, never for deciding what is copied.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import platformdirs

from softcopy_napari.engine.targets.user_paths import written_path

STATE_FOLDER_VARIABLE = "SOFTCOPY_STATE_DIR"
"""Environment variable that puts the state folder elsewhere."""
PLAIN: int = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_REMEDY = f"set the environment variable {STATE_FOLDER_VARIABLE} to a folder of your own"


class StateFolderError(OSError):
    """The state folder cannot be used; the message says why, and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(errno.EACCES, message)

    def __str__(self) -> str:
        return str(self.strerror)


def state_folder() -> Path:
    """Return the state folder, made if need be. Nobody else can change anything in it.

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
    """Return the folder that the system provides in the user's home."""
    with contextlib.suppress(RuntimeError, KeyError, OSError):  # a container's or a service's user may have no home
        folder = platformdirs.user_state_path("softcopy-napari", appauthor=False)
        if folder.is_absolute():
            return folder
    raise StateFolderError(f"there is no place for the state folder, as this user has no home folder; {_REMEDY}")


def private_folder(name: str) -> Path:
    """Return a folder in the state folder, made if need be, that only its user can read."""
    folder = state_folder() / name
    _make(folder, 0o077, mend=True)
    return folder


def runs_folder() -> Path:
    """Return the folder of the run files."""
    return private_folder("runs")


@contextlib.contextmanager
def state_folder_errors() -> Iterator[None]:
    """Report errors with files as errors of the state folder.

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
    """Make a folder that is its user's alone.

    Parameters
    ----------
    folder : Path
    others : int
        Permission bits that nobody else may have.
    mend : bool
        Whether permissions that are too wide are narrowed, and not refused.
    """
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


def open_regular_file(path: Path) -> int:
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


def read_regular_file(path: Path, most: int) -> bytes:
    """Read a regular file.

    Raises
    ------
    OSError, ValueError
        It cannot be read, is a link or no file, or has more than so many bytes.
    """
    with open(open_regular_file(path), "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError("it is too large")
    return content
