"""Chooses how a source is watched for what is created, written, renamed and deleted in it.

Walks find what events miss. See docs/dev/watching.md for what each system reports
and what it costs.
"""

from __future__ import annotations

import errno
import logging
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from softcopy_napari.engine.activity_board import ActivitySlot
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.watch.events import EventQueue, Watcher

if sys.platform == "linux":
    from softcopy_napari.engine.watch.linux import LinuxWatcher
else:
    from softcopy_napari.engine.watch.portable import PortableWatcher

log = logging.getLogger(__name__)


def make_watcher(
    source: Path, wake: Callable[[], None], follow_links: bool = False, slot: ActivitySlot | None = None
) -> Watcher:
    """Make the best watcher for this system.

    Parameters
    ----------
    source : Path
        An existing folder.
    wake : callable
        Called from another thread when `events` was empty and no longer is.
    follow_links : bool
        Whether folders to be watched may be links; not every system can watch those.
    slot : ActivitySlot, optional
        Where it says when the source's writer is at work.

    Raises
    ------
    OSError
        The source cannot be watched at all.
    """
    if sys.platform == "linux":
        try:
            return LinuxWatcher(source, wake, follow_links, slot)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EMFILE):
                raise
            return NoWatcher(wake)
    else:
        return PortableWatcher(source, wake, slot)


class NoWatcher(EventQueue):
    """Sees nothing: there are no watches left. Walks find what it does not."""

    tells_closing = False
    unread = False
    problem: Reason | None = make_reason(ReasonCode.FOLDERS_NOT_WATCHED)

    def pop_hold_times(self) -> list[float]:
        """Return nothing."""
        return []

    def watch(self, folder: str) -> bool:
        """Do nothing."""
        return False

    def let_go(self, folders: Iterable[str]) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""
