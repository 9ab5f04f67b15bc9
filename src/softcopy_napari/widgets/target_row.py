"""A target as a front end knows it, and what its user can do with it. No Qt."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath

from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.reasons import Reason, ReasonCode
from softcopy_napari.engine.states import TargetState
from softcopy_napari.engine.targets.store_url import is_store_url

Key = tuple[int, str]
"""The engine's process id (0: not started), and the target's id or a number that the front end has given it."""

_OBSTACLES = {
    ReasonCode.DESTINATION_FULL,
    ReasonCode.DESTINATION_NO_FILES,
    ReasonCode.DESTINATION_QUOTA,
    ReasonCode.DESTINATION_READ_ONLY,
    ReasonCode.DESTINATION_UNREACHABLE,
}
"""What keeps a copy from going on that no button mends."""
_FREEING = {ReasonCode.READING_BACK_TO_FREE, ReasonCode.FREEING_SOURCE, ReasonCode.FREE_TOO_RECENT}
"""What an engine says while it frees a source."""


class Action(StrEnum):
    """What a user can do with targets; the values are the entries of the menu."""

    START = "Start"
    """Targets that have ended are copied again, as far as anything is left."""
    PAUSE = "Pause"
    RESUME = "Resume"
    """For a target whose engine has died, another engine takes over."""
    FINISH = "Acquisition is over\u2026"
    UNFINISH = "Acquisition goes on"
    """Takes FINISH back while the copy has not ended."""
    STOP = "Stop"
    """For a complete target: stop watching its source, or freeing it."""
    SHOW = "Show in viewer"
    OPEN_SOURCE = "Open source folder"
    OPEN_DESTINATION = "Open destination folder"
    CHECK = "Check coverage"
    COMPARE = "Compare by content"
    """For a check that found files of which only the times differ: reads them."""
    FREE = "Free the source\u2026"
    """For a complete copy: move the source's files to a grace folder, or back."""
    REMOVE = "Remove from list"


@dataclass(frozen=True, slots=True)
class Row:
    """A target as a front end knows it."""

    key: Key
    snapshot: TargetSnapshot | None
    """The last snapshot; None where the target has not been started."""
    source: str
    destination: str
    problem: str = ""
    """Why it could not be started, in words; empty where nothing was wrong."""
    lost: bool = False
    """Whether its engine died before the target ended; the snapshot is the last one."""
    starting: bool = False
    """Whether it has been told to start, and no engine works on it yet."""
    freeing: Reason | None = None
    """How far the freeing of its source is that was asked for here; None where it was not."""

    @property
    def in_store(self) -> bool:
        """Whether its destination is in an object store: there is no folder to open."""
        return is_store_url(self.destination)

    @property
    def state(self) -> TargetState | None:
        """The target's state; None where it has not been started, is being started, or its engine died."""
        return None if self.snapshot is None or self.starting or self.lost else self.snapshot.state

    @property
    def running(self) -> bool:
        """Whether an engine works on it, or is about to."""
        return self.starting or (self.state is not None and not self.state.ended)

    @property
    def freed_so_far(self) -> Reason | None:
        """How far the freeing of its source is, by its settings or asked for here; None while it is not freed."""
        if self.freeing is None and self.state is TargetState.COMPLETE and self.snapshot is not None:
            return self.snapshot.why if _code(self.snapshot) in _FREEING else None
        return self.freeing

    @property
    def watched(self) -> bool:
        """Whether the target is complete, and its source is still watched."""
        watching = self.state is TargetState.COMPLETE and self.snapshot is not None and self.snapshot.watching
        return watching and self.freed_so_far is None

    @property
    def differs_by_time(self) -> int:
        """How many files a check found that have the same size and another time."""
        found = self.snapshot.findings if self.snapshot is not None and self.state is TargetState.INCOMPLETE else None
        return found.chunk_files_times + found.other_times if found is not None else 0

    @property
    def blocked(self) -> bool:
        """Whether it stands still because of its destination: full, read-only, away."""
        target = self.snapshot
        return self.state is TargetState.PAUSED and target is not None and _code(target) in _OBSTACLES

    @property
    def name(self) -> str:
        """The source's name."""
        return PurePath(self.source).name or self.source


def _code(target: TargetSnapshot) -> str:
    return target.why.code if target.why is not None else ""


def allowed_actions(rows: Iterable[Row]) -> frozenset[Action]:
    """Return the actions that are possible with at least one of these targets."""
    actions: set[Action] = set()
    for row in rows:
        actions |= {Action.OPEN_SOURCE} if row.in_store else {Action.OPEN_SOURCE, Action.OPEN_DESTINATION}
        if row.snapshot is not None:
            actions.add(Action.SHOW)
        if row.starting:
            continue
        if row.freed_so_far is not None:
            actions.add(Action.STOP)
            continue
        if row.lost:
            actions |= {Action.RESUME, Action.CHECK, Action.REMOVE}
        elif not row.running:
            actions |= {Action.START, Action.CHECK, Action.REMOVE}
            if row.watched:
                actions.add(Action.STOP)
            if row.differs_by_time:
                actions.add(Action.COMPARE)
            is_copy = row.snapshot is not None and row.snapshot.findings is None
            if row.state is TargetState.COMPLETE and is_copy and not row.in_store:
                actions.add(Action.FREE)
        else:
            paused = row.state is TargetState.PAUSED and not row.blocked
            actions |= {Action.STOP, Action.RESUME if paused else Action.PAUSE}
            if row.snapshot is not None and row.snapshot.told_to_finish:
                actions.add(Action.UNFINISH)
            elif row.state not in (TargetState.FINISHING, TargetState.CHECKING):
                actions.add(Action.FINISH)
    return frozenset(actions)


def only_freed(rows: Iterable[Row]) -> bool:
    """Whether stopping these targets only ends the freeing of their sources."""
    can_be_stopped = [row for row in rows if Action.STOP in allowed_actions([row])]
    return bool(can_be_stopped) and all(row.freed_so_far is not None for row in can_be_stopped)


def only_watched(rows: Iterable[Row]) -> bool:
    """Whether stopping these targets only ends the watching of their sources."""
    can_be_stopped = [row for row in rows if Action.STOP in allowed_actions([row])]
    return bool(can_be_stopped) and all(row.watched for row in can_be_stopped)
