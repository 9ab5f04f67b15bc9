"""What is known of a target's source: its folders, metadata, and when anything changed there last.

Brings together the watcher's events, the walks and the metadata read on the way. Part of the job, and called
from its thread alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from softcopy_napari.engine.activity_board import ActivitySlot
from softcopy_napari.engine.fs.relative_paths import parent, prefix_of
from softcopy_napari.engine.inventory.comparison import note_batch, note_comparison
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.source.change_clock import ChangeClock
from softcopy_napari.engine.source.event_rules import QUIET, EventRules
from softcopy_napari.engine.source.folder_watches import FolderWatches
from softcopy_napari.engine.source.growth_evidence import GrowthEvidence
from softcopy_napari.engine.source.held_back import HeldBack
from softcopy_napari.engine.source.newer_copies import NewerCopies
from softcopy_napari.engine.source.seen_files import SeenFiles, StaleLocks, Unsettled
from softcopy_napari.engine.source.source_identity import Deletion
from softcopy_napari.engine.source.source_metadata import Reading, SourceMetadata
from softcopy_napari.engine.source.transfer_manifest import MANIFEST
from softcopy_napari.engine.source.walk_planner import Walk, WalkPlanner
from softcopy_napari.engine.source.walk_schedule import WalkSchedule
from softcopy_napari.engine.watch.events import Watcher
from softcopy_napari.engine.watch.watcher import make_watcher
from softcopy_napari.engine.worker.folder_batch import FolderBatch
from softcopy_napari.engine.worker.folder_diff import FolderDiff
from softcopy_napari.engine.worker.tasks import TailDone
from softcopy_napari.engine.zarr_layout.file_names import MARKER, METADATA_NAMES

_TEMPORARIES_INTERVAL = 1.0
_LATE_EVENT, _VERY_LATE_EVENT = 0.3, 2.0
"""Seconds that the system may take to tell of a deletion; and of one that Linux tells of when all workers have closed
the folder."""


class SourceTracker:
    """Keeps the inventory in step with the source.

    Parameters
    ----------
    source : Path
    inventory : Inventory
    walks : WalkPlanner
    notice : callable
        Takes what the target's user should know.
    follow_links : bool
        Whether folders of the source may be links.
    slot : ActivitySlot, optional
        Where the watcher says when the source's writer is at work.
    any_files, marker
        See `GrowthEvidence`.

    Attributes
    ----------
    last_pass : Walk or None
        The last walk that came to its end; None before the first has.
    last_full : Walk or None
        The last walk that listed every folder and came to its end.
    clock : ChangeClock
        When anything was seen to change at the source.
    changes : int
        Goes up with everything that is learned of the source and was not known before.
    evidence : GrowthEvidence
        What speaks against the end of the acquisition.
    unsettled : Unsettled
        Files that a walk found to have changed a moment ago.
    metadata : SourceMetadata
        What the metadata of its folders say.
    scratch : SeenFiles
        Temporaries of writers that do not tell whose they are.
    held_back : HeldBack
        Files that are not copied yet although their writers have closed them.
    heeds_locks : bool
        Whether locks that walks come across are those of writers at work.
    """

    def __init__(
        self,
        source: Path,
        inventory: Inventory,
        walks: WalkPlanner,
        notice: Callable[[Reason], None],
        follow_links: bool = False,
        slot: ActivitySlot | None = None,
        any_files: bool = False,
        marker: str = MARKER,
    ) -> None:
        self.last_pass: Walk | None = None
        self.last_full: Walk | None = None
        self.clock = ChangeClock()
        self.changes = 0
        self.heeds_locks = True
        self.source = source
        self._inventory = inventory
        self._walks = walks
        self._notice = notice
        self._follow_links, self._slot = follow_links, slot
        self._watcher: Watcher | None = None
        self._watches: FolderWatches | None = None
        self._rules: EventRules | None = None
        children: dict[str, tuple[str, ...]] = {}
        self.held_back = HeldBack(inventory, any_files)
        self.evidence = GrowthEvidence(inventory, children, any_files, marker)
        self.metadata = SourceMetadata(source, inventory, walks, self.evidence, children, notice)
        self._later: dict[str, float] = {}
        self._locks = StaleLocks(inventory)
        self.unsettled = Unsettled(inventory)
        self._newer = NewerCopies(inventory)
        self.scratch = SeenFiles()
        self._next_temporaries = 0.0
        self._schedule = WalkSchedule()

    # -- coming and going -----------------------------------------------------------------------------

    def begin(self, wake: Callable[[], None], now: float) -> None:
        """Watch the source and start the first walk.

        Raises
        ------
        OSError
            It cannot be watched.
        """
        self._watcher = make_watcher(self.source, wake, self._follow_links, self._slot)
        self._watches = FolderWatches(self._watcher, self.source, self._inventory, self._walks)
        self._rules = EventRules(
            self._watcher, self._inventory, self._walks, self._watches, self.held_back, self.evidence.marker_name
        )
        self.metadata.made_anew.clear()
        for folder in self._walks.known:
            self._watches.watch(folder)
        self.start_pass(full=True, now=now)

    def end(self) -> None:
        """Stop watching; what is known stays known."""
        if self._watcher is not None:
            self._watcher.stop()
        self._watcher = self._watches = self._rules = None
        self._walks.current = None
        self.last_pass = self.last_full = None

    def start_pass(self, full: bool, now: float, changes: int | None = None, flushes: bool = False) -> None:
        """Start a walk over all folders; it is dated by the count of changes, of the source alone if none is given.

        With `flushes`, the destination's folders are flushed on the way.
        """
        self._schedule.note_start(now)
        self._walks.start(full, self.changes if changes is None else changes, flushes)

    def _note_change(self, now: float) -> None:
        """Note that something has changed at the source."""
        self.changes += 1
        self.clock.note_change(now)

    # -- taking in ------------------------------------------------------------------------------------

    def apply_events(self, now: float, over: bool = False) -> bool:
        """Take in what the watcher saw; returns whether the source itself is still there.

        Once the acquisition is over, nothing is held back any more.
        """
        rules = self._rules
        self.held_back.suspended = over
        if rules is None or self._watcher is None:
            return True
        if rules.apply_events(now):
            self._note_change(now)
            self._schedule.note_events(now)
        for path in self.held_back.pop_released():
            rules.settle(path)
        if rules.root_gone:
            return False
        if rules.lost:
            rules.lost = False
            self._notice(make_reason(ReasonCode.EVENTS_LOST))
            self.start_pass(full=True, now=now)
        if not self.evidence.any_files:
            self.metadata.stale |= rules.metadata
        rules.metadata.clear()
        for folder in [folder for folder, when in self._later.items() if when <= now]:
            del self._later[folder]
            self._walks.request(folder)
        for folder in self._locks.folders_due(now):
            self._walks.request(folder)
        if self._watcher.problem:
            self._notice(self._watcher.problem)
        return True

    def apply_folder_diff(self, part: FolderDiff, now: float, finishing: bool) -> bool:
        """Take in a part of a folder's comparison; returns whether the source itself is still there."""
        if part.lost:
            self._walks.apply_folder_diff(part)
            return False
        # It was not compared, or will be understood when the metadata above have been read: once more.
        if part.obstacle is not None or self.metadata.awaited_above(part.folder):
            part.size = 0  # it comes again
            self._walks.apply_folder_diff(part)
            self._walks.request(part.folder, for_pass=True)
            return True
        self.evidence.note_part(part)
        touched = self._walks.touched(part.folder)
        self._ask_for(self._walks.apply_folder_diff(part))
        if part.missing:
            if not part.folder:
                return False
            self.metadata.forget(part.folder)
            self.changes += 1
            self._walks.recheck_missing(part.folder)
        if part.metadata and not self.evidence.any_files:
            stale = not touched.isdisjoint(METADATA_NAMES)  # written anew since, and maybe read anew already
            if stale:
                self.metadata.stale.add(part.folder)
            if not stale or part.folder not in self._inventory.arrays:
                self._read_node(part.folder, part.metadata, self._walks.current)
        if self.heeds_locks:
            self._locks.add_folder_diff(part, now)
        self.scratch.add_folder_diff(part, part.scratch)
        different, unsettled, tried = part.different, part.fresh, 0
        if self._rules is not None and self._rules.whole_files_only:
            unsettled = []
        if unsettled:
            # Someone may still be writing these: look again when they have been quiet.
            self._later[part.folder] = now + QUIET
            if finishing:
                unsettled = []
            else:
                fresh = set(unsettled)
                different = [name for name in different if name not in fresh]
                prefix = prefix_of(part.folder)
                before = len(self._inventory.writers.unsettled)
                unsettled = [name for name in unsettled if not self._inventory.writers.try_unsettled(prefix + name)]
                tried = len(self._inventory.writers.unsettled) - before
        if not part.folder and (MANIFEST in part.same or MANIFEST in part.different):
            self.held_back.manifest.note_found()
        if self.held_back.active and self._rules is not None and not finishing:
            different = self._rules.hold_back_files(part.folder, different, now)
        same = [name for name in part.same if name not in touched] if touched else part.same
        newer = self._newer.find(part)
        found = note_comparison(self._inventory, part.folder, same, different, part.source_versions) + tried
        self._newer.note_replaced(part.folder, newer)
        self.unsettled.add_folder_diff(part, [name for name in unsettled if name not in touched])
        if part.last and part.folder in self.unsettled.listed:
            self._walks.known[part.folder] = 0  # to be listed again even if its own time stays
        if part.empty and part.folder:
            self._inventory.writers.note_settled(part.folder)
        self._note_found(found)
        return True

    def apply_tail(self, tail: TailDone) -> None:
        """Take in what was read of the source's own list of its finished files."""
        self.changes += self.held_back.manifest.add_tail(tail)
        for notice in self.held_back.manifest.pop_notices():
            self._notice(notice)

    def _note_found(self, found: int) -> None:
        self.changes += bool(found)
        if self._walks.current is not None:
            self._walks.current.found += found

    def _ask_for(self, folders: Iterable[str]) -> None:
        """Have folders compared, and watched first if they are new."""
        for folder in folders:
            if self._watches is not None and folder not in self._walks.known:
                self._watches.watch(folder)
            self._walks.request(folder, for_pass=True)

    def apply_folder_batch(self, batch: FolderBatch, now: float, finishing: bool) -> None:
        """Take in what comparing many folders of chunk files at once has found."""
        if self.metadata.awaited_above(batch.base):
            self._walks.return_folder_batch(batch)
            return
        unheard = self._watches.watch_compared(batch) if self._watches is not None else set[str]()
        noted = self._walks.is_touched(batch) or self._holds_noted(batch)
        found = None if noted or unheard or self.held_back.active else note_batch(self._inventory, batch)
        self._ask_for(self._walks.apply_folder_batch(batch, one_by_one=found is None))
        if found is None:
            for part in batch.split():
                if part.folder in unheard:
                    part.same, part.different = [], []
                self.apply_folder_diff(part, now, finishing)
        else:
            self.evidence.note_chunk_times(batch.oldest_chunk, batch.newest_chunk)
            self._note_found(found)
        for folder in unheard:
            self._walks.request(folder)

    def _holds_noted(self, batch: FolderBatch) -> bool:
        """Whether something is noted of any of a batch's folders that its comparison may end."""
        noted = {*self._walks.missed, *self._locks.folders, *self.scratch.folders, *self.unsettled.listed.folders}
        return bool(noted) and not noted.isdisjoint(path for path, *_ in batch.folders)

    def apply_files(self, contents: Mapping[str, bytes | None]) -> None:
        """Take in the metadata files of one folder, by path, that were to be read; None for one that is not there."""
        files = {path.rpartition("/")[2]: data for path, data in contents.items() if data is not None}
        self.apply_metadata(parent(next(iter(contents))), files)

    def apply_metadata(self, folder: str, files: Mapping[str, bytes]) -> None:
        """Take in a folder's metadata that were to be read."""
        self.metadata.note_answered(folder)
        self._read_node(folder, files)

    def _read_node(self, folder: str, files: Mapping[str, bytes], walk: Walk | None = None) -> None:
        """Take in a folder's metadata; half-written ones are read again. What a walk finds first is no change."""
        found_first = walk is not None and not self.metadata.is_known(folder)
        match self.metadata.read(folder, files, () if self._rules is None else self._rules.deleted_arrays):
            case Reading.NEW:
                self.changes += 1
                if walk is not None:
                    walk.changes += found_first
            case Reading.AGAIN:
                self._later.setdefault(folder, time.monotonic() + QUIET)

    def note_walk_end(self, now: float) -> None:
        """Take in the end of a walk, if there was one; start the next look when it is time."""
        done = self._walks.pop_finished()
        if done is not None:
            if self.last_pass is not None and done.found:
                self._note_change(now)
            self.last_pass = done
            done.ended = now
            for replaced in self._newer.pop_notices():
                self._notice(replaced)
            if done.full:
                self.last_full = done
                self.evidence.note_walked()
            self.clock.note_time(done.newest)
            self._walks.known |= dict.fromkeys(self.metadata.no_room, 0)  # the next look reads their metadata again
            in_vain = self._watcher is not None and self._watcher.tells_closing and not done.found
            self._schedule.note_end(now, self.blind, in_vain and not self.metadata.no_room)

    def start_light_walk_if_due(self, now: float) -> None:
        """Start a walk over the folders whose time has changed, every now and then."""
        if self._walks.current is None and self._schedule.is_due(now):
            self.start_pass(full=False, now=now)

    # -- what is known --------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether there is something to look at that was not looked at yet."""
        reading = self.metadata.awaited or self.held_back.manifest.awaited
        return self._walks.current is not None or bool(self._later) or reading

    @property
    def looking_around(self) -> bool:
        """Whether chunk files may come to be known that have been at the source all along."""
        walk = self._walks.current
        return self.metadata.awaited or (walk is not None and walk.full)

    def await_deletion(self, should_end: Callable[[], bool]) -> None:
        """Hear how the source went, where it was a worker that has found it gone: the event may be a moment late."""
        deadline = time.monotonic() + (_LATE_EVENT if self.metadata.made_anew else _VERY_LATE_EVENT)
        while (rules := self._rules) and not (rules.root_gone or should_end() or time.monotonic() > deadline):
            time.sleep(0.01)
            rules.apply_events(time.monotonic())

    @property
    def deletion(self) -> Deletion:
        """What was seen of a deletion of the source."""
        rules = self._rules
        if rules is None:
            return Deletion()
        deleted, made_anew = frozenset(rules.deleted_arrays), frozenset(self.metadata.made_anew)
        return Deletion(rules.root_deleted, deleted, made_anew, rules.first_deletion)

    @property
    def unread(self) -> bool:
        """Whether events of the source wait to be taken in."""
        return self._rules is not None and self._rules.unread

    @property
    def blind(self) -> bool:
        """Whether changes of the source may not be heard of: on a share, or where not all folders are watched."""
        return self._watcher is not None and bool(self._watcher.problem)

    def locked_lately(self, path: str, now: float) -> bool:
        """Whether a file's lock was seen to be taken, and not so long ago that its writer must have crashed."""
        return self._rules is not None and self._rules.under_lock(path, now)

    def recheck_temporaries(self, now: float) -> None:
        """Have the folders of temporaries listed again now and then, to see whether they are still there."""
        if now >= self._next_temporaries:
            self._next_temporaries = now + _TEMPORARIES_INTERVAL
            for folder in self.scratch.paths:
                self._walks.request(folder)

    def pop_hold_times(self) -> list[float]:
        """Return for how long writers had files open lately (s), see `BurstMeter.pop_hold_times`."""
        return self._watcher.pop_hold_times() if self._watcher is not None else []
