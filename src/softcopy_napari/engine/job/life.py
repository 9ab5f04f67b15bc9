"""A copied target's life as a state machine: phases, events, and one table of the transitions between them.

Pure: `next_phase` maps a phase and an event to the next phase and the orders that its job carries out.
`Knowledge.missing` is the one predicate that decides whether a target is complete.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Phase(Enum):
    """Where a target stands."""

    WAITING = auto()
    """Its source is not there, cannot be copied yet, or has gone."""
    COPYING = auto()
    """The acquisition goes on, as far as is known."""
    CHECKING = auto()
    """The acquisition is finished: everything is compared and what is left is copied."""
    FLUSHING = auto()
    """The destination's disk is told to write down what it holds in memory."""
    SIGNING = auto()
    """The receipt is being written."""
    SIGNING_ALONE = auto()
    """The same, and the source has gone meanwhile."""
    WATCHING = auto()
    """Complete; the source is watched on."""
    ENDED = auto()


class Event(Enum):
    """What happens to a target."""

    SOURCE_READY = auto()
    """Source and destination are there."""
    SOURCE_LOST = auto()
    FINISHED = auto()
    """The acquisition is finished, by one of the rules."""
    UNFINISHED = auto()
    """What said that it is finished holds no longer."""
    WORK_LEFT = auto()
    """Something is still to be read, copied, compared or waited for."""
    NOT_WALKED = auto()
    """No walk over both sides has begun and ended since the last change."""
    NOT_FLUSHED = auto()
    """Something was copied since the last flush."""
    NOT_SIGNED = auto()
    """There is no receipt of what lies there now."""
    NOTHING_MISSING = auto()
    """Everything above is done: complete."""
    FLUSHED = auto()
    SIGNED = auto()
    """The receipt is written, or cannot be."""
    CHANGED = auto()
    """The source has changed since the target was complete."""
    ENDS = auto()
    """It failed, was stopped, or need not be watched any longer."""


class Order(Enum):
    """What a transition has the job do."""

    COPY = auto()
    """Note which source it is, and begin to copy."""
    FORGET_SOURCE = auto()
    """Stop watching it, and remember by what it is known again."""
    CHECK = auto()
    """Let writers finish what they have open, and walk over both sides."""
    WALK = auto()
    """Walk over both sides once more."""
    FLUSH = auto()
    SIGN = auto()
    ANNOUNCE = auto()
    """Say that the target is complete."""
    RESUME = auto()
    """Take back that it is, and forget the source as above."""


Transition = tuple[Phase, tuple[Order, ...]]

TRANSITIONS: dict[tuple[Phase, Event], Transition] = {
    (Phase.WAITING, Event.SOURCE_READY): (Phase.COPYING, (Order.COPY,)),
    (Phase.WAITING, Event.ENDS): (Phase.ENDED, ()),
    (Phase.COPYING, Event.SOURCE_LOST): (Phase.WAITING, (Order.FORGET_SOURCE,)),
    (Phase.COPYING, Event.FINISHED): (Phase.CHECKING, (Order.CHECK,)),
    (Phase.COPYING, Event.ENDS): (Phase.ENDED, ()),
    (Phase.CHECKING, Event.SOURCE_LOST): (Phase.WAITING, (Order.FORGET_SOURCE,)),
    (Phase.CHECKING, Event.UNFINISHED): (Phase.COPYING, ()),
    (Phase.CHECKING, Event.WORK_LEFT): (Phase.CHECKING, ()),
    (Phase.CHECKING, Event.NOT_WALKED): (Phase.CHECKING, (Order.WALK,)),
    (Phase.CHECKING, Event.NOT_FLUSHED): (Phase.FLUSHING, (Order.FLUSH,)),
    (Phase.CHECKING, Event.NOT_SIGNED): (Phase.SIGNING, (Order.SIGN,)),
    (Phase.CHECKING, Event.NOTHING_MISSING): (Phase.WATCHING, (Order.ANNOUNCE,)),
    (Phase.CHECKING, Event.ENDS): (Phase.ENDED, ()),
    (Phase.FLUSHING, Event.SOURCE_LOST): (Phase.WAITING, (Order.FORGET_SOURCE,)),
    (Phase.FLUSHING, Event.FLUSHED): (Phase.CHECKING, ()),
    (Phase.FLUSHING, Event.ENDS): (Phase.ENDED, ()),
    (Phase.SIGNING, Event.SOURCE_LOST): (Phase.SIGNING_ALONE, (Order.FORGET_SOURCE,)),
    (Phase.SIGNING, Event.SIGNED): (Phase.CHECKING, ()),
    (Phase.SIGNING, Event.ENDS): (Phase.ENDED, ()),
    # What was known when the source went away may be all there is to know, and then it is complete; or not.
    (Phase.SIGNING_ALONE, Event.NOTHING_MISSING): (Phase.ENDED, (Order.ANNOUNCE,)),
    (Phase.SIGNING_ALONE, Event.CHANGED): (Phase.WAITING, ()),
    (Phase.SIGNING_ALONE, Event.ENDS): (Phase.ENDED, ()),
    # Nothing marks the destination as this copy's any more, and anything may have happened: it begins anew.
    (Phase.WATCHING, Event.CHANGED): (Phase.WAITING, (Order.RESUME,)),
    (Phase.WATCHING, Event.SOURCE_LOST): (Phase.ENDED, ()),
    (Phase.WATCHING, Event.ENDS): (Phase.ENDED, ()),
}
"""Everything that may happen. What is not here must not: the job asks only for what its phase allows."""

_TOO_LATE: frozenset[tuple[Phase, Event]] = frozenset(
    {
        *((phase, Event.FLUSHED) for phase in Phase if phase is not Phase.FLUSHING),
        *((phase, Event.SIGNED) for phase in Phase if phase is not Phase.SIGNING),
        (Phase.WAITING, Event.SOURCE_LOST),
        (Phase.SIGNING_ALONE, Event.SOURCE_LOST),
        *((Phase.ENDED, event) for event in Event),
    }
)
"""Answers to what is no longer waited for, and what was known already: they change nothing."""


class Forbidden(Exception):
    """An event that cannot happen in this phase: an error in softcopy itself."""


def next_phase(phase: Phase, event: Event) -> Transition:
    """Return the phase that follows, and what is to be done.

    Raises
    ------
    Forbidden
        The event cannot happen in this phase.
    """
    if (phase, event) in _TOO_LATE:
        return phase, ()
    try:
        return TRANSITIONS[phase, event]
    except KeyError:
        raise Forbidden(f"{event.name} while {phase.name}") from None


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Everything that is known of a target and matters for whether it is complete.

    `changes` counts whatever was learned of either side. What was done is dated by it: a walk, a flush or a receipt
    of before the last change proves nothing.
    """

    unread: bool
    """Whether events of the source, or answers of workers, wait to be taken in."""
    unfinished: int
    """Files that are being written, wait to be copied, or are being copied."""
    unproven: bool
    """Whether files are still to be read back."""
    failed: int
    """Files that could not be copied so far, and were not given up."""
    busy: bool
    """Whether workers are at work, walks under way, or looks due."""
    changes: int
    walked: int | None
    """The count of changes when the last walk over everything began; None where there was none, or it found something
    to do, or a folder that it could not list."""
    published: int
    """Files published or deleted at the destination so far."""
    flushed: int
    """The same when the last flush that succeeded was asked for."""
    signed: int | None
    """The count of changes when the receipt that lies there was begun; None where there is none."""
    blind: bool = False
    """Whether changes of the source may not be heard of: then a walk after the last flush must confirm it."""
    walks: int = 0
    """Walks over everything begun so far."""
    walks_at_flush: int = 0
    """The same when the last flush was asked for."""

    @property
    def missing(self) -> Event:
        """Say what stands between this and complete, the first thing first."""
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
