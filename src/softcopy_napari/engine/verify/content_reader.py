"""Reads files of a destination, and of its source, and tells whether they are right: a reader for each thread."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence

from softcopy_napari.engine.fs.files import extended_path
from softcopy_napari.engine.fs.root_folder import RootFolder
from softcopy_napari.engine.worker.content_checker import CheckResult, ContentChecker

_BUFFER = 4 << 20
ATTEMPTS = 3
"""How often a file is read that is replaced while it is read."""


class ContentReader:
    """Checks files by content.

    Parameters
    ----------
    destination : str
    source : str or None
        The folder with which it is compared; None where digests are known.
    identities : sequence of tuple of int and int
        Device and inode of the destination, and of the source: all would be missing from an empty mount point.
    go_on : callable
        Called with the bytes of each block that was read; false stops the check, and so does what it raises.
    """

    def __init__(
        self,
        destination: str,
        source: str | None,
        identities: Sequence[tuple[int, int]],
        go_on: Callable[[int], bool],
    ) -> None:
        self._places = [RootFolder(root) for root in (destination, source) if root is not None]
        self._identities = identities
        here = self._places[1] if source is not None else None
        self._checker = ContentChecker(here, self._places[0], memoryview(bytearray(_BUFFER)), go_on, ATTEMPTS)

    def check(self, batch: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, CheckResult]]:
        """Check files, each with the digest that it should have; empty where it is compared with the source.

        Raises
        ------
        OSError
            A folder has gone, or is another one (`WrongFolder`); its `filename` is the folder.
        """
        with contextlib.ExitStack() as held:
            for place, identity in zip(self._places, self._identities, strict=True):
                place.open(identity)
                held.callback(place.close)
            for path, digest in batch:
                if digest:
                    yield path, self._checker.compare_with_digest(path, digest)
                else:
                    yield path, self._checker.compare_with_source(path)


def identify(root: str) -> tuple[int, int]:
    """Return device and inode of a folder.

    Raises
    ------
    OSError
        It cannot be looked at.
    """
    found = os.stat(extended_path(root))
    return found.st_dev, found.st_ino
