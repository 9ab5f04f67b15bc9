"""Decides whether an acquisition is finished. Pure functions of facts: the rules of docs/complete.md."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

LEARNED_QUIET = 3600.0
"""Seconds of quiet that count as the end, at least, where something speaks against it."""
_TIMES_LONGEST_PAUSE = 4


class Against(Enum):
    """What speaks against a quiet source being finished although everything its metadata promise is there."""

    RESUMED = auto()
    """It was complete before, and then more came."""
    GREW = auto()
    """An array's shape changed during this run."""
    CAME_LATER = auto()
    """An array was made, or its shape changed, after data had been written."""
    REWRITTEN = auto()
    """A chunk file was written again after it had been whole."""
    NOT_WHOLE = auto()
    """A chunk file cannot be whole by its own bytes."""
    OUTSIDE = auto()
    """A chunk file lies outside of the shape that the metadata tell."""
    ONE_ALONG_SLOWEST = auto()
    """The slowest axis holds one chunk file only: each time point may be written into it."""
    EMPTY_ARRAY = auto()
    """An array has no chunk files: it was made, and its acquisition may not have begun."""
    PLACEHOLDERS = auto()
    """Most chunk files of an array hold the same bytes: what stands there until the data come."""
    UNLISTED = auto()
    """An array lies in a group whose metadata do not list what it holds: more may come beside it."""
    UNKNOWN_LAYOUT = auto()
    """An array's metadata do not tell where its chunk files lie, or how many there will be."""


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
    """A file called `complete` says so, and no data are newer."""
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
    objections: tuple[Objection, ...] = ()
    """What speaks against the end though everything is there."""
    longest_pause: float = 0.0
    """Longest time without a change between two changes, as far as it was seen, s."""


def finished_because(facts: SourceFacts, settle: float, finish_idle: float | None) -> str:
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
    str
        The reason, in words for a user; empty while the acquisition may go on.
    """
    if facts.told_to_finish:
        return "you said that the acquisition is finished"
    if facts.marker:
        return "a file named 'complete' says that the acquisition is finished"
    if finish_idle is not None:
        return f"nothing has changed for {finish_idle:g} s" if facts.quiet >= finish_idle else ""
    quiet = quiet_needed(facts, settle)
    if _all_there(facts) and facts.quiet >= quiet:
        return f"every chunk file is there and nothing has changed for {_time(quiet)}"
    return ""


def quiet_needed(facts: SourceFacts, settle: float) -> float:
    """Return the seconds of quiet after which a source with everything it promises counts as finished."""
    if not facts.objections:
        return settle
    return max(settle, LEARNED_QUIET, _TIMES_LONGEST_PAUSE * facts.longest_pause)


def waiting_for(facts: SourceFacts, settle: float, finish_idle: float | None) -> str:
    """Say what is waited for while everything that is there has been copied, and after which quiet it ends."""
    if not facts.arrays and not facts.objections:
        return "no zarr array yet"
    if facts.missing_nodes:
        what = f"images or wells still to come: {facts.missing_nodes:,}"
    elif facts.absent:
        what = f"chunk files still to come: {facts.absent:,}"
    elif facts.temporaries:
        what = f"{facts.temporary} is open or locked by its writer" if facts.temporary else "a writer has files open"
    elif facts.objections:
        what = f"{'all chunk files are there, but ' if facts.arrays else ''}{_against(facts.objections[0])}"
    else:
        what = "all chunk files are there"
    if facts.stale_marker:
        what += "; the file named 'complete' is older than the data"
    if finish_idle is not None:
        return f"{what}; done after {_time(finish_idle)} without a change"
    if _all_there(facts):
        return f"{what}; done after {_time(quiet_needed(facts, settle))} without a change"
    return what


def _all_there(facts: SourceFacts) -> bool:
    unknown = any(objection.kind is Against.UNKNOWN_LAYOUT for objection in facts.objections)
    return bool(facts.arrays) and not (facts.absent or facts.missing_nodes or facts.temporaries or unknown)


def _against(objection: Objection) -> str:
    """Say what speaks against the end, in words that follow "but"."""
    kind, path = objection
    array = f"array {path}" if path else "the array"
    match kind:
        case Against.RESUMED:
            return "more came after the copy was complete"
        case Against.GREW:
            return f"{array} grows while it is acquired"
        case Against.CAME_LATER:
            return f"{array} was made or resized after other data were written: more may come"
        case Against.REWRITTEN:
            return f"{path} was written more than once"
        case Against.NOT_WHOLE:
            return f"{path} is not whole yet"
        case Against.OUTSIDE:
            return f"{path} lies outside of its array's shape: the array may grow"
        case Against.ONE_ALONG_SLOWEST:
            return f"{array} has one chunk file along its slowest axis, which may be written again"
        case Against.EMPTY_ARRAY:
            return f"{array} is empty: its acquisition may not have begun"
        case Against.PLACEHOLDERS:
            return f"most chunk files of {array} hold the same bytes, as if they were to be filled later"
        case Against.UNLISTED:
            return f"{array} lies in a group that does not list its images: more may come"
        case Against.UNKNOWN_LAYOUT:
            return f"{array} does not tell how many chunk files it will have"


def _time(seconds: float) -> str:
    if seconds >= 3600:
        return f"{seconds / 3600:.3g} h"
    return f"{seconds / 60:g} min" if seconds >= 120 and seconds % 60 == 0 else f"{seconds:g} s"
