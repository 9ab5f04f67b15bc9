"""Writes a file so that it is there as a whole or not at all: receipts, targets files, run files, checksums."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from functools import partial
from types import TracebackType
from typing import Self

from softcopy_napari.engine.fs.own_files import TEMPORARY_PREFIX, TEMPORARY_SUFFIX


class AtomicFile:
    """A file that is written beside the one whose place it takes once it is whole.

    Within a `with` statement: what has not been published at its end is removed.

    Parameters
    ----------
    path : str or PathLike
        Where it is to be.
    temporary : str or PathLike, optional
        Where it is until then, in the same folder; what is there is removed. By default a name that nobody else has.
    flush : bool
        Whether it must be on the disk before it takes its place, and its place before `publish` returns.
    mode : int
        Permissions, less the umask.

    Raises
    ------
    OSError
        From any method; it names the file, not its temporary.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        temporary: str | os.PathLike[str] | None = None,
        *,
        flush: bool = True,
        mode: int = 0o666,
    ) -> None:
        self._path = os.fspath(path)
        beside = os.path.join(os.path.dirname(path), f"{TEMPORARY_PREFIX}{os.urandom(8).hex()}{TEMPORARY_SUFFIX}")
        self._temporary = os.fspath(temporary or beside)
        self._flush = flush
        with self._naming_the_file():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._temporary)
            self._file = open(self._temporary, "xb", opener=partial(os.open, mode=mode))  # noqa: SIM115

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):
            os.unlink(self._temporary)

    def write(self, data: bytes) -> None:
        """Append data."""
        with self._naming_the_file():
            self._file.write(data)

    def finish(self) -> None:
        """Write out everything: nothing but the name is left to do."""
        with self._naming_the_file():
            if not self._file.closed:
                self._file.flush()
                if self._flush:
                    os.fsync(self._file.fileno())
                self._file.close()

    def publish(self, path: str | os.PathLike[str] | None = None) -> None:
        """Put the file in its place, or in another one in the same folder."""
        self._path = os.fspath(path or self._path)
        self.finish()
        with self._naming_the_file():
            os.replace(self._temporary, self._path)
        if self._flush and os.name == "posix":
            with contextlib.suppress(OSError):  # some network file systems cannot flush folders
                fd = os.open(os.path.dirname(self._path) or ".", os.O_RDONLY)
                try:
                    os.fsync(fd)
                finally:
                    os.close(fd)

    @contextlib.contextmanager
    def _naming_the_file(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.filename in (None, self._temporary):
                error.filename, error.filename2 = self._path, None
            raise


def write_atomically(
    path: str | os.PathLike[str],
    content: bytes,
    temporary: str | os.PathLike[str] | None = None,
    *,
    flush: bool = True,
    mode: int = 0o666,
) -> None:
    """Write a whole file at once, or leave it as it was; the parameters are those of `AtomicFile`."""
    with AtomicFile(path, temporary, flush=flush, mode=mode) as file:
        file.write(content)
        file.publish()
