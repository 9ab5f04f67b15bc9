"""The life of a copied target as a state machine: phases, events, and one table of the transitions between them.

Pure: `next_phase` maps a phase and an event to the next phase and the actions that its job carries out.
`CompletionFacts.missing` is the one predicate that decides whether a target is complete.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Phase(Enum):
    """How far a target has come."""

    WAITING = auto()
    """The source does not exist yet, cannot be copied yet, or has gone."""
    COPYING = auto()
    """The acquisition is running, as far as is known."""
    CHECKING = auto()
    """The acquisition is finished: both sides are compared, and what is left is copied."""
    FLUSHING = auto()
    """The destination is asked to store what it still holds in memory."""
    SIGNING = auto()
    """The receipt is being written."""
    SIGNING_ALONE = auto()
    """The receipt is being written, and the source has gone meanwhile."""
    WATCHING = auto()
    """The copy is complete, and the source is still watched."""
    ENDED = auto()
    """The job is over: complete, failed or stopped."""


class Event(Enum):
    """What happens to a target."""

    SOURCE_READY = auto()
    """Source and destination are there."""
    SOURCE_LOST = auto()
    """The source's folder has gone, or another dataset has taken its place."""
    FINISHED = auto()
    """The acquisition is finished, by one of the rules."""
    UNFINISHED = auto()
    """The rule that said so no longer holds."""
    WORK_LEFT = auto()
    """Something has still to be read, copied, compared or waited for."""
    NOT_WALKED = auto()
    """No walk over both sides has begun and ended since the last change."""
    NOT_FLUSHED = auto()
    """Something was copied since the last flush."""
    NOT_SIGNED = auto()
    """There is no receipt for what is at the destination now."""
    NOTHING_MISSING = auto()
    """Everything above is done: complete."""
    FLUSHED = auto()
    """A flush has been answered, whether or not it worked."""
    SIGNED = auto()
    """The receipt has been written, or cannot be."""
    CHANGED = auto()
    """The source has changed since the copy was complete."""
    ENDS = auto()
    """The target failed, was stopped, or need not be watched any longer."""


class Action(Enum):
    """What the job does at a transition."""

    COPY = auto()
    """Note which source this is, and begin to copy."""
    FORGET_SOURCE = auto()
    """Stop watching the source, and remember how to recognise it when it comes back."""
    CHECK = auto()
    """Retry what failed, and walk over both sides."""
    WALK = auto()
    """Walk over both sides once more."""
    FLUSH = auto()
    """Ask for a flush of the destination."""
    SIGN = auto()
    """Begin to write the receipt."""
    ANNOUNCE = auto()
    """Report that the copy is complete."""
    RESUME = auto()
    """Withdraw that report, and forget the source as above."""


Transition = tuple[Phase, tuple[Action, ...]]

TRANSITIONS: dict[tuple[Phase, Event], Transition] = {
    (Phase.WAITING, Event.SOURCE_READY): (Phase.COPYING, (Action.COPY,)),
    (Phase.WAITING, Event.ENDS): (Phase.ENDED, ()),
    (Phase.COPYING, Event.SOURCE_LOST): (Phase.WAITING, (Action.FORGET_SOURCE,)),
    (Phase.COPYING, Event.FINISHED): (Phase.CHECKING, (Action.CHECK,)),
    (Phase.COPYING, Event.ENDS): (Phase.ENDED, ()),
    (Phase.CHECKING, Event.SOURCE_LOST): (Phase.WAITING, (Action.FORGET_SOURCE,)),
    (Phase.CHECKING, Event.UNFINISHED): (Phase.COPYING, ()),
    (Phase.CHECKING, Event.WORK_LEFT): (Phase.CHECKING, ()),
    (Phase.CHECKING, Event.NOT_WALKED): (Phase.CHECKING, (Action.WALK,)),
    (Phase.CHECKING, Event.NOT_FLUSHED): (Phase.FLUSHING, (Action.FLUSH,)),
    (Phase.CHECKING, Event.NOT_SIGNED): (Phase.SIGNING, (Action.SIGN,)),
    (Phase.CHECKING, Event.NOTHING_MISSING): (Phase.WATCHING, (Action.ANNOUNCE,)),
    (Phase.CHECKING, Event.ENDS): (Phase.ENDED, ()),
    (Phase.FLUSHING, Event.SOURCE_LOST): (Phase.WAITING, (Action.FORGET_SOURCE,)),
    (Phase.FLUSHING, Event.FLUSHED): (Phase.CHECKING, ()),
    (Phase.FLUSHING, Event.ENDS): (Phase.ENDED, ()),
    (Phase.SIGNING, Event.SOURCE_LOST): (Phase.SIGNING_ALONE, (Action.FORGET_SOURCE,)),
    (Phase.SIGNING, Event.SIGNED): (Phase.CHECKING, ()),
    (Phase.SIGNING, Event.ENDS): (Phase.ENDED, ()),
    # Complete only if nothing more was learned of the source after the receipt had been begun.
    (Phase.SIGNING_ALONE, Event.NOTHING_MISSING): (Phase.ENDED, (Action.ANNOUNCE,)),
    (Phase.SIGNING_ALONE, Event.CHANGED): (Phase.WAITING, ()),
    (Phase.SIGNING_ALONE, Event.ENDS): (Phase.ENDED, ()),
    # The destination has lost this copy's mark, so anything may have happened there: begin anew.
    (Phase.WATCHING, Event.CHANGED): (Phase.WAITING, (Action.RESUME,)),
    (Phase.WATCHING, Event.SOURCE_LOST): (Phase.ENDED, ()),
    (Phase.WATCHING, Event.ENDS): (Phase.ENDED, ()),
}
"""All transitions. The job never lets an event happen that its phase has no transition for."""

_IGNORED: frozenset[tuple[Phase, Event]] = frozenset(
    {
        *((phase, Event.FLUSHED) for phase in Phase if phase is not Phase.FLUSHING),
        *((phase, Event.SIGNED) for phase in Phase if phase is not Phase.SIGNING),
        (Phase.WAITING, Event.SOURCE_LOST),
        (Phase.SIGNING_ALONE, Event.SOURCE_LOST),
        *((Phase.ENDED, event) for event in Event),
    }
)
"""Events that change nothing: answers that nobody waits for any more, and what is known already."""


class ImpossibleEvent(Exception):
    """An event cannot happen in this phase: an error in softcopy itself."""


def next_phase(phase: Phase, event: Event) -> Transition:
    """Return the phase that follows, and the actions to take.

    Raises
    ------
    ImpossibleEvent
        The event cannot happen in this phase.
    """
    if (phase, event) in _IGNORED:
        return phase, ()
    try:
        return TRANSITIONS[phase, event]
    except KeyError:
        raise ImpossibleEvent(f"{event.name} while {phase.name}") from None


@dataclass(frozen=True, slots=True)
class CompletionFacts:
    """All that decides whether a copy is complete.

    `changes` counts whatever was learned about either side. It dates what was done: a walk or a receipt from before
    the last change proves nothing.
    """

    unread: bool
    """Whether events of the source have not been processed yet."""
    unfinished: int
    """Files that are being written or copied, or wait to be copied."""
    unproven: bool
    """Whether files are still to be read back."""
    failed: int
    """Files that could not be copied so far."""
    busy: bool
    """Whether workers are at work, or folders wait to be compared."""
    changes: int
    """How often anything was learned or done."""
    walked: int | None
    """The count of changes when the last walk over everything began; None if there was none, or it met a folder that
    it could not list."""
    published: int
    """Files published or deleted at the destination so far."""
    flushed: int
    """Files published so far when the last successful flush was asked for."""
    signed: int | None
    """The count of changes when the present receipt was begun; None if there is none."""
    blind: bool = False
    """Whether changes of the source may go unreported: then a walk after the last flush must confirm what one before it
    has found."""
    walks: int = 0
    """Walks over everything that have begun so far."""
    walks_at_flush: int = 0
    """Walks begun so far when the last successful flush was asked for."""

    @property
    def missing(self) -> Event:
        """The first thing that is missing for the copy to be complete."""
        if self.unread or self.unfinished or self.unproven or self.failed or self.busy:
            return Event.WORK_LEFT
        if self.walked != self.changes:
            return Event.NOT_WALKED
        if self.flushed != self.published:
            return Event.NOT_FLUSHED
        if self.blind and self.walks <= self.walks_at_flush:
            return Event.NOT_WALKED
        if self.signed != self.changes:
            return Event.NOT_SIGNED
        return Event.NOTHING_MISSING
