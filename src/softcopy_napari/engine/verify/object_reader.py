"""Reads objects of a destination in a store, and files of its source, and tells whether they are right.

A reader for each thread, as content_reader.py has for folders.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from softcopy_napari.engine.fs.file_times import is_same_version
from softcopy_napari.engine.fs.files import extended_path
from softcopy_napari.engine.fs.root_folder import RootFolder
from softcopy_napari.engine.object_store.object_manifest import KnownObject
from softcopy_napari.engine.object_store.store_connection import StoreConnection
from softcopy_napari.engine.verify.content_reader import ATTEMPTS, identify
from softcopy_napari.engine.worker.content_checker import CheckOutcome, CheckResult, why_not_comparable
from softcopy_napari.engine.worker.file_streams import BUFFER_SIZE
from softcopy_napari.engine.worker.side_reader import ItemKind, SideReader
from softcopy_napari.engine.worker.sides.object_check import check_object

Item = tuple[str, bytes, "KnownObject | None"]
"""A path, the digest that it should have, and what the manifest says of the object."""


class ObjectReader:
    """Checks objects by content.

    Parameters
    ----------
    store : StoreConnection
    source : Path or None
        The folder with which they are compared; None where digests are known.
    go_on : callable
        Called with the bytes of each block that was read; false stops the check, and so does what it raises.

    Raises
    ------
    OSError
        The source cannot be looked at.
    """

    def __init__(self, store: StoreConnection, source: Path | None, go_on: Callable[[int], bool]) -> None:
        self._store, self._go_on = store, go_on
        self._source = None if source is None else RootFolder(extended_path(str(source)))
        self._identity = (0, 0) if source is None else identify(str(source))
        self._reader = SideReader(memoryview(bytearray(BUFFER_SIZE)), lambda _: go_on(0), ATTEMPTS)

    def check(self, batch: Iterable[Item]) -> Iterator[tuple[str, CheckResult]]:
        """Check objects; where there is a source, the digests that they should have are its own.

        Raises
        ------
        StoreError
            Nothing can be read from the store any more.
        OSError
            The source has gone, or is another folder (`WrongFolder`); its `filename` is the folder.
        """
        with contextlib.ExitStack() as held:
            if self._source is not None:
                self._source.open(self._identity)
                held.callback(self._source.close)
            for path, digest, known in batch:
                if self._source is None:
                    yield path, check_object(self._store, path, digest, known, self._go_on)
                else:
                    yield path, self._compare(self._source, path, known)

    def _compare(self, source: RootFolder, path: str, known: KnownObject | None) -> CheckResult:
        for _ in range(ATTEMPTS):
            here = self._reader.read(source, path, past_cache=False)
            if here.kind is ItemKind.MOVING:
                continue
            if here.kind is ItemKind.LINK:
                return CheckResult(CheckOutcome.LINK)
            if (refused := why_not_comparable(here)) is not None:
                return refused
            result = check_object(self._store, path, here.digest, known, self._go_on)
            if result.outcome not in (CheckOutcome.CHANGED, CheckOutcome.MISSING):
                return result
            with contextlib.suppress(OSError):
                if here.stats is not None and is_same_version(here.stats, source.stat(path)):
                    if result.outcome is CheckOutcome.CHANGED and result.size < here.size:
                        detail = f"{result.size:,} of {here.size:,} bytes"
                        return result._replace(outcome=CheckOutcome.TRUNCATED, detail=detail)
                    return result
        return CheckResult(CheckOutcome.MOVING, detail="at the source")
