"""The targets that the dock lists: those of all engines, and those not started yet. Without Qt."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from softcopy_napari.engine.protocol.messages import Changes, TargetSnapshot
from softcopy_napari.engine.reasons import Reason
from softcopy_napari.engine.targets.store_url import destination_of
from softcopy_napari.engine.targets.target import Settings, Target, settings_of
from softcopy_napari.plugin.dock.engine_contact import Key, SeenTarget
from softcopy_napari.widgets.target_row import Row

_Pair = tuple[str, str]


@dataclass(slots=True)
class _Entry:
    """A source and a destination, with what is known of them."""

    source: str
    destination: str
    key: Key
    added: bool = False
    """Whether it was added here; otherwise another front end has started it."""
    own: bool = False
    """Whether it was added or started here: orders without keys are for these."""
    settings: Settings | None = None
    """Settings for the next start; None where none are known."""
    reported: Settings | None = None
    """The settings that its engine has last reported."""
    seen: SeenTarget | None = None
    watcher: Key | None = None
    """Its key at the engine that still watches its source; another engine may have checked it since."""
    starting: bool = False
    problem: str = ""
    """Why it could not be started, in words; empty where nothing was wrong."""
    freeing: Reason | None = None
    """How far the freeing of its source is, while that goes on."""


class TargetList:
    """A list with one entry for each source and destination, in the order of their appearance."""

    def __init__(self) -> None:
        self._entries: dict[_Pair, _Entry] = {}
        self._numbers = itertools.count(1)
        self._seen_at: dict[str, set[Key]] = {}
        """Keys of all targets that engines have reported, by destination."""

    def add(self, target: Target) -> Key:
        """List a target, to be started later, and return its key; one that is listed already gets new settings."""
        pair = _pair(str(target.source), str(target.destination))
        entry = self._entries.get(pair)
        if entry is None:
            entry = _Entry(str(target.source), str(target.destination), (0, str(next(self._numbers))))
            self._entries[pair] = entry
        entry.added = entry.own = True
        entry.settings, entry.problem = settings_of(target), ""
        return entry.key

    def find_key(self, target: Target) -> Key | None:
        """Return the key of a target's source and destination; None where they are not listed."""
        entry = self._entries.get(_pair(str(target.source), str(target.destination)))
        return entry.key if entry is not None else None

    def update(self, seen: Iterable[SeenTarget]) -> list[Target]:
        """Update the list with the targets of engines; of several for one destination, a running one or the last.

        Returns
        -------
        list of Target
            Those that were being started, and that an engine works on now.
        """
        seen = list(seen)
        for one in seen:
            self._seen_at.setdefault(_pair("", one.target.destination)[1], set()).add(one.key)
        latest: dict[_Pair, SeenTarget] = {}
        watchers: dict[_Pair, Key] = {}
        begun: list[Key] = []
        for one in _without_outdated(seen):
            pair = _pair(one.target.source, one.target.destination)
            before = latest.get(pair)
            if before is None or is_running(one) or (not is_running(before) and _is_later(one, before)):
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
                begun.append(one.key)
            entry.seen, entry.key, entry.watcher = one, one.key, watchers.get(pair)
            _keep_settings(entry, one.target)
        return self.targets(begun, Settings())

    def rows(self) -> list[Row]:
        """Return the rows of the table."""
        rows = []
        for entry in self._entries.values():
            lost = entry.seen is not None and entry.seen.lost
            snapshot = entry.seen.target if entry.seen is not None else None
            paths = entry.source, entry.destination
            rows.append(Row(entry.key, snapshot, *paths, entry.problem, lost, entry.starting, entry.freeing))
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

    def own(self) -> list[Key]:
        """Return the keys of targets that were added or started here."""
        return [entry.key for entry in self._entries.values() if entry.own]

    def running(self) -> list[Key]:
        """Return the keys of targets that an engine works on."""
        return [entry.key for entry in self._entries.values() if entry.seen is not None and is_running(entry.seen)]

    def watched(self, keys: Sequence[Key]) -> list[Key]:
        """Return the keys of complete targets at the engines that still watch their sources."""
        found = [self._find(key) for key in keys]
        return [one.watcher for one in found if one is not None and one.watcher is not None]

    def count_under_way(self) -> int:
        """Count the targets of this window that are being started or worked on; not those that are only watched."""
        own = self.own()
        return len(own) - len(self.startable(own))

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
            paths = {"source": Path(entry.source), "destination": destination_of(entry.destination)}
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
                if starting:
                    entry.own, entry.problem = True, ""

    def set_freeing(self, source: Path, how_far: Reason | None) -> None:
        """Note how far the freeing of a source is; None when it is over."""
        for entry in self._entries.values():
            if entry.source == str(source):
                entry.freeing = how_far

    def freed_here(self, keys: Sequence[Key]) -> list[Path]:
        """Return the sources of targets that are being freed because somebody asked for it here."""
        found = [self._find(key) for key in keys]
        return [Path(entry.source) for entry in found if entry is not None and entry.freeing is not None]

    def set_problem(self, key: Key, words: str) -> None:
        """Note why a target could not be started; one that an engine works on stays as it is."""
        for entry in map(self._find, self.startable([key])):
            if entry is not None:
                entry.problem = words

    def remove(self, keys: Sequence[Key]) -> list[Key]:
        """Remove targets that no engine works on.

        Returns
        -------
        list of Key
            What engines have reported of the same destinations, now or earlier: an older result must not come back.
        """
        removed = self.startable(keys)
        busy = set(self.running())
        ended: list[Key] = []
        for pair, entry in list(self._entries.items()):
            if entry.key in removed:
                del self._entries[pair]
                ended += sorted(self._seen_at.pop(pair[1], set()) - busy - set(ended))
        return ended

    def _find(self, key: Key | None) -> _Entry | None:
        return next((entry for entry in self._entries.values() if entry.key == key), None)


def _without_outdated(seen: Sequence[SeenTarget]) -> list[SeenTarget]:
    """Leave out the results of copies to a destination to which another source was copied later."""
    last: dict[str, SeenTarget] = {}
    for one in seen:
        destination = _pair("", one.target.destination)[1]
        if destination not in last or _is_later(one, last[destination]):
            last[destination] = one

    def outdated(one: SeenTarget) -> bool:
        newest = last[_pair("", one.target.destination)[1]].target
        return not is_running(one) and newest.started > one.target.started and newest.source != one.target.source

    return [one for one in seen if not outdated(one)]


def _is_later(one: SeenTarget, other: SeenTarget) -> bool:
    """Whether a target was started after another, or at the same time and is reported later."""
    return one.target.started >= other.target.started


def is_running(seen: SeenTarget) -> bool:
    """Whether an engine works on the target."""
    return seen.alive and not seen.target.state.ended


def _keep_settings(entry: _Entry, snapshot: TargetSnapshot) -> None:
    """Keep the settings that a copy reports, unless they are those of an older copy than the user's own."""
    if snapshot.settings is None or snapshot.findings is not None or snapshot.settings == entry.reported:
        return
    if entry.settings is None or entry.reported is not None:
        # Whether to overwrite is asked at each start; where notifications go is told without what is secret.
        own = entry.settings
        kept = {"overwrite": own is not None and own.overwrite, **({"notify": own.notify} if own is not None else {})}
        entry.settings = snapshot.settings.model_copy(update=kept)
    entry.reported = snapshot.settings


def _can_be_started(snapshot: TargetSnapshot) -> bool:
    """Whether a target can have these paths."""
    try:
        Target(source=Path(snapshot.source), destination=destination_of(snapshot.destination))
    except ValueError:
        return False
    return True


def _pair(source: str, destination: str) -> _Pair:
    return os.path.normcase(source), os.path.normcase(destination)
