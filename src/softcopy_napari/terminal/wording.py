"""What a terminal says otherwise than engine/wording.py: which command to type."""

from __future__ import annotations

from softcopy_napari.engine.english_details import Wording
from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.reasons import ReasonCode
from softcopy_napari.engine.wording import describe

RUN_AGAIN = "Run again to continue"
_OVER_ALREADY = "Over already? `softcopy finish`"

TERMINAL: Wording = {
    ReasonCode.STOPPED: RUN_AGAIN,
}


def explain_state(target: TargetSnapshot) -> str:
    """Say why a target is in its state, and what its user can do about it from a terminal."""
    words = describe(target.why, TERMINAL)
    return ". ".join(filter(None, (words, _OVER_ALREADY))) if target.can_finish else words


def foreign_words(pid: int) -> str:
    """Return a message that an engine is of another version of softcopy."""
    return f"the copy engine (process {pid}) is of another version and cannot be shown"
