"""Keeps this run's digests in the state folder, for the next run into the same destination if this one does not end.

For each run there is a file with the digests of chunk files, beside it one that says where which array's are, and one
with what the destination's own clock said: files that have changed there since are something else. All are written
while files are copied, so that a run that is killed leaves them too. Once a receipt is written, they are removed.
"""

from __future__ import annotations

import contextlib
import json
import logging
import time
from pathlib import Path

from softcopy_napari.engine.checksums.known_digests import KnownDigests
from softcopy_napari.engine.fs.atomic_write import write_atomically
from softcopy_napari.engine.fs.hashing import DIGEST_SIZE, LINK_DIGEST
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.state_folder.destination_lock import destination_id
from softcopy_napari.engine.state_folder.folder import private_folder
from softcopy_napari.engine.targets.store_url import Destination

_SUFFIX, _INDEX, _CLOCK, _TEMPORARY = ".xxh128", ".json", ".clock", ".tmp"
_INTERVAL = 2.0
"""Seconds between looks whether there are new arrays to be noted."""
_MOST = 16
"""Runs of a destination that are remembered."""
_LONGEST = 90 * 86400.0
"""Seconds for which a destination's are kept."""

log = logging.getLogger(__name__)


class DigestJournal:
    """The files that this run leaves, and those that earlier ones have left.

    Attributes
    ----------
    path : Path
        Where the digests of chunk files are to be kept.
    """

    def __init__(self, destination: Destination) -> None:
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

    def read_earlier_runs(self) -> list[KnownDigests]:
        """Read what earlier runs left, the latest first."""
        runs = {path.stem for path in _files(self._folder)} - {self.path.stem}
        return [read_run(self._folder / f"{run}{_SUFFIX}") for run in sorted(runs, reverse=True)[:_MOST]]

    def forget_earlier_runs(self) -> None:
        """Remove what earlier runs left: they copied another dataset."""
        for path in _files(self._folder):
            if path.stem != self.path.stem:
                with contextlib.suppress(OSError):
                    path.unlink()

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
        text = json.dumps([self._clock[0], now if self._steady else 0])
        with contextlib.suppress(OSError):  # without it, nothing of this run is believed
            self._write_file(_CLOCK, text)

    def note_if_due(self, inventory: Inventory, now: float) -> None:
        """Note every now and then which arrays there are."""
        if now >= self._next:
            self._next = now + _INTERVAL
            allotted = inventory.digests.allotted
            if allotted != self._noted and self._write_index(inventory, {}):
                self._noted = allotted

    def end(self, inventory: Inventory, complete: bool) -> None:
        """Leave what the next run needs; or nothing, and nothing of earlier ones, where there is a receipt."""
        if not complete:
            self._write_index(inventory, inventory.digests.others)
            return
        for path in _files(self._folder):
            with contextlib.suppress(OSError):
                path.unlink()
        with contextlib.suppress(OSError):
            self._folder.rmdir()

    def _write_index(self, inventory: Inventory, others: dict[str, bytes]) -> bool:
        """Note what lies where; returns whether that could be done. If not, the next run reads files back."""
        if not self.path.exists() and not others:
            return False
        hexes = {path: digest.hex() for path, digest in others.items() if digest != LINK_DIGEST}
        text = json.dumps({"arrays": inventory.digests.arrays, "others": hexes})
        try:
            self._write_file(_INDEX, text)
        except OSError as error:
            log.info("checksums are not kept for a later run: %s", error)
            return False
        return True

    def _write_file(self, suffix: str, text: str) -> None:
        self._folder.mkdir(exist_ok=True)
        write_atomically(self.path.with_suffix(suffix), text.encode(), self.path.with_suffix(_TEMPORARY), flush=False)


def read_run(path: Path) -> KnownDigests:
    """Read what an earlier run left; nothing is known where it cannot be read.

    Parameters
    ----------
    path : Path
        Where its digests of chunk files are; need not be there.
    """
    run = KnownDigests(path)
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, OverflowError):
        run.begun, since = (_whole(time, 63) for time in json.loads(path.with_suffix(_CLOCK).read_text()))
        found = json.loads(path.with_suffix(_INDEX).read_text())
        arrays = {
            str(path): (tuple(_whole(size, 40) for size in grid), _whole(first, 40))
            for path, (grid, first) in dict(found["arrays"]).items()
        }
        others = {str(path): bytes.fromhex(digest) for path, digest in dict(found["others"]).items()}
        run.store.arrays = arrays
        run.store.others = {path: digest for path, digest in others.items() if len(digest) == DIGEST_SIZE}
        if path.exists():
            run.store.open()
        run.since = since
    return run


def _whole(value: object, bits: int) -> int:
    """Return a value from a file if it is a whole number of so many bits."""
    if isinstance(value, int) and 0 <= value < 1 << bits:
        return value
    raise ValueError


def _files(folder: Path) -> list[Path]:
    """Return the files of runs in a folder, and nothing that somebody else has put there."""
    with contextlib.suppress(OSError):
        found = [path for path in folder.iterdir() if path.stem.isdecimal() and not path.is_symlink()]
        return [path for path in found if path.suffix in (_SUFFIX, _INDEX, _CLOCK, _TEMPORARY)]
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
