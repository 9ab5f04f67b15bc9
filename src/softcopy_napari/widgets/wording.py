"""What napari says otherwise than engine/wording.py: which button to press. No Qt."""

from __future__ import annotations

from softcopy_napari.engine.english_details import Wording
from softcopy_napari.engine.formatting import count_text
from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.reasons import ReasonCode
from softcopy_napari.engine.states import TargetState
from softcopy_napari.engine.wording import describe

_OVER_ALREADY = "Over already? Press Acquisition is over"
_EQUAL = "Equal all the same? Press Compare by content"

NAPARI: Wording = {
    ReasonCode.STOPPED: "Press Start to continue",
    ReasonCode.ENDED_BY_SYSTEM: "The system ended it, as at logout or shutdown. Press Start to continue",
    ReasonCode.NO_METADATA: (
        "holds no zarr metadata yet (zarr.json, .zarray or .zgroup; New copy can copy it as a folder of any files)"
    ),
    ReasonCode.OTHER_DATASET: "destination {destination} holds another dataset, not a copy of {source}: {difference}",
}


def explain_state(target: TargetSnapshot) -> str:
    """Say why a target is in its state, which button its user can press about it, and what is left to copy."""
    words = describe(target.why, NAPARI)
    if target.can_finish:
        words = ". ".join(filter(None, (words, _OVER_ALREADY)))
    found = target.findings
    if target.state is TargetState.INCOMPLETE and found is not None and (found.chunk_files_times or found.other_times):
        words = f"{words}. {_EQUAL}"
    if target.state is TargetState.STOPPED and found is None and (left := target.files_left):
        words = f"{count_text(left, 'file')} left to copy. {words}"
    return words
