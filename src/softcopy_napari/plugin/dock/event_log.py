"""Turns the changes between two polls of the engines into lines for the log. Without Qt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from softcopy_napari.engine.formatting import count_text, size_text, time_text
from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.states import TargetState
from softcopy_napari.plugin.dock.engine_contact import Key, SeenTarget
from softcopy_napari.widgets.log_view import Level
from softcopy_napari.widgets.wording import explain_state

_QUIET = {TargetState.COPYING, TargetState.CAUGHT_UP}
"""States between which a live copy alternates: not worth a line each time."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line for the log."""

    level: Level
    text: str
    ended: SeenTarget | None = None
    """The target, if it has ended, lost its engine, or could not free its source: worth a message."""


class EventLog:
    """Compares targets with how they were seen before."""

    def __init__(self) -> None:
        self._before: dict[Key, SeenTarget] = {}

    def new_lines(self, seen: Sequence[SeenTarget]) -> list[Line]:
        """Return lines about changes; for a target seen for the first time, about its present state only."""
        lines = [line for one in seen for line in self._changes(self._before.get(one.key), one)]
        self._before = {one.key: one for one in seen}
        return lines

    def _changes(self, before: SeenTarget | None, now: SeenTarget) -> Iterator[Line]:
        if before is now:
            return
        old, new = before.target if before is not None else None, now.target
        name = PurePath(new.source).name or new.source
        said = set(old.notices) if old is not None else set()
        for notice, note in zip(new.notices, new.notes, strict=True):
            if notice not in said:
                is_news = note is new.not_freed and old is not None and old.state is new.state
                yield Line(Level.WARNING, f"{name}: {notice}", now if is_news else None)
        failed = {failure.path for failure in old.failures} if old is not None else set()
        for failure in new.failures:
            if failure.path not in failed:
                yield Line(Level.WARNING, f"{name}: {failure.path} {failure.reason}")
        if now.lost:
            if before is not None and not before.lost:
                words = f"{name}: Copying crashed (process {now.pid}). Press Resume; nothing is lost"
                yield Line(Level.ERROR, words, now)
        elif old is None or old.state is not new.state:
            yield from _state_line(name, old, now)
        elif old.watching and not new.watching:
            yield Line(Level.INFO, f"{name}: {new.state_text}; its source is no longer watched")


def _state_line(name: str, old: TargetSnapshot | None, now: SeenTarget) -> Iterator[Line]:
    new = now.target
    reason = f" ({explain_state(new)})" if new.reason else ""
    if new.state.ended:
        if old is None:  # it ended before the first poll
            return
        expected = new.state in (TargetState.COMPLETE, TargetState.STOPPED) and not new.ended_by_system
        level = Level.INFO if expected else Level.ERROR
        copied = f"{count_text(new.other_files, 'file')} at the destination"
        if not new.any_files:
            copied = f"{new.chunk_files_copied:,} of {new.chunk_files:,} chunk files at the destination"
        run = f"{size_text(new.bytes_copied)} copied in {time_text(new.elapsed)}"
        yield Line(level, f"{name}: {new.state_text}{reason}; {copied}; {run}", now)
    elif old is not None and old.state is TargetState.COMPLETE:
        yield Line(Level.INFO, f"{name}: {new.state_text} again: the source has changed")
    elif not (old is not None and old.state in _QUIET and new.state in _QUIET):
        yield Line(Level.INFO, f"{name}: {new.state_text}{reason}")
