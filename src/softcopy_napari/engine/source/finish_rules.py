"""Decides whether an acquisition is finished. Pure functions of facts: the rules of docs/complete.md."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.source.transfer_manifest import MANIFEST
from softcopy_napari.engine.zarr_layout.file_names import MARKER

LEARNED_QUIET = 3600.0
"""Seconds of quiet that count as the end, at least, where something speaks against it."""
_TIMES_LONGEST_PAUSE = 4
_AFTER_END = 2.0
"""Seconds of quiet after the end of the source's own list: logs are closed then."""


class Against(Enum):
    """What speaks against a quiet source being finished although everything its metadata promise is there.

    In the order in which users are told of them; the value of each is the code for that.
    """

    RESUMED = ReasonCode.RESUMED
    """It was complete before, and then more came."""
    GREW = ReasonCode.GREW
    """An array's shape changed during this run."""
    CAME_LATER = ReasonCode.CAME_LATER
    """An array was made, or its shape changed, after data had been written."""
    REWRITTEN = ReasonCode.REWRITTEN
    """A chunk file was written again after it had been whole."""
    NOT_WHOLE = ReasonCode.NOT_WHOLE
    """A chunk file cannot be whole by its own bytes."""
    OUTSIDE = ReasonCode.OUTSIDE
    """A chunk file lies outside of the shape that the metadata tell."""
    ONE_ALONG_SLOWEST = ReasonCode.ONE_ALONG_SLOWEST
    """The slowest axis holds one chunk file only: each time point may be written into it."""
    EMPTY_ARRAY = ReasonCode.EMPTY_ARRAY
    """An array has no chunk files: it was made, and its acquisition may not have begun."""
    PLACEHOLDERS = ReasonCode.PLACEHOLDERS
    """Most chunk files of an array hold the same bytes: what stands there until the data come."""
    ONE_WELL = ReasonCode.ONE_WELL
    """A plate lists one well only: some software adds each well when it is begun."""
    UNLISTED = ReasonCode.UNLISTED
    """An array lies in a group whose metadata do not list what it holds: more may come beside it."""
    ANY_FILES = ReasonCode.ANY_FILES
    """It is a folder of any files: nothing tells how many there will be."""
    UNKNOWN_LAYOUT = ReasonCode.UNKNOWN_LAYOUT
    """An array's metadata do not tell where its chunk files lie, or how many there will be."""


_OF_FILES = {Against.REWRITTEN, Against.NOT_WHOLE, Against.OUTSIDE}
"""Objections to what happens to a file, not to an array."""


class Objection(NamedTuple):
    """One thing that speaks against the end of an acquisition."""

    kind: Against
    path: str
    """The array or file, relative to the source; empty for an array at its top."""


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What is known of a source when the question is asked."""

    told_to_finish: bool
    """Its user said so."""
    marker: bool
    """A file called `complete`, or what is set for it, says so, and no data are newer."""
    stale_marker: bool
    """There is such a file, but data came after it."""
    arrays: int
    absent: int
    """Chunk files that metadata promise and that are not there."""
    missing_nodes: int
    """Arrays and groups that OME metadata promise and that are not there."""
    temporaries: int
    """Locks and other temporaries of writers, and files that a writer has open."""
    quiet: float
    """Seconds for which nothing has changed, by the files' own times or since the last event."""
    temporary: str = ""
    """One of the temporaries, if there are any."""
    held_back: Reason | None = None
    """Why a file is not copied yet though nobody has it open; None where none is."""
    files: int | None = None
    """Files of a source that is a folder of any files; None where it is a zarr dataset."""
    listed_end: bool = False
    """The source's own list of its files says that nothing is written any more, and no data are newer."""
    objections: tuple[Objection, ...] = ()
    """What speaks against the end though everything is there."""
    longest_pause: float = 0.0
    """Longest time without a change between two changes, as far as it was seen, s."""
    marker_name: str = MARKER
    """The name of the file that marks the end."""


def finished_because(facts: SourceFacts, settle: float, finish_idle: float | None) -> Reason | None:
    """Say why nothing more will be written.

    Parameters
    ----------
    facts : SourceFacts
    settle : float
        Seconds of quiet after which a source with everything it promises counts as finished, if nothing speaks
        against it.
    finish_idle : float or None
        Seconds of quiet after which any source does, and before which none does by its quiet; None to go by `settle`.

    Returns
    -------
    Reason or None
        None while the acquisition may go on.
    """
    if facts.told_to_finish:
        return make_reason(ReasonCode.USER_SAID_OVER)
    if facts.marker:
        return make_reason(ReasonCode.MARKER_SAYS_OVER, marker=facts.marker_name)
    if facts.listed_end and facts.quiet >= min(settle, _AFTER_END):
        return make_reason(ReasonCode.MANIFEST_SAYS_OVER, file=MANIFEST)
    if finish_idle is not None:
        return make_reason(ReasonCode.QUIET, seconds=finish_idle) if facts.quiet >= finish_idle else None
    quiet = quiet_needed(facts, settle)
    if _all_there(facts) and facts.quiet >= quiet:
        return make_reason(ReasonCode.ALL_THERE_AND_QUIET, seconds=quiet)
    return None


def quiet_needed(facts: SourceFacts, settle: float) -> float:
    """Return the seconds of quiet after which a source with everything it promises counts as finished."""
    if not facts.objections:
        return settle
    return max(settle, LEARNED_QUIET, _TIMES_LONGEST_PAUSE * facts.longest_pause)


def waiting_for(facts: SourceFacts, settle: float, finish_idle: float | None) -> Reason:
    """Say what is waited for while everything that is there has been copied, and after which quiet it ends."""
    if not facts.arrays and not facts.objections:
        return make_reason(ReasonCode.NO_ARRAY)
    why = _what_is_missing(facts)
    if facts.stale_marker:
        why = make_reason(ReasonCode.MARKER_TOO_OLD, why=why, marker=facts.marker_name)
    if finish_idle is not None:
        return make_reason(ReasonCode.DONE_AFTER_QUIET, why=why, seconds=finish_idle)
    if _all_there(facts):
        return make_reason(ReasonCode.DONE_AFTER_QUIET, why=why, seconds=quiet_needed(facts, settle))
    return why


def _what_is_missing(facts: SourceFacts) -> Reason:
    if facts.missing_nodes:
        return make_reason(ReasonCode.NODES_TO_COME, nodes=facts.missing_nodes)
    if facts.absent:
        return make_reason(ReasonCode.CHUNKS_TO_COME, chunks=facts.absent)
    if facts.held_back is not None:
        return facts.held_back
    if facts.temporaries and facts.temporary:
        return make_reason(ReasonCode.FILE_IN_USE, path=facts.temporary)
    if facts.temporaries:
        return make_reason(ReasonCode.FILES_IN_USE)
    if facts.files == 0:
        return make_reason(ReasonCode.NO_FILE)
    if facts.objections:
        kind, path = facts.objections[0]
        field = "path" if kind in _OF_FILES else "array"
        objection = make_reason(kind.value, **{field: path})
        return make_reason(ReasonCode.ALL_THERE_BUT, objection=objection) if facts.arrays else objection
    return make_reason(ReasonCode.ALL_THERE)


def _all_there(facts: SourceFacts) -> bool:
    unknown = any(objection.kind is Against.UNKNOWN_LAYOUT for objection in facts.objections)
    return bool(facts.arrays or facts.files) and not (
        facts.absent or facts.missing_nodes or facts.temporaries or unknown
    )
