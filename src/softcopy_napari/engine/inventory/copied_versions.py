"""Which version of each file this run has copied: for destinations that do not show what they were given.

Some keep no modification times, some show other sizes, or lose files. A walk cannot tell that from a source that has
changed; what was copied can.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from softcopy_napari.engine.fs.capabilities import Remark
from softcopy_napari.engine.fs.file_times import NO_VERSION
from softcopy_napari.engine.fs.hashing import split_digests
from softcopy_napari.engine.fs.relative_paths import join, prefix_of
from softcopy_napari.engine.inventory.digest_store import DigestStore
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.states import ChunkState

if TYPE_CHECKING:
    from softcopy_napari.engine.inventory.inventory import Inventory

SourceVersions = Mapping[str, tuple[bytes, bool]]
"""The source's versions of files that differ, by name, as in `FolderDiff`."""
_MOST_COPIES = 5
"""Copies of one version of a file after which it is given up, if the destination does not have it afterwards."""
_IS_ARRIVED = np.zeros(len(ChunkState), bool)
_IS_ARRIVED[[ChunkState.COPIED, ChunkState.VERIFIED]] = True


class CopiedVersions:
    """The versions (see `file_times.pack_version`) of a target's files, as they were copied.

    Attributes
    ----------
    store : DigestStore
        The versions.
    remarks : int
        What the user should know of the destination, see `Remark`.
    hopeless : dict of str to Reason
        Files that were just given up after they were copied again and again, and why.
    """

    def __init__(self, inventory: Inventory, path: Path) -> None:
        self.remarks = 0
        self.hopeless: dict[str, Reason] = {}
        self._inventory = inventory
        self.store = DigestStore(path)
        self._in_vain: dict[str, tuple[bytes, int]] = {}
        """Files that the destination did not have after they were copied: which version, and how often."""

    @property
    def in_vain(self) -> bool:
        """Whether the destination does not have some files after they were copied."""
        return bool(self._in_vain)

    def left_to_copy(self, folder: str, names: Sequence[str], source_versions: SourceVersions) -> list[str]:
        """Leave out files that look other than their source, but were copied from this very version of it.

        Where they have the right size, the destination does not keep the time. What it does not have at all, or with
        another size, is copied again, but not for ever.
        """
        arrived = self._copied(folder, names)
        if not (arrived or self._in_vain):
            return list(names)
        rest = []
        prefix = prefix_of(folder)
        for name in names:
            copied = arrived.get(name, NO_VERSION)
            version, same_size = source_versions.get(name, (copied, False))
            if copied == NO_VERSION or copied != version:
                self._forget_given_up(prefix + name, version)
                rest.append(name)
            elif same_size:
                self.remarks |= Remark.NO_TIMES
            elif self._try_again(prefix + name, copied, name in source_versions):
                rest.append(name)
        return rest

    def note_found(self, folder: str, names: Sequence[str]) -> None:
        """Note that the destination has these files as they should be."""
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
        """Return the versions of a folder's files that this run has copied, and that are not being copied anew."""
        found: dict[str, bytes] = {}
        for files, ids, places in self._inventory.group_files(folder, names):
            arrived = _IS_ARRIVED[files.states(ids)]
            if arrived.any():
                versions = split_digests(files.digests(self.store, ids[arrived]).tobytes())
                found |= {names[at]: version for at, version in zip(places[arrived].tolist(), versions, strict=True)}
        return found
