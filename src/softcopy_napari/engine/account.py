"""What the receipt of a complete target says: its facts, and a line for each of its files."""

from __future__ import annotations

import getpass
import logging
import os
import platform
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np

from softcopy_napari import __version__
from softcopy_napari.engine.digests import DIGEST_SIZE
from softcopy_napari.engine.inventory import LINK, Inventory
from softcopy_napari.engine.messages import TargetSnapshot
from softcopy_napari.engine.readback import NO_DIGEST
from softcopy_napari.engine.receipt import ArrayFacts, Receipt, write_receipt
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.targets import Target

_BLOCK = 1 << 16

log = logging.getLogger(__name__)


class Account:
    """The files of a target as they are now; what changes later does not show.

    Parameters
    ----------
    inventory : Inventory
        Its digests must stay as they are while the lines are read, its ledgers as well.
    """

    def __init__(self, inventory: Inventory) -> None:
        self._digests = inventory.digests
        arrived = (ChunkState.COPIED, ChunkState.VERIFIED)
        files = {
            path: self._digests.others.get(path, NO_DIGEST) for path, s in inventory.others.items() if s in arrived
        }
        self.links = sum(digest == LINK for digest in files.values())
        self._others = {path: digest for path, digest in files.items() if digest not in (LINK, NO_DIGEST)}
        self._arrays = [(array, array.layout, array.ledger) for array in inventory.arrays.values()]

    def lines(self) -> Iterator[tuple[bytes, str]]:
        """Every regular file's XXH128 and path, arrays one after the other, each in the order of its chunk grid."""
        yield from ((digest, path) for path, digest in sorted(self._others.items()))
        for array, _, ledger in self._arrays:
            for start in range(0, len(ledger.flat), _BLOCK):
                states = ledger.flat[start : start + _BLOCK]
                cells = np.flatnonzero((states == ChunkState.COPIED) | (states == ChunkState.VERIFIED)) + start
                if not len(cells):
                    continue
                data = self._digests.get(cells + array.first_digest).tobytes()
                digests = [data[at : at + DIGEST_SIZE] for at in range(0, len(data), DIGEST_SIZE)]
                for digest, path in zip(digests, array.paths(cells), strict=True):
                    if digest != LINK:
                        yield digest, path

    def sign(self, destination: Path, marker: str, receipt: Receipt) -> str:
        """Write the receipt, if the destination has its mark: else it would go to a bare mount point.

        Returns
        -------
        str
            Why it could not be written; empty when it was.
        """
        try:
            os.stat(destination / marker)
            log.info("receipt %s", write_receipt(destination, self.lines(), receipt))
        except OSError as error:
            return f"the receipt beside {destination} could not be written: {error.strerror}"
        except Exception:  # a copy that is complete must not hang for that
            log.exception("unexpected error in the receipt of %s", destination)
            return "the receipt could not be written: an error in softcopy itself, which its log describes"
        return ""

    def receipt(self, target: Target, snapshot: TargetSnapshot, because: str, size: int) -> Receipt:
        """The facts.

        Parameters
        ----------
        target : Target
        snapshot : TargetSnapshot
            Of the target, now.
        because : str
            How it was decided that the acquisition was finished.
        size : int
            Bytes of all regular files.
        """
        return Receipt(
            software=f"softcopy-napari {__version__}",
            # platform.platform() would run another program, to ask it for the processor.
            system=f"Python {platform.python_version()}, {platform.system()} {platform.release()} {platform.machine()}",
            host=platform.node(),
            user=_user(),
            source=snapshot.source,
            destination=snapshot.destination,
            started=_when(snapshot.started),
            finished=_when(time.time()),
            finished_because=because,
            verified=target.verify,
            links=self.links,
            bytes=size,
            chunk_files=snapshot.chunk_files_copied,
            never_written=snapshot.chunk_files_absent,
            failures=tuple(f"{failure.path} {failure.reason}" for failure in snapshot.failures),
            notes=snapshot.notices,
            arrays=tuple(
                ArrayFacts(
                    path=array.path,
                    shape=array.shape,
                    chunk_file_shape=array.chunk_shape,
                    dtype=array.dtype,
                    chunk_files=sum(array.counts),
                    never_written=array.counts[ChunkState.ABSENT],
                )
                for array in snapshot.arrays
            ),
        )


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user may have no name
        return ""


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")
