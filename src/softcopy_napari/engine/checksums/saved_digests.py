"""Checksums that runs which did not come to their end leave for the next one into the same destination.

They lie in the state folder: for each run a file with the digests of chunk files, beside it one that says
where which array's are, and one with what the destination's own clock said: files that have changed there since are
something else. All are written while files are copied, so that a run that is killed leaves them too. Once a receipt is
written, they are removed.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from softcopy_napari.engine.fs.atomic_write import write_atomically
from softcopy_napari.engine.fs.hashing import DIGEST_SIZE, LINK_DIGEST, NO_DIGEST
from softcopy_napari.engine.inventory.digest_store import DigestStore
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.inventory.ledger import cells_in
from softcopy_napari.engine.inventory.tracked_array import TrackedArray
from softcopy_napari.engine.inventory.tracked_files import Batch
from softcopy_napari.engine.state_folder.destination_lock import destination_id
from softcopy_napari.engine.state_folder.folder import private_folder
from softcopy_napari.engine.zarr_layout.file_names import METADATA_NAMES

_SUFFIX, _INDEX, _CLOCK = ".xxh128", ".json", ".clock"
_INTERVAL = 2.0
"""Seconds between looks whether there are new arrays to be noted."""
_MOST = 16
"""Runs of a destination that are remembered."""
_LONGEST = 90 * 86400.0
"""Seconds for which a destination's are kept."""

log = logging.getLogger(__name__)


class DigestJournal:
    """What this run leaves.

    Parameters
    ----------
    destination : Path

    Attributes
    ----------
    path : Path
        Where the digests of chunk files are to be kept.
    """

    def __init__(self, destination: Path) -> None:
        self._folder = private_folder("digests") / destination_id(destination)
        self.path = self._folder / f"{time.time_ns()}{_SUFFIX}"
        self._noted = 0
        """Places that were allotted when it was noted whose they are."""
        self._next = 0.0
        self._clock = (0, 0)
        """The earliest and the latest time that the destination's own clock has said, ns."""
        self._steady = True
        """Whether that clock has never been set back."""
        _remove_old(self._folder)

    def earlier(self) -> list[SavedDigests]:
        """What earlier runs left, the latest first."""
        runs = {path.stem for path in _files(self._folder)} - {self.path.stem}
        return [SavedDigests(self._folder / f"{run}{_SUFFIX}") for run in sorted(runs, reverse=True)[:_MOST]]

    def note_clock(self, now: int) -> None:
        """Note what the destination's own clock says, when everything that is known of files by now had happened.

        Parameters
        ----------
        now : int
            In ns, as change times of files there; 0 where that is not known.
        """
        if not now:
            return
        earliest, latest = self._clock
        self._steady = self._steady and now >= latest
        self._clock = min(earliest or now, now), now
        words = json.dumps([self._clock[0], now if self._steady else 0])
        with contextlib.suppress(OSError):  # without it, nothing of this run is believed
            self._folder.mkdir(exist_ok=True)
            _write_whole(self.path.with_suffix(_CLOCK), words)

    def note_if_due(self, inventory: Inventory, now: float) -> None:
        """Note every now and then which arrays there are."""
        if now >= self._next:
            self._next = now + _INTERVAL
            allotted = inventory.digests.allotted
            if allotted != self._noted and self._write(inventory, {}):
                self._noted = allotted

    def end(self, inventory: Inventory, complete: bool) -> None:
        """Leave what the next run needs; or nothing, and nothing of earlier ones, where there is a receipt."""
        if not complete:
            self._write(inventory, inventory.digests.others)
            return
        for path in _files(self._folder):
            with contextlib.suppress(OSError):
                path.unlink()
        with contextlib.suppress(OSError):
            self._folder.rmdir()

    def _write(self, inventory: Inventory, others: dict[str, bytes]) -> bool:
        """Note what lies where; returns whether that could be done. If not, the next run reads files back."""
        if not self.path.exists() and not others:
            return False
        arrays = {path: [list(array.ledger.grid), array.first_digest] for path, array in inventory.arrays.items()}
        hexes = {path: digest.hex() for path, digest in others.items() if digest != LINK_DIGEST}
        text = json.dumps({"arrays": arrays, "others": hexes})
        try:
            self._folder.mkdir(exist_ok=True)
            _write_whole(self.path.with_suffix(_INDEX), text)
        except OSError as error:
            log.info("checksums are not kept for a later run: %s", error)
            return False
        return True


class SavedDigests:
    """What an earlier run left; nothing, where it cannot be read.

    Parameters
    ----------
    path : Path
        Its digests; need not be there.

    Attributes
    ----------
    begun, since : int
        What the destination's own clock said at the run's begin, and when it was read last, ns: what has changed there
        since then is something else. 0 where that is not known.
    """

    def __init__(self, path: Path) -> None:
        self.begun = self.since = 0
        self._arrays: dict[str, tuple[tuple[int, ...], int]] = {}
        self._others: dict[str, bytes] = {}
        self._digests = DigestStore(path)
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, OverflowError):
            begun, since = map(_time, json.loads(path.with_suffix(_CLOCK).read_text()))
            self.begun = begun
            found = json.loads(path.with_suffix(_INDEX).read_text())
            self._arrays = {
                str(path): (tuple(map(_number, grid)), _number(first))
                for path, (grid, first) in dict(found["arrays"]).items()
            }
            others = {str(path): bytes.fromhex(digest) for path, digest in dict(found["others"]).items()}
            self._others = {path: digest for path, digest in others.items() if len(digest) == DIGEST_SIZE}
            if path.exists():
                self._digests.open()
            self.since = since

    def has(self, path: str) -> bool:
        """Whether it brought a file that is no chunk file."""
        return path in self._others

    def below(self, folder: str) -> Iterator[tuple[str, int]]:
        """What it brought of a folder, whose name ends in `/`: other files, and arrays with their chunk files."""
        yield from ((path, 1) for path in sorted(self._others) if path.startswith(folder))
        for path, (grid, first) in sorted(self._arrays.items()):
            if f"{path}/".startswith(folder):
                cells = np.arange(first, first + math.prod(grid))
                if count := int(self._digests.get(cells).any(axis=1).sum()):
                    yield path, count

    def digests(self, batch: Batch) -> bytes:
        """What it knew of a batch's files, 16 bytes each; zeros where it knew nothing."""
        if not isinstance(batch.files, TrackedArray):
            return b"".join([self._others.get(path, NO_DIGEST) for path in batch.paths])
        layout = batch.files.layout
        grid, first = self._arrays.get(layout.path, ((), 0))
        if len(grid) != len(layout.grid) or layout.path not in self._arrays:
            return NO_DIGEST * len(batch.paths)
        there, cells = cells_in(grid, batch.ids, layout.grid)
        found = np.zeros((len(there), DIGEST_SIZE), np.uint8)
        found[there] = self._digests.get(cells + first)
        found[(found == LINK_DIGEST[0]).all(axis=1)] = 0
        return found.tobytes()

    def metadata(self) -> dict[str, bytes]:
        """Digests of zarr metadata."""
        return {path: digest for path, digest in self._others.items() if path.rpartition("/")[2] in METADATA_NAMES}

    def close(self) -> None:
        """Let go of its file."""
        self._digests.close(remove=False)


def are_trusted(clock: int, runs: Sequence[tuple[int, int]]) -> list[bool]:
    """Tell which of earlier runs' words can be believed of what has not changed at the destination since.

    Parameters
    ----------
    clock : int
        What the destination's own clock says now, ns; 0 where that is not known.
    runs : sequence of tuple of int and int
        When each run began, and since when its word holds, by that clock; the latest run first.

    Returns
    -------
    list of bool
        Where a later run began before such a time, the clock was set back in between: what has changed since may seem
        to be older than it is.
    """
    trusted = []
    for begun, since in runs:
        trusted.append(0 < since <= clock)
        clock = min(clock, begun)
    return trusted


def _number(value: object) -> int:
    """A number of chunk files, or of one of them."""
    if isinstance(value, int) and 0 <= value < 1 << 40:
        return value
    raise ValueError


def _time(value: object) -> int:
    """A time, ns."""
    if isinstance(value, int) and 0 <= value < 1 << 63:
        return value
    raise ValueError


def _write_whole(path: Path, text: str) -> None:
    write_atomically(path, text.encode(), path.with_suffix(".tmp"), flush=False)


def _files(folder: Path) -> list[Path]:
    """Files of runs in a folder, and nothing that somebody else has put there."""
    with contextlib.suppress(OSError):
        found = [path for path in folder.iterdir() if path.stem.isdecimal() and not path.is_symlink()]
        return [path for path in found if path.suffix in (_SUFFIX, _INDEX, _CLOCK, ".tmp")]
    return []


def _remove_old(mine: Path) -> None:
    """Remove what more runs than are remembered have left here, and what has lain elsewhere for very long."""
    old = sorted(_files(mine))[: -4 * _MOST]
    with contextlib.suppress(OSError):
        for folder in mine.parent.iterdir():
            if folder != mine and not folder.is_symlink() and time.time() - folder.stat().st_mtime > _LONGEST:
                old += _files(folder)
    for path in old:
        with contextlib.suppress(OSError):
            path.unlink()
            path.parent.rmdir()
