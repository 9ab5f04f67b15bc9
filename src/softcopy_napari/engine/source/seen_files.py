"""What walks came across that may be gone, or done, at the next listing of its folder: locks, temporaries, fresh files.

Part of what is known of a target's source, and called from its job's thread alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from softcopy_napari.engine.fs.relative_paths import prefix_of
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.source.event_rules import QUIET
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.worker.folder_diff import FolderDiff

_SETTLED = {ChunkState.ABSENT, ChunkState.COPIED, ChunkState.VERIFIED}
_LOCK_INTERVAL = 60.0
"""Seconds between looks at a folder in which locks stay, at most."""


class SeenFiles:
    """Files of some kind that walks came across, by folder, as of each folder's last whole listing."""

    def __init__(self) -> None:
        self.paths: dict[str, dict[str, None]] = {}
        self._listing: dict[str, dict[str, None]] = {}
        """What was found so far in folders that are being listed."""

    def add_folder_diff(self, part: FolderDiff, names: Sequence[str]) -> set[str]:
        """Note the files of this kind that a part of a folder's comparison found.

        Returns
        -------
        set of str
            With the last part: those that were there when the folder was listed before, and are not any more.
        """
        folder = part.folder
        if names:
            prefix = prefix_of(folder)
            self._listing.setdefault(folder, {}).update(dict.fromkeys(prefix + name for name in names))
        if not part.last or part.unchanged:
            return set()
        seen = self._listing.pop(folder, {})
        before = self.paths.pop(folder, {})
        if seen:
            self.paths[folder] = seen
        return before.keys() - seen.keys()

    def __contains__(self, folder: str) -> bool:
        return folder in self.paths or folder in self._listing

    @property
    def folders(self) -> set[str]:
        """Folders that some of them lie in."""
        return self.paths.keys() | self._listing.keys()

    @property
    def count(self) -> int:
        """Number of files."""
        return sum(map(len, self.paths.values()))

    @property
    def first(self) -> str:
        """Path of one of the files; empty where there are none."""
        return next((next(iter(paths)) for paths in self.paths.values()), "")


class StaleLocks:
    """Writers' locks that walks came across.

    A walk may report a lock whose end was reported by an event before, or never will be: so its folder is
    looked at again, at growing intervals, until the lock is gone.
    """

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._listed = SeenFiles()
        self._looks: dict[str, tuple[float, float]] = {}
        """When to look at a folder again, and the interval before that, s."""

    def add_folder_diff(self, part: FolderDiff, now: float) -> None:
        """Note the locks of a part of a folder's comparison."""
        prefix = prefix_of(part.folder)
        for name in part.locks:
            if prefix + name not in self._inventory.writers.abandoned:
                self._inventory.writers.note_held(prefix + name, itself=False)
        for path in self._listed.add_folder_diff(part, part.locks):
            self._inventory.writers.note_released(path)
        if part.last and not part.unchanged:
            _, interval = self._looks.pop(part.folder, (0.0, QUIET / 2))
            if part.folder in self._listed:
                interval = min(2 * interval, _LOCK_INTERVAL)
                self._looks[part.folder] = now + interval, interval

    @property
    def folders(self) -> set[str]:
        """Folders that some of them lie in."""
        return self._listed.folders

    def folders_due(self, now: float) -> list[str]:
        """Return the folders to look at again."""
        folders = [folder for folder, (when, _) in self._looks.items() if when <= now]
        for folder in folders:
            _, interval = self._looks[folder]
            self._looks[folder] = now + interval, interval
        return folders


class Unsettled:
    """Files that a walk found to differ and to have changed a moment ago: someone may still be writing them.

    They are WRITING until their folder is looked at again, which its owner sees to.
    """

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self.listed = SeenFiles()

    def add_folder_diff(self, part: FolderDiff, names: Sequence[str]) -> None:
        """Note the fresh files that a part of a folder's comparison found, once the inventory knows all others."""
        inventory = self._inventory
        prefix = prefix_of(part.folder)
        for name in names:
            if inventory.state(prefix + name) in _SETTLED:
                inventory.set_state(prefix + name, ChunkState.WRITING)
        for path in self.listed.add_folder_diff(part, names):
            if inventory.state(path) is ChunkState.WRITING and path not in inventory.writers.held:
                inventory.writers.note_vanished(path)

    @property
    def first(self) -> str:
        """Path of one of the files; empty where there are none."""
        return next((min(paths) for paths in self.listed.paths.values()), "")
