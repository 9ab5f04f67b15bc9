"""What a watcher's events mean for the files of a target, given what its writers are known to do."""

from __future__ import annotations

import heapq
import itertools
import math

from softcopy_napari.engine.fs.relative_paths import prefix_of
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.source.folder_watches import FolderWatches
from softcopy_napari.engine.source.held_back import HeldBack
from softcopy_napari.engine.source.transfer_manifest import MANIFEST
from softcopy_napari.engine.source.walk_planner import WalkPlanner
from softcopy_napari.engine.watch.events import FileEvent, Watcher
from softcopy_napari.engine.zarr_layout.file_names import (
    ARRAY_METADATA_NAMES,
    LOCK_ENDING,
    LOCK_LIFE,
    MARKER,
    METADATA_NAMES,
    TEMPORARY_ENDINGS,
    TemporaryKind,
    classify_temporary,
    file_of_lock,
)

QUIET = 2.0
"""Seconds without a change after which a file counts as settled where nothing tells that it was closed."""
_SOON = 1.0
_NEW = 5.0
"""Seconds for which a folder counts as new."""


class EventRules:
    """Applies file system events to the inventory.

    Parameters
    ----------
    watcher : Watcher
    inventory : Inventory
    walks : WalkPlanner
    watches : FolderWatches
    held_back : HeldBack, optional
        Which files wait although their writers have closed them.
    marker : str
        Name of the file that marks the acquisition's end.

    Attributes
    ----------
    metadata : set of str
        Folders whose metadata have changed and are to be read.
    lost : bool
        Events were lost: a full pass is needed.
    root_gone, root_deleted : bool
        The source itself has gone; and it is certain that it was deleted.
    deleted_arrays : set of str
        Arrays whose metadata were deleted.
    first_deletion : float or None
        When the first chunk file went without its writer's lock.
    """

    def __init__(
        self,
        watcher: Watcher,
        inventory: Inventory,
        walks: WalkPlanner,
        watches: FolderWatches,
        held_back: HeldBack | None = None,
        marker: str = MARKER,
    ) -> None:
        self.metadata: set[str] = set()
        self.lost = False
        self.root_gone = self.root_deleted = False
        self.deleted_arrays: set[str] = set()
        self.first_deletion: float | None = None
        self._watcher = watcher
        self._watches = watches
        self._inventory = inventory
        self._walks = walks
        self._held_back = held_back or HeldBack(inventory)
        self._marker = marker
        self._replaces = False
        self._in_place = False
        self._locked: dict[str, float] = {}
        """Files whose lock was seen to be taken, and when."""
        self._just_deleted: dict[str, float] = {}
        self._new_folders: dict[str, float] = {}
        self._quiet: dict[str, float] = {}
        self._timers: list[tuple[float, str]] = []

    @property
    def whole_files_only(self) -> bool:
        """Whether writers were seen to rename chunk files into place, and none to write one in place."""
        return self._replaces and not self._in_place

    @property
    def unread(self) -> bool:
        """Whether something happened that was not taken in yet."""
        return self._watcher.unread or bool(self._watcher.events)

    def apply_events(self, now: float, limit: int = 20_000) -> int:
        """Apply the events that wait, up to a number of them; returns how many tell of a change in the source."""
        waiting = self._watcher.events
        taken = [waiting.popleft() for _ in range(min(len(waiting), limit))]
        count = sum(event not in (FileEvent.ROOT_GONE, FileEvent.ROOT_DELETED) for event, _ in taken)
        for event, path in self._without_steps(taken):
            self._apply(event, path, now)
        while self._timers and self._timers[0][0] <= now:
            self._end_quiet(*heapq.heappop(self._timers), now)
        return count

    def _without_steps(self, events: list[tuple[FileEvent, str]]) -> list[tuple[FileEvent, str]]:
        """Leave out how files came to be closed, where that was heard together: a busy writer does it for thousands.

        Only locks and renames are left out: what creations and deletions mean, hangs on every step before.
        """
        closed = {
            path: number
            for number, (event, path) in enumerate(events)
            if event is FileEvent.WRITTEN
            and not path.endswith(TEMPORARY_ENDINGS)  # what happens to temporaries means something else
        }
        if not closed or any(event is FileEvent.DELETED for event, _ in events):
            return events
        left: list[tuple[FileEvent, str]] = []
        for number, (event, path) in enumerate(events):
            file = path
            if event is FileEvent.OPENED and path.endswith(LOCK_ENDING):
                file = file_of_lock(path)
            elif event is not FileEvent.RENAMED:
                left.append((event, path))
                continue
            if closed.get(file, -1) > number:
                self._replaces = True
            else:
                left.append((event, path))
        return left

    def _apply(self, event: FileEvent, path: str, now: float) -> None:
        if event is FileEvent.FOLDER_RENAMED:
            for folder in (names := path.split("\0")):
                self._walks.forget(folder)
            self._inventory.renames.note_rename(*names)
            return
        if event is FileEvent.FOLDER:
            self._new_folders[path] = now
            _prune(self._new_folders, now - _NEW)
            self._watches.watch(path)
            # Not before the metadata of the folder that it lies in have been read: what is in it would be taken for any
            # other files, and a shard be copied without its index. To compare that one once more will find it.
            parent = path.rpartition("/")[0]
            self._walks.request(path if self._walks.was_compared(parent) else parent)
            return
        if event is FileEvent.LOST:
            self.lost = True
            self._locked.clear()
            self._inventory.writers.forget_writers()
            return
        if event in (FileEvent.ROOT_GONE, FileEvent.ROOT_DELETED):
            self.root_gone = True
            self.root_deleted = self.root_deleted or event is FileEvent.ROOT_DELETED
            return
        folder, slash, name = path.rpartition("/")
        temporary = classify_temporary(name)
        self._walks.touch(folder, temporary[1] if temporary else name)
        if temporary is None:
            self._apply_to_file(event, path, folder, name, now)
        elif temporary[0] is TemporaryKind.LOCK:
            self._apply_to_lock(event, folder + slash + temporary[1], now)

    def _apply_to_lock(self, event: FileEvent, path: str, now: float) -> None:
        if event is FileEvent.OPENED:
            self._replaces = True
            self._locked[path] = now
            self._inventory.writers.note_held(path, itself=False)
        elif event is FileEvent.DELETED:
            if self._just_deleted.pop(path, -_SOON) > now - _SOON and self._in_new_folder(path, now):
                # Lock and deletion were quicker than the watch of their new folder.
                self._inventory.writers.note_gone(path, lock_held=True)
            self._locked.pop(path, None)
            self._inventory.writers.note_released(path)

    def _note_deleted(self, path: str, now: float) -> None:
        """Note that a file was deleted: on purpose, if its writer has just taken its lock; old locks do not count."""
        locked = self.under_lock(path, now)
        self._inventory.writers.note_gone(path, lock_held=locked)
        folder, _, name = path.rpartition("/")
        # Writers rename new metadata over the old ones: only where an array is to go are they deleted.
        if name in ARRAY_METADATA_NAMES and folder in self._inventory.arrays and self._watcher.tells_closing:
            self.deleted_arrays.add(folder)
        if not locked:
            if self.first_deletion is None and self._inventory.is_chunk_file(path):
                self.first_deletion = now
            self._just_deleted[path] = now
            _prune(self._just_deleted, now - _SOON)

    def under_lock(self, path: str, now: float) -> bool:
        """Whether a file's lock has been taken, and not so long ago that its writer must have crashed."""
        return self._locked.get(path, -LOCK_LIFE) > now - LOCK_LIFE

    def _in_new_folder(self, path: str, now: float) -> bool:
        """Whether a folder that a file lies in has just been made."""
        folder = path
        while folder:
            folder = folder.rpartition("/")[0]
            if self._new_folders.get(folder, -_NEW) > now - _NEW:
                return True
        return False

    def _apply_to_file(self, event: FileEvent, path: str, folder: str, name: str, now: float) -> None:
        inventory = self._inventory
        if path == MANIFEST:
            self._held_back.manifest.read_soon()
        match event:
            case FileEvent.OPENED | FileEvent.MODIFIED:
                if event is FileEvent.OPENED and inventory.is_chunk_file(path):
                    self._in_place = True
                held_back, closing = self._held_back, self._watcher.tells_closing
                if not (closing or held_back.withholds(path)) and inventory.writers.try_unsettled(path):
                    return
                delay = held_back.delay(path)
                inventory.writers.note_held(path, itself=True)
                # A chunk file waits for its writer to close it, and so does a file of a folder, which may grow for
                # hours. Metadata and notes of a zarr dataset may stay open all day.
                if not (closing and (held_back.any_files or inventory.is_chunk_file(path))):
                    self.await_quiet(path, now, delay if math.isfinite(delay) else QUIET)
            case FileEvent.WRITTEN:
                self._note_closed(path, now)
            case FileEvent.RENAMED:
                self._replaces = True
                self._locked.pop(path, None)  # it is what was renamed
                held = inventory.writers.held.get(path)
                if self._watcher.tells_closing and held is not None and not held.open:
                    # tensorstore renames its lock, still open, to the final name: its closing follows at once.
                    self.await_quiet(path, now)
                else:
                    self._note_closed(path, now)
            case FileEvent.DELETED:
                self._note_deleted(path, now)

    def _note_closed(self, path: str, now: float) -> None:
        """Have a file copied whose writer is done with it, unless it is held back."""
        delay = self._held_back.delay(path)
        if not delay:
            self.settle(path)
            return
        self._locked.pop(path, None)
        self.hold_back(path, delay, now)

    def hold_back(self, path: str, delay: float, now: float) -> None:
        """Have a file wait until it has been quiet for a number of seconds; if that is infinite, until it is let go."""
        self._held_back.hold(path, delay)
        if math.isfinite(delay):
            self.await_quiet(path, now, delay)
        else:
            self._quiet.pop(path, None)

    def hold_back_files(self, folder: str, names: list[str], now: float) -> list[str]:
        """Hold back those of some files that are not to be copied yet; return the others."""
        left = []
        for name in names:
            path = prefix_of(folder) + name
            delay = 0.0 if path in self._inventory.writers.held else self._held_back.delay(path)
            if delay:
                self.hold_back(path, delay, now)
            else:
                left.append(name)
        return left

    def settle(self, path: str) -> None:
        """Have a file copied."""
        folder, _, name = path.rpartition("/")
        self._quiet.pop(path, None)
        self._locked.pop(path, None)
        self._held_back.let_go(path)
        self._inventory.writers.note_settled(path)
        if name in METADATA_NAMES:
            self.metadata.add(folder)
        elif name == self._marker:
            self._walks.request(folder)  # which tells when it was written

    def await_quiet(self, path: str, now: float, seconds: float = 0.0) -> None:
        """Have a file copied when it has been quiet for so long: for two seconds at least."""
        due = now + max(QUIET, seconds)
        if path not in self._quiet:
            heapq.heappush(self._timers, (due, path))
        self._quiet[path] = due

    def _end_quiet(self, when: float, path: str, now: float) -> None:
        due = self._quiet.get(path)
        if due is None:
            return
        if self.under_lock(path, now):
            due = self._quiet[path] = now + QUIET  # its writer is at work again, and may be about to delete it
        if due > now:
            heapq.heappush(self._timers, (due, path))
            return
        if self._held_back.withholds(path):
            self.hold_back(path, math.inf, now)
        else:
            self.settle(path)


def _prune(times: dict[str, float], oldest: float) -> None:
    """Forget some of what is too old to matter: two for each one that is added."""
    for path in list(itertools.islice(times, 2)):
        if times[path] < oldest:
            del times[path]
