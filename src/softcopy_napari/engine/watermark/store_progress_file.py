"""The progress file of a destination in an object store: a local file, which is an object there, too.

An object cannot grow: it is stored anew, as a whole. Lines that nobody waits for are stored with later ones, so that
this takes a small share of the time however large the file has become.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from softcopy_napari.engine.object_store.store_errors import StoreError
from softcopy_napari.engine.receipt.files_beside_store import FilesBesideStore
from softcopy_napari.engine.targets.store_url import StoreUrl
from softcopy_napari.engine.watermark.progress_file import DestinationAway, ProgressFile, possible_progress_files
from softcopy_napari.engine.watermark.progress_lines import ProgressState

_PAUSE = 1.0
"""Seconds between two objects at least."""
_RETRY = 10.0
"""Seconds after which lines are stored once more that could not be stored."""
_SHARE = 20
"""The pause is so many times as long as the last request took."""


class StoreProgressFile(ProgressFile):
    """The progress file of one destination in a store, for the engine that fills it.

    Parameters
    ----------
    source : Path
    url : StoreUrl
    """

    def __init__(self, source: Path, url: StoreUrl) -> None:
        self._files = FilesBesideStore(url)
        super().__init__(source, self._files.destination, "")
        self._next = 0.0
        self._unpublished = False

    def begin(self, line: bytes, anew: bool) -> ProgressState:
        """Begin this engine's part of the file, see `ProgressFile.begin`."""
        *beside, _ = possible_progress_files(self._destination)
        self._ask(lambda: self._files.fetch(beside))
        before = super().begin(line, anew)
        self._publish()
        return before

    def add(self, lines: bytes, durable: bool) -> None:
        """Add lines, see `ProgressFile.add`."""
        super().add(lines, durable)
        self._unpublished = True
        if durable or time.monotonic() >= self._next:
            self._publish()

    @property
    def due_in(self) -> float | None:
        """Seconds until `store_late` is to be called; None where everything has been stored."""
        return max(0.0, self._next - time.monotonic()) if self._unpublished else None

    def store_late(self) -> None:
        """Store lines that nobody waited for, as no others have come with which they could be stored."""
        try:
            self._publish()
        except OSError:  # whoever adds lines hears of it; else it is tried again
            self._next = time.monotonic() + _RETRY

    def close(self) -> None:
        """Store what has not been stored yet."""
        if self._unpublished:
            self._publish()

    def _publish(self) -> None:
        assert self._path is not None
        path, began = self._path, time.monotonic()
        self._ask(lambda: self._files.publish(path))
        ended = time.monotonic()
        self._next = ended + max(_PAUSE, _SHARE * (ended - began))
        self._unpublished = False

    def _remove(self, but: Path | None = None) -> None:
        *beside, _ = possible_progress_files(self._destination)
        for path in beside:
            if path != but and self._is_mine(path):
                self._ask(lambda: self._files.remove(path))  # noqa: B023
        self._unpublished = False

    @staticmethod
    def _ask(request: Callable[[], None]) -> None:
        try:
            request()
        except StoreError as error:
            if error.kind is None:
                raise
            raise DestinationAway(error.errno, error.strerror) from None

    def _check_destination(self) -> None:
        pass  # each request tells
