"""What the receipt of a complete target says: its facts, and a line for each of its files."""

from __future__ import annotations

import getpass
import logging
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from softcopy_napari import __version__
from softcopy_napari.engine.fs.hashing import LINK_DIGEST, NO_DIGEST, split_digests
from softcopy_napari.engine.fs.own_files import run_of_temporary
from softcopy_napari.engine.fs.permissions import share_file
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.inventory.tracked_array import TrackedArray
from softcopy_napari.engine.object_store.manifest_object import write_manifest
from softcopy_napari.engine.object_store.object_manifest import ObjectManifest
from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.receipt.files_beside_store import FilesBesideStore
from softcopy_napari.engine.receipt.receipt import SOFTWARE, ArrayFacts, Paths, Receipt, write_receipt
from softcopy_napari.engine.receipt.receipt_files import facts_path, possible_receipt_files
from softcopy_napari.engine.state_folder.destination_lock import manifest_path
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.targets.store_url import Destination
from softcopy_napari.engine.targets.target import Target
from softcopy_napari.engine.wording import describe
from softcopy_napari.engine.zarr_layout.array_layout import ArrayLayout

_BLOCK = 1 << 13

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _ArrayFiles:
    """The chunk files of an array that had arrived, however it is resized meanwhile."""

    layout: ArrayLayout
    first_digest: int
    arrived: npt.NDArray[np.uint8]
    """A bit for each chunk file."""

    @classmethod
    def of(cls, array: TrackedArray, first_digest: int, damaged: npt.NDArray[np.int64]) -> _ArrayFiles:
        states = array.ledger.flat
        blocks = []
        for start in range(0, len(states), _BLOCK):
            part = states[start : start + _BLOCK]
            arrived = (part == ChunkState.COPIED) | (part == ChunkState.VERIFIED)
            arrived[damaged[(damaged >= start) & (damaged < start + _BLOCK)] - start] = True  # copied as they are
            blocks.append(np.packbits(arrived))
        return cls(array.layout, first_digest, np.concatenate(blocks) if blocks else np.zeros(0, np.uint8))

    def cells(self) -> Iterator[npt.NDArray[np.int64]]:
        """Yield the flat indices of the files, some at a time."""
        for start in range(0, len(self.arrived), _BLOCK // 8):
            found = np.flatnonzero(np.unpackbits(self.arrived[start : start + _BLOCK // 8])) + 8 * start
            if len(found):
                yield found


class ReceiptBuilder:
    """Makes the receipt of a target's files as they are now; what changes later does not show.

    While the lines are read nothing may be copied. Arrays may be resized, files may be found changed or gone: the lines
    are of what lay at the destination at first, and lies there still.
    """

    def __init__(self, inventory: Inventory) -> None:
        self._digests = inventory.digests
        arrived = (ChunkState.COPIED, ChunkState.VERIFIED)
        others = self._digests.others
        plain = {path: others.get(path, NO_DIGEST) for path in inventory.plain_files.paths_in(*arrived)}
        self.links = sum(digest == LINK_DIGEST for digest in plain.values())
        self._plain = {path: digest for path, digest in plain.items() if digest not in (LINK_DIGEST, NO_DIGEST)}
        damaged = [inventory.locate(path) for path in inventory.damaged]
        damaged = [(files, one) for files, one in damaged if files.state(one) == ChunkState.FAILED]
        self._arrays = []
        for path, array in inventory.arrays.items():
            cells = np.array([one for files, one in damaged if files is array], np.int64)
            self._arrays.append(_ArrayFiles.of(array, self._digests.arrays[path][1], cells))
        abandoned = inventory.writers.abandoned
        self._open = sorted(abandoned)
        damage = {path: why for path, why in inventory.damaged.items() if path not in abandoned}
        self._damaged = [f"{path} {describe(why)}" for path, why in damage.items()]

    def lines(self) -> Iterator[tuple[bytes, str]]:
        """Yield every regular file's XXH128 and path, array by array, each in the order of its chunk grid."""
        yield from ((digest, path) for path, digest in sorted(self._plain.items()))
        for array in self._arrays:
            for cells in array.cells():
                digests = split_digests(self._digests.get(cells + array.first_digest).tobytes())
                for digest, path in zip(digests, array.layout.paths(cells), strict=True):
                    if digest != LINK_DIGEST:
                        yield digest, path

    def write(
        self, destination: Path, marker: str, receipt: Receipt, mode: int | None = None, group: int = -1
    ) -> Reason | None:
        """Write the receipt, if the destination has its mark: else it would go to a bare mount point.

        Parameters
        ----------
        destination : Path
        marker : str
            The destination's mark.
        receipt : Receipt
        mode : int, optional
            Permissions of its files; by default those of any new file there.
        group : int
            Their group; -1 for the usual one.

        Returns
        -------
        Reason or None
            Why it could not be written; None when it was.
        """

        def write() -> str:
            os.stat(destination / marker)
            whole = receipt.model_copy(update={"run": run_of_temporary(marker)})
            sums = write_receipt(destination, self.lines(), whole, mode)
            for path in (sums, dict(possible_receipt_files(destination))[sums]):
                share_file(str(path), mode, group)
            return str(sums)

        return _try_to_write(destination, write)

    def write_to_store(self, files: FilesBesideStore, marker: str, receipt: Receipt) -> Reason | None:
        """Write the receipt of a copy in an object store, and the manifest; parameters and result as of `write`."""

        def write() -> str:
            manifest = ObjectManifest(manifest_path(files.store.url))
            try:
                write_manifest(files.store, manifest)
            finally:
                manifest.close()
            whole = receipt.model_copy(update={"run": run_of_temporary(marker)})
            sums = write_receipt(files.destination, self.lines(), whole)
            files.publish(sums, facts_path(sums))
            return sums.name

        return _try_to_write(files.store.url, write)

    def describe(
        self,
        target: Target,
        snapshot: TargetSnapshot,
        because: str,
        size: int,
        missing_images: Sequence[str] = (),
    ) -> Receipt:
        """Describe the copy: everything that the receipt says but the checksums.

        Parameters
        ----------
        target : Target
        snapshot : TargetSnapshot
            The target as it is now.
        because : str
            How it was decided that the acquisition was finished.
        size : int
            Bytes of all regular files together.
        missing_images : sequence of str
            Images, wells and labels that OME metadata promise and that never came, by path.
        """
        return Receipt(
            software=f"{SOFTWARE} {__version__}",
            # platform.platform() would run another program, to ask it for the processor.
            system=f"Python {platform.python_version()}, {platform.system()} {platform.release()} {platform.machine()}",
            host=platform.node(),
            user=_user(),
            source=snapshot.source,
            destination=snapshot.destination,
            started=_format_time(snapshot.started),
            finished=_format_time(time.time()),
            finished_because=because,
            verified=target.verify,
            links=self.links,
            bytes=size,
            chunk_files=snapshot.chunk_files_copied,
            never_written=snapshot.chunk_files_absent,
            missing_images=Paths.of(missing_images),
            damaged_files=Paths.of(self._damaged),
            open_files=Paths.of(self._open),
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


def _try_to_write(destination: Destination, write: Callable[[], str]) -> Reason | None:
    """Have a receipt written by what returns its name; return why it could not be."""
    try:
        log.info("receipt %s", write())
    except OSError as error:
        return make_reason(ReasonCode.RECEIPT_FAILED, destination=str(destination), problem=error.strerror)
    except Exception:  # a copy that is complete must not hang for that
        log.exception("unexpected error in the receipt of %s", destination)
        return make_reason(ReasonCode.RECEIPT_BROKE)
    return None


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user may have no name
        return ""


def _format_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")
