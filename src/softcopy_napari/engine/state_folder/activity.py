"""The activity board of a user's engines, and the slots that they take on it."""

from __future__ import annotations

import logging
import os
import random
import threading

import psutil

from softcopy_napari.engine.activity_board import ActivityBoard, ActivitySlot
from softcopy_napari.engine.state_folder.folder import state_folder

log = logging.getLogger(__name__)
_claiming = threading.Lock()


def board_path() -> str:
    """Return the path of the board's file; empty where there can be none, and copies go without it."""
    try:
        path = os.fspath(state_folder() / "activity")
        ActivityBoard(path)
    except (OSError, ValueError) as error:
        log.warning("no activity board: %s", error)
        return ""
    return path


def claim_slot(board: ActivityBoard) -> ActivitySlot:
    """Take a slot of the board that belongs to no living process; if there is none, one that nobody else sees."""
    slots = list(enumerate(board.slots(), start=1))
    with _claiming:
        free = [(number, slot) for number, slot in slots if not _is_alive(slot.owner)]
        # By chance: two engines that start at the same moment hardly ever take the same one; then both still count.
        number, slot = random.choice(free[:8]) if free else (0, ActivitySlot.private())
        slot.claim(os.getpid())
    board.note_used(number)
    return slot


def _is_alive(pid: int) -> bool:
    return 0 < pid < 1 << 31 and psutil.pid_exists(pid)
