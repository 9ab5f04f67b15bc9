"""Reads the digests that the receipt of an earlier copy lists: files that have not changed since need not be read back.

They are those of what the source held when it was copied, so that they are better than new ones: of a file that its
disk has changed meanwhile, a new one would only say what it has become.
"""

from __future__ import annotations

import itertools
import logging
import os
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from softcopy_napari.engine.checksums.known_digests import KnownDigests
from softcopy_napari.engine.fs.file_system_type import identify_file_system
from softcopy_napari.engine.fs.relative_paths import parent, prefix_of
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.inventory.tracked_array import TrackedArray
from softcopy_napari.engine.receipt.checksum_file import ReceiptError, read_lines
from softcopy_napari.engine.receipt.receipt import find_unchanged_receipt
from softcopy_napari.engine.state_folder.ledger_folders import RECEIPT_DIGESTS
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.zarr_layout.file_names import is_named_like_chunk

_BLOCK = 4096
"""Lines handed over together."""
_AHEAD = 8
"""Blocks that wait to be taken in at most."""
_WAKE = 0.2

log = logging.getLogger(__name__)


class ReceiptReader:
    """Reads a destination's last receipt.

    All methods are for the job's thread. The receipt is read in another one, for the destination may hang, and may have
    ten million lines.

    Parameters
    ----------
    inventory : Inventory
        Says which files are chunk files, and of which arrays.
    destination : Path
    folder : Path
        Where the digests are kept.
    post : callable
        Has something done in the job's thread.

    Attributes
    ----------
    known : KnownDigests
        What the receipt lists; trusted once all of it has been read.
    begun, reading : bool
        Whether the receipt has been looked for, and whether it is being read.
    """

    def __init__(
        self, inventory: Inventory, destination: Path, folder: Path, post: Callable[[Callable[[], None]], None]
    ) -> None:
        self.known = KnownDigests(folder / RECEIPT_DIGESTS)
        self.begun = self.reading = False
        self._inventory = inventory
        self._destination = destination
        self._post = post
        self._room = threading.Semaphore(_AHEAD)
        self._ended = False

    def begin(self) -> None:
        """Look for a receipt, and read it."""
        self.begun = True
        self.reading = True
        threading.Thread(target=self._read, name="receipt", daemon=True).start()

    def _read(self) -> None:
        since = 0
        try:
            sums, facts = find_unchanged_receipt(self._destination)
            if facts is not None:
                written = _written(sums, self._destination)
                lines = read_lines(sums, self._destination)
                while block := list(itertools.islice(lines, _BLOCK)):
                    while not self._room.acquire(timeout=_WAKE):
                        if self._ended:
                            return
                    self._post(partial(self._add_lines, block))
                since = written
                self.known.whole = not facts.damaged_files.count
        except (ReceiptError, OSError) as error:
            log.info("no checksums of an earlier copy: %s", error)
        except Exception:  # what is not known can be read back
            log.exception("unexpected error in the receipt of %s", self._destination)
        self._post(partial(self._finish, since))

    def _add_lines(self, block: Sequence[tuple[bytes, str]]) -> None:
        self._room.release()
        if self._ended:
            return
        left = list(block)
        while left:
            folder = parent(left[0][1])
            home = self._inventory.find_array(folder)
            top = folder if home is None else home[0].layout.path
            run = list(itertools.takewhile(partial(_lies_in, top), left))
            del left[: len(run)]
            if home is not None:
                run = self._add_chunk_files(home[0], run)
            for below, group in itertools.groupby(run, lambda line: parent(line[1])):
                self._add_files(below, list(group))

    def _add_chunk_files(self, array: TrackedArray, lines: list[tuple[bytes, str]]) -> list[tuple[bytes, str]]:
        """Add the chunk files of an array among some lines, if they can be read together; return the other lines."""
        start = len(array.prefix)
        chunks = [line for line in lines if is_named_like_chunk(line[1][start:]) or line[1].startswith("c/", start)]
        cells = array.layout.flat_indices_of("", [path[start:] for _, path in chunks])
        if cells is None:
            return lines
        array.put_digests(self.known.store, cells, b"".join(digest for digest, _ in chunks))
        added = set(chunks)
        return [line for line in lines if line not in added] if len(chunks) < len(lines) else []

    def _add_files(self, folder: str, lines: list[tuple[bytes, str]]) -> None:
        start = len(prefix_of(folder))
        for files, ids, places in self._inventory.group_files(folder, [path[start:] for _, path in lines]):
            seen = files.states(ids) != ChunkState.ABSENT  # the others would cost memory
            found = b"".join([lines[place][0] for place in places[seen].tolist()])
            files.put_digests(self.known.store, ids[seen], found)

    def _finish(self, since: int) -> None:
        self.reading = False
        # Some that could not be kept may be older ones: then it is as if there were no receipt.
        self.known.since = 0 if self.known.store.problem else since

    def close(self) -> None:
        """Stop reading."""
        self._ended = True


def _lies_in(folder: str, line: tuple[bytes, str]) -> bool:
    """Whether a line's file lies in a folder or below it."""
    return line[1].startswith(prefix_of(folder))


def _written(receipt: Path, destination: Path) -> int:
    """Return when a receipt was written, by the clock of the destination's files; 0 if that is not known."""
    found = os.stat(receipt)
    if found.st_dev != os.stat(destination).st_dev and any(
        identify_file_system(os.fspath(folder)).is_share for folder in (receipt.parent, destination)
    ):
        return 0
    return min(found.st_mtime_ns, found.st_ctime_ns)
