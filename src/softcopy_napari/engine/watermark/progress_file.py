"""Where the progress file of a destination lies, whose a file of that name is, and how lines are added to it.

Beside the destination `NAME` it is `NAME.progress.jsonl`; where somebody else has a file of that name,
`NAME.softcopy.progress.jsonl`; and where nothing can lie beside it, `softcopy.progress.jsonl` in it. Everything here
may take as long as the destination's disk hangs.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from softcopy_napari.engine.fs.files import BINARY, NOFOLLOW
from softcopy_napari.engine.fs.own_files import PROGRESS
from softcopy_napari.engine.fs.permissions import AS_FOLDER, mode_beside, share_file
from softcopy_napari.engine.receipt.receipt_files import can_lie_beside, shorten_name
from softcopy_napari.engine.targets.store_url import is_store_url, name_of
from softcopy_napari.engine.watermark.progress_lines import HEAD, LONGEST_LINE, ProgressState

_ENDINGS = (".progress.jsonl", ".softcopy.progress.jsonl")
_BLOCK = 1 << 16
"""Bytes read together; no first line is as long."""


class DestinationAway(OSError):
    """The destination's own mark is not where it should be: this is another disk, or none."""


def possible_progress_files(destination: Path) -> list[Path]:
    """Return each place where a destination may have its progress file; the last one is within it."""
    endings = _ENDINGS if destination.name else ()
    beside = [destination.with_name(shorten_name(destination, ending) + ending) for ending in endings]
    return [*beside, destination / PROGRESS]


def is_progress_file(path: Path, destination: Path) -> bool:
    """Whether a file was begun by this software, for a destination of this name.

    One that is empty, or ends within its first line, holds nothing of anybody's.
    """
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        if stat.S_ISREG(os.lstat(path).st_mode):
            with open(path, "rb") as file:
                first, is_whole, _ = file.read(_BLOCK).partition(b"\n")
            if not is_whole:
                return first[: len(HEAD)] == HEAD[: len(first)]
            if first.startswith(HEAD):
                within = path.parent == destination  # which may be mounted under another name
                return within or _is_name_of(destination.name, str(json.loads(first)["destination"]))
    return False


def _is_name_of(name: str, path: str) -> bool:
    """Whether a path, as any system may spell it, or an address, ends with this name."""
    if is_store_url(path):
        return name_of(path) == name
    return unicodedata.normalize("NFC", path).endswith(unicodedata.normalize("NFC", name))


def find_progress_file(destination: Path) -> Path | None:
    """Return a destination's progress file; None while there is none."""
    return next((path for path in possible_progress_files(destination) if is_progress_file(path, destination)), None)


class ProgressFile:
    """The progress file of one destination, for the engine that fills it.

    Parameters
    ----------
    source, destination : Path
    marker : str
        Name of the file by which the destination is known: without it, this is another disk, or none.
    permissions : str
        The setting of that name.
    group : int
        The group that the file gets; -1 for the usual one.
    """

    def __init__(
        self, source: Path, destination: Path, marker: str, permissions: str = AS_FOLDER, group: int = -1
    ) -> None:
        self._source, self._destination, self._marker = source, destination, marker
        self._permissions, self._group = permissions, group
        self._path: Path | None = None
        self._identity = (0, 0)
        self._size = 0
        self._flushes = True

    def begin(self, line: bytes, anew: bool) -> ProgressState:
        """Begin this engine's part of the file, with its first line; return what the parts of earlier ones say.

        A half line, which an engine that was killed has left, is cut off. If another dataset is copied from now on
        (`anew`), the file is another one.

        Raises
        ------
        OSError
            It cannot be written; a `DestinationAway` if there is no destination.
        """
        self._check_destination()
        before = ProgressState()
        if anew:
            with contextlib.suppress(OSError):  # on Windows somebody may read it: it goes on, then
                self._remove()
        error: OSError | None = None
        mode = mode_beside(self._permissions, self._source, self._destination)
        for path in self._places():
            try:
                with self._opened(path, os.O_CREAT, 0o666 if mode is None else mode) as fd:
                    if os.fstat(fd).st_size == 0:
                        share_file(str(path), mode, self._group)
                    self._read(fd, before)
                    self._add(fd, line, durable=True)
            except PermissionError as refused:  # Windows does not tell beforehand
                error = refused
            else:
                self._path = path
                self._remove(but=path)
                return before
        raise error or FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(self._destination))

    def _check_destination(self) -> None:
        try:
            os.stat(self._destination / self._marker)
        except OSError as error:
            raise DestinationAway(error.errno, error.strerror, str(self._destination)) from None

    def _places(self) -> list[Path]:
        """Return where the file may be, the best first: where nobody else's is."""
        *beside, within = possible_progress_files(self._destination)
        places = beside if can_lie_beside(self._destination) else []
        free = [path for path in places if self._is_mine(path) or not os.path.lexists(path)]
        # The source may have a file of that name: then that is copied there.
        is_taken = os.path.lexists(self._source / PROGRESS) or (os.path.lexists(within) and not self._is_mine(within))
        return free[:1] + ([] if is_taken else [within])

    def _is_mine(self, path: Path) -> bool:
        return is_progress_file(path, self._destination)

    @contextlib.contextmanager
    def _opened(self, path: Path, flags: int = 0, mode: int = 0o666) -> Iterator[int]:
        fd = os.open(path, os.O_RDWR | os.O_APPEND | BINARY | NOFOLLOW | flags, mode)
        try:
            yield fd
        finally:
            os.close(fd)  # now other computers see it, too

    def _read(self, fd: int, state: ProgressState) -> None:
        """Read what is there, and cut off what is no whole line at its end."""
        whole, rest = 0, b""
        os.lseek(fd, 0, os.SEEK_SET)
        while block := os.read(fd, _BLOCK):
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                whole += len(line) + 1
                state.apply_line(line)
            if len(rest) > LONGEST_LINE:  # nothing of ours
                break
        if rest:
            os.ftruncate(fd, whole)
        found = os.fstat(fd)
        self._identity, self._size = (found.st_dev, found.st_ino), whole
        with contextlib.suppress(OSError):  # a flush of the source's own disk has its writer wait
            self._flushes = os.stat(self._source).st_dev != found.st_dev

    def add(self, lines: bytes, durable: bool) -> None:
        """Add whole lines; `durable` ones are on the disk when this returns, unless that is the source's.

        Raises
        ------
        OSError
            They cannot be written, and none of them is there; or the file has gone, or is another one.
        """
        assert self._path is not None
        with self._opened(self._path) as fd:
            found = os.fstat(fd)
            if (found.st_dev, found.st_ino) != self._identity or found.st_size != self._size:
                raise FileNotFoundError(errno.ENOENT, "somebody has changed it", str(self._path))
            self._add(fd, lines, durable)

    def _add(self, fd: int, lines: bytes, durable: bool) -> None:
        try:
            written = os.write(fd, lines)
            if written < len(lines):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
            if durable and self._flushes:
                os.fsync(fd)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(fd, self._size)
            raise
        self._size += written

    @property
    def due_in(self) -> float | None:
        """Seconds until `store_late` is to be called; None where all lines are where others see them."""
        return None

    def store_late(self) -> None:
        """Put lines where others see them that nobody waited for."""

    def close(self) -> None:
        """Make sure that all lines are where others see them: they are."""

    def remove(self) -> None:
        """Take back everything that the file says, by removing it.

        Raises
        ------
        OSError
            It is still there, or may be: a `DestinationAway` if there is no destination.
        """
        self._check_destination()
        self._remove()

    def _remove(self, but: Path | None = None) -> None:
        """Remove all progress files of this destination but one."""
        for path in possible_progress_files(self._destination):
            if path != but and self._is_mine(path):
                path.unlink()
