"""What happens to the files of a source, as every watcher tells it, and the queue in which that waits for the job."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from enum import Enum, auto
from pathlib import Path
from typing import Protocol

from softcopy_napari.engine.fs.file_system_type import identify_file_system
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason


class FileEvent(Enum):
    """What happened to a file or folder of the source."""

    OPENED = auto()
    """It was created; its writer has it open."""
    WRITTEN = auto()
    """Its writer closed it."""
    RENAMED = auto()
    """It got this name, whole."""
    MODIFIED = auto()
    """Its content changes; only where the system does not tell of closing."""
    DELETED = auto()
    FOLDER = auto()
    """A folder appeared."""
    FOLDER_RENAMED = auto()
    """A folder has another name than before; both are told, with a NUL in between."""
    LOST = auto()
    """Events were lost: anything may have happened."""
    ROOT_GONE = auto()
    """The source itself was removed, renamed or unmounted."""
    ROOT_DELETED = auto()
    """The source itself was removed, for certain."""


class Watcher(Protocol):
    """Watches a source; `events` holds what the job has not read yet, with paths `/` separated and relative to it."""

    events: deque[tuple[FileEvent, str]]
    problem: Reason | None
    """Why some folders cannot be watched, in words for the user; empty while all can."""
    tells_closing: bool
    """Whether WRITTEN is reported; where it is not, a file counts as written after a quiet time."""

    @property
    def unread(self) -> bool:
        """Whether the system has reported something that is not among `events` yet."""

    def pop_hold_times(self) -> list[float]:
        """Return for how long the writer had files open (s), see `BurstMeter.pop_hold_times`."""

    def watch(self, folder: str) -> bool:
        """Watch a folder for what happens directly in it, from now on; return whether it was not watched before."""

    def let_go(self, folders: Iterable[str]) -> None:
        """Watch some folders no longer, but those in them."""

    def stop(self) -> None:
        """End watching."""


class EventQueue:
    """Events on their way from the watching thread to the job."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self.events: deque[tuple[FileEvent, str]] = deque()
        self.wake = wake

    def put(self, event: FileEvent, path: str) -> None:
        """Queue an event; who queues several wakes the job after the last."""
        self.events.append((event, path))


def share_problem(source: Path) -> Reason | None:
    """Return a problem where a source lies on a network share: nobody hears of what other machines do there."""
    lies_on = identify_file_system(os.fspath(source))
    if not lies_on.is_share:
        return None
    return make_reason(ReasonCode.SOURCE_ON_SHARE, kind=lies_on.kind)
