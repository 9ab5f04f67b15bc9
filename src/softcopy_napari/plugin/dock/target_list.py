"""The targets that the dock lists: those of all engines, and those not started yet. Without Qt."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from softcopy_napari.engine.protocol.messages import Changes, TargetSnapshot
from softcopy_napari.engine.targets.target import Settings, Target, settings_of
from softcopy_napari.plugin.dock.engine_contact import Key, SeenTarget
from softcopy_napari.widgets.targets_model import Row

_Pair = tuple[str, str]
LOST = "Press Resume; nothing is lost"


@dataclass(slots=True)
class _Entry:
    """A source and a destination, with what is known of them."""

    source: str
    destination: str
    key: Key
    added: bool = False
    """Whether it was added here; otherwise another front end has started it."""
    settings: Settings | None = None
    """Settings for the next start; None where none are known."""
    reported: Settings | None = None
    """The settings that its engine has last reported."""
    seen: SeenTarget | None = None
    watcher: Key | None = None
    """Its key at the engine that still watches its source; another engine may have checked it since."""
    starting: bool = False


class TargetList:
    """A list with one entry for each source and destination, in the order of their appearance."""

    def __init__(self) -> None:
        self._entries: dict[_Pair, _Entry] = {}
        self._numbers = itertools.count(1)

    def add(self, target: Target) -> Key:
        """List a target, to be started later, and return its key; one that is listed already gets new settings."""
        pair = _pair(str(target.source), str(target.destination))
        entry = self._entries.get(pair)
        if entry is None:
            entry = _Entry(str(target.source), str(target.destination), (0, str(next(self._numbers))))
            self._entries[pair] = entry
        entry.added, entry.settings = True, settings_of(target)
        return entry.key

    def find_key(self, target: Target) -> Key | None:
        """Return the key of a target's source and destination; None where they are not listed."""
        entry = self._entries.get(_pair(str(target.source), str(target.destination)))
        return entry.key if entry is not None else None

    def update(self, seen: Iterable[SeenTarget]) -> None:
        """Update the list with the targets of engines; of several for one source, a running one or the last."""
        latest: dict[_Pair, SeenTarget] = {}
        watchers: dict[_Pair, Key] = {}
        for one in seen:
            pair = _pair(one.target.source, one.target.destination)
            before = latest.get(pair)
            if before is None or is_running(one) or not is_running(before):
                latest[pair] = one
            if one.alive and one.target.watching:
                watchers[pair] = one.key
        for pair, entry in list(self._entries.items()):
            if entry.seen is not None and pair not in latest:
                entry.seen = None
                if not entry.added:
                    del self._entries[pair]
        for pair, one in latest.items():
            if pair not in self._entries and not _can_be_started(one.target):
                continue  # no engine of this program reports such paths
            new = _Entry(one.target.source, one.target.destination, one.key)
            entry = self._entries.setdefault(pair, new)
            if entry.starting and (entry.seen is None or one.key != entry.seen.key):
                entry.starting = False
            entry.seen, entry.key, entry.watcher = one, one.key, watchers.get(pair)
            _keep_settings(entry, one.target)

    def rows(self) -> list[Row]:
        """Return the rows of the table."""
        rows = []
        for entry in self._entries.values():
            lost = entry.seen is not None and entry.seen.lost
            snapshot = entry.seen.target if entry.seen is not None else None
            paths = entry.source, entry.destination
            rows.append(Row(entry.key, snapshot, *paths, LOST if lost else "", lost, entry.starting))
        return rows

    def seen(self, key: Key | None) -> SeenTarget | None:
        """Return a target as its engine last reported it; None for one that has not been started."""
        entry = self._find(key)
        return entry.seen if entry is not None else None

    def was_copied(self, key: Key) -> bool:
        """Whether an engine has copied the target; a check copies nothing."""
        seen = self.seen(key)
        return seen is not None and seen.target.findings is None

    def keys(self) -> list[Key]:
        """Return all keys, in order."""
        return [entry.key for entry in self._entries.values()]

    def not_started(self) -> list[Key]:
        """Return the keys of targets that have been added and not been started."""
        return [entry.key for entry in self._entries.values() if entry.seen is None and not entry.starting]

    def running(self) -> list[Key]:
        """Return the keys of targets that an engine works on."""
        return [entry.key for entry in self._entries.values() if entry.seen is not None and is_running(entry.seen)]

    def watched(self, keys: Sequence[Key]) -> list[Key]:
        """Return the keys of complete targets at the engines that still watch their sources."""
        found = [self._find(key) for key in keys]
        return [one.watcher for one in found if one is not None and one.watcher is not None]

    def count_under_way(self) -> int:
        """Count the targets that are being started or worked on; not complete ones that are only watched."""
        return len(self._entries) - len(self.startable(self.keys()))

    def startable(self, keys: Sequence[Key]) -> list[Key]:
        """Return those of the keys that no engine works on."""
        found = [entry for key in keys if (entry := self._find(key)) is not None]
        return [
            entry.key for entry in found if not entry.starting and (entry.seen is None or not is_running(entry.seen))
        ]

    def targets(self, keys: Sequence[Key], defaults: Settings) -> list[Target]:
        """Return targets to start, with the settings that they were added or copied with, or else these."""
        found = []
        for entry in map(self._find, keys):
            if entry is None:
                continue
            paths = {"source": Path(entry.source), "destination": Path(entry.destination)}
            found.append(Target.model_validate({**(entry.settings or defaults).model_dump(), **paths}))
        return found

    def change_settings(self, keys: Sequence[Key], changes: Changes) -> None:
        """Change the settings of targets for when they are started again, or saved."""
        for entry in map(self._find, keys):
            if entry is not None and entry.settings is not None:
                entry.settings = entry.settings.model_copy(update=changes.given)

    def set_starting(self, keys: Sequence[Key], starting: bool) -> None:
        """Note whether targets are being started."""
        for entry in map(self._find, keys):
            if entry is not None:
                entry.starting = starting

    def remove(self, keys: Sequence[Key]) -> list[Key]:
        """Remove targets that no engine works on; return the keys that engines know them by."""
        removed = self.startable(keys)
        ended = self.watched(removed)
        for pair, entry in list(self._entries.items()):
            if entry.key in removed:
                del self._entries[pair]
                if entry.seen is not None and entry.key not in ended:
                    ended.append(entry.key)
        return ended

    def _find(self, key: Key | None) -> _Entry | None:
        return next((entry for entry in self._entries.values() if entry.key == key), None)


def is_running(seen: SeenTarget) -> bool:
    """Whether an engine works on the target."""
    return seen.alive and not seen.target.state.ended


def _keep_settings(entry: _Entry, snapshot: TargetSnapshot) -> None:
    """Keep the settings that a copy reports, unless they are those of an older copy than the user's own."""
    if snapshot.settings is None or snapshot.findings is not None or snapshot.settings == entry.reported:
        return
    if entry.settings is None or entry.reported is not None:
        # Whether to overwrite is asked at each start.
        overwrite = entry.settings is not None and entry.settings.overwrite
        entry.settings = snapshot.settings.model_copy(update={"overwrite": overwrite})
    entry.reported = snapshot.settings


def _can_be_started(snapshot: TargetSnapshot) -> bool:
    """Whether a target can have these paths."""
    try:
        Target(source=Path(snapshot.source), destination=Path(snapshot.destination))
    except ValueError:
        return False
    return True


def _pair(source: str, destination: str) -> _Pair:
    return os.path.normcase(source), os.path.normcase(destination)
