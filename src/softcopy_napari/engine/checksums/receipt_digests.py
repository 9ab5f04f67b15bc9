"""Checksums that the receipt of an earlier copy holds: what has not changed since need not be read back.

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

import numpy as np

from softcopy_napari.engine.fs.file_system_type import identify_file_system
from softcopy_napari.engine.fs.hashing import DIGEST_SIZE, NO_DIGEST
from softcopy_napari.engine.inventory.digest_store import DigestStore
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.inventory.tracked_files import Batch
from softcopy_napari.engine.receipt.checksum_file import ReceiptError, read_lines
from softcopy_napari.engine.receipt.receipt import check_unchanged, find_receipt
from softcopy_napari.engine.states import ChunkState

_BLOCK = 4096
"""Lines handed over together."""
_AHEAD = 8
"""Blocks that wait to be taken in at most."""
_WAKE = 0.2

log = logging.getLogger(__name__)


class ReceiptDigests:
    """The checksums of a destination's last receipt, by the cells of arrays.

    All methods are for the job's thread. The receipt is read in another one, for the destination may hang, and may have
    ten million lines.

    Parameters
    ----------
    inventory : Inventory
    destination : Path
    folder : Path
        To keep them in.
    post : callable
        Has something done in the job's thread.

    Attributes
    ----------
    since : int
        When the receipt was written, ns, by the destination's own clock: what has changed there since then is something
        else. 0 while there is none.
    begun, reading : bool
        Whether the receipt has been looked for, and whether it is being read.
    """

    def __init__(
        self, inventory: Inventory, destination: Path, folder: Path, post: Callable[[Callable[[], None]], None]
    ) -> None:
        self.since = 0
        self.begun = self.reading = False
        self._inventory = inventory
        self._destination = destination
        self._post = post
        self._digests = DigestStore(folder / "remembered")
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
            sums, facts = find_receipt(self._destination)
            written = _written(sums, self._destination)
            if facts is not None:
                check_unchanged(sums, self._destination, facts)
                lines = read_lines(sums, self._destination)
                while block := list(itertools.islice(lines, _BLOCK)):
                    while not self._room.acquire(timeout=_WAKE):
                        if self._ended:
                            return
                    self._post(partial(self._take, block))
                since = written
        except (ReceiptError, OSError) as error:
            log.info("no checksums of an earlier copy: %s", error)
        except Exception:  # what is not remembered can be read back
            log.exception("unexpected error in the receipt of %s", self._destination)
        self._post(partial(self._read_all, since))

    def _take(self, block: Sequence[tuple[bytes, str]]) -> None:
        self._room.release()
        if self._ended:
            return
        for folder, group in itertools.groupby(block, lambda line: line[1].rpartition("/")[0]):
            start = len(folder) + 1 if folder else 0
            digests, paths = zip(*group, strict=True)
            data = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, DIGEST_SIZE)
            for files, ids, places in self._inventory.group(folder, [path[start:] for path in paths]):
                known = files.holds_chunks | (files.states(ids) != ChunkState.ABSENT)  # plain ones are kept in memory
                files.put_digests(self._digests, ids[known], data[places[known]].tobytes())

    def _read_all(self, since: int) -> None:
        self.reading = False
        # Some that could not be kept may be older ones: then it is as if there were no receipt.
        self.since = 0 if self._digests.problem else since

    def digests(self, batch: Batch) -> bytes:
        """What is remembered of a batch's files, 16 bytes each; zeros where nothing is."""
        if not self.since:
            return NO_DIGEST * len(batch.paths)
        return batch.files.digests(self._digests, batch.ids).tobytes()

    def close(self) -> None:
        """Forget everything."""
        self._ended = True
        self._digests.close()


def _written(receipt: Path, destination: Path) -> int:
    """When a receipt was written, by the clock that gives files of the destination their times; 0 if by another one."""
    found = os.stat(receipt)
    if found.st_dev != os.stat(destination).st_dev and any(
        identify_file_system(os.fspath(folder)).is_share for folder in (receipt.parent, destination)
    ):
        return 0
    return min(found.st_mtime_ns, found.st_ctime_ns)
