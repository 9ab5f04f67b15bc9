"""Which version of each file this run has copied: for destinations that do not show what they were given.

Some keep no modification times, some show other sizes, or lose files. A walk cannot tell that from a source that has
changed; what was copied can.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from softcopy_napari.engine.fs.capabilities import Remark
from softcopy_napari.engine.fs.file_times import NO_VERSION
from softcopy_napari.engine.fs.hashing import DIGEST_SIZE as SIZE
from softcopy_napari.engine.fs.relative_paths import join, prefix_of
from softcopy_napari.engine.inventory.digest_store import DigestStore
from softcopy_napari.engine.inventory.tracked_array import TrackedArray
from softcopy_napari.engine.inventory.tracked_files import Batch
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.states import ChunkState

if TYPE_CHECKING:
    from softcopy_napari.engine.inventory.inventory import Inventory

Unlike = Mapping[str, tuple[bytes, bool]]
"""As `FolderDiff.unlike`."""
_MOST_COPIES = 5
"""Copies of one version of a file after which it is given up, if the destination does not have it afterwards."""
_IS_ARRIVED = np.zeros(len(ChunkState), bool)
_IS_ARRIVED[[ChunkState.COPIED, ChunkState.VERIFIED]] = True


class CopiedVersions:
    """The versions (see `files.version_of`) of a target's files, as they were copied.

    Parameters
    ----------
    inventory : Inventory
    path : Path
        File for those of chunk files, in the places that their digests have.

    Attributes
    ----------
    remarks : int
        What the user should know of the destination, see `Remark`.
    hopeless : dict of str to Reason
        Files that were just given up after they were copied again and again, and why.
    """

    def __init__(self, inventory: Inventory, path: Path) -> None:
        self.remarks = 0
        self.hopeless: dict[str, Reason] = {}
        self._inventory = inventory
        self._store = DigestStore(path)
        self._in_vain: dict[str, tuple[bytes, int]] = {}
        """Files that the destination did not have after they were copied: which version, and how often."""

    @property
    def in_vain(self) -> bool:
        """Whether the destination does not have some files after they were copied."""
        return bool(self._in_vain)

    def note_versions(self, batch: Batch, versions: bytes) -> None:
        """Note the versions of a batch's files, 16 bytes each; zeros for those that were not copied."""
        if batch.is_current:
            batch.files.put_digests(self._store, batch.ids, versions)
            return
        for number, path in enumerate(batch.paths):
            files, one = self._inventory.locate(path)
            files.put_digests(self._store, files.ids([one]), versions[number * SIZE : (number + 1) * SIZE])

    def move_versions(self, old: npt.NDArray[np.int64], new: npt.NDArray[np.int64]) -> None:
        """Bring versions of an array's chunk files to where they are after it was resized."""
        self._store.put(new, self._store.get(old).tobytes())

    def adopt_file(self, path: str, array: TrackedArray, cell: int) -> None:
        """Note that a file turned out to be a chunk file."""
        array.put_digests(self._store, array.ids([cell]), self._store.others.pop(path, NO_VERSION))

    def close(self) -> None:
        """Forget everything."""
        self._store.close()

    def left_to_copy(self, folder: str, names: Sequence[str], unlike: Unlike) -> list[str]:
        """Leave out files that look other than their source, but were copied from this very version of it.

        Of those that have the right size, the destination does not keep the time. What it does not have at all, or with
        another size, is copied again, but not for ever.
        """
        arrived = self._copied(folder, names)
        if not (arrived or self._in_vain):
            return list(names)
        rest = []
        prefix = prefix_of(folder)
        for name in names:
            copied = arrived.get(name, NO_VERSION)
            version, same_size = unlike.get(name, (copied, False))
            if copied == NO_VERSION or copied != version:
                self._forget_given_up(prefix + name, version)
                rest.append(name)
            elif same_size:
                self.remarks |= Remark.NO_TIMES
            elif self._try_again(prefix + name, copied, name in unlike):
                rest.append(name)
        return rest

    def note_found(self, folder: str, names: Sequence[str]) -> None:
        """The destination has these as they should be."""
        for name in names if self._in_vain else ():
            self._in_vain.pop(join(folder, name), None)

    def _try_again(self, path: str, version: bytes, exists: bool) -> bool:
        before, times = self._in_vain.get(path, (NO_VERSION, 0))
        times = times + 1 if before == version else 1
        self._in_vain[path] = version, times
        if times < _MOST_COPIES:
            return True
        self._inventory.set_state(path, ChunkState.FAILED)
        code = ReasonCode.ALWAYS_OTHER_SIZE if exists else ReasonCode.ALWAYS_MISSING
        self.hopeless[path] = make_reason(code, times=times)
        return False

    def _forget_given_up(self, path: str, version: bytes) -> None:
        """Try a file that was given up once more, if it has changed since."""
        if path in self._in_vain and version not in (NO_VERSION, self._in_vain[path][0]):
            del self._in_vain[path]
            if self._inventory.state(path) is ChunkState.FAILED:
                self._inventory.set_state(path, ChunkState.PENDING)

    def _copied(self, folder: str, names: Sequence[str]) -> dict[str, bytes]:
        """Versions of those files of a folder that this run has copied, and that are not being copied anew."""
        found: dict[str, bytes] = {}
        for files, ids, places in self._inventory.group_files(folder, names):
            arrived = _IS_ARRIVED[files.states(ids)]
            if arrived.any():
                data = files.digests(self._store, ids[arrived]).tobytes()
                versions = (data[at : at + SIZE] for at in range(0, len(data), SIZE))
                found |= {names[at]: version for at, version in zip(places[arrived].tolist(), versions, strict=True)}
        return found
