"""Decides what is worth a notification: pure functions of snapshots, of what was said before, and of the clock.

A condition is said once when it has held for long enough, and again only after it was over for long enough: so a state
that flaps, or an engine that is restarted again and again, is one message.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.states import TargetState
from softcopy_napari.engine.targets.notify import NotifyEvent, NotifyRules

REST = 1800.0
"""Seconds for which a thing must be over before it is said again."""
LONG_REST = 6 * 3600.0
"""The same for forecasts, which waver, and for what fails again and again without having copied anything."""
_FORECAST_HOLDS = 60.0
"""Seconds for which a forecast must be so."""

_HELD_UP = frozenset(
    {
        ReasonCode.NO_ANSWER,
        ReasonCode.SOURCE_GONE,
        ReasonCode.SOURCE_UNREADABLE,
        ReasonCode.SOURCE_DIFFERS,
        ReasonCode.WORKER_STUCK,
        ReasonCode.WORKERS_CANNOT_START,
    }
)
"""What keeps a copy from going on whatever state it is shown in."""
_FULL_DISKS: dict[str, str] = {
    ReasonCode.NOT_ENOUGH_SPACE: "destination",
    ReasonCode.NOT_ENOUGH_SPACE_FOR_ALL: "destination",
    ReasonCode.SOURCE_DISK_FILLS: "source",
    ReasonCode.SOURCE_DISK_TOO_SMALL: "source",
}


class Condition(NamedTuple):
    """Something that is so now, and that may be worth a notification."""

    event: NotifyEvent
    detail: str
    """Tells it from others of the same event; two that differ in it are two messages."""
    why: Reason | None
    hold: float = 0.0
    """Seconds for which it must be so without a break before it is said."""
    rest: float = REST
    """Seconds for which it must be over before it may be said again."""

    @property
    def key(self) -> str:
        """What it is called among those of a target."""
        return f"{self.event}:{self.detail}"


class Trace(NamedTuple):
    """What is remembered of a condition; Unix times."""

    since: float
    """When it began to be so without a break."""
    last: float
    """When it was seen last."""
    on: bool
    """Whether it was so at the last look."""
    said: bool


def find_conditions(target: TargetSnapshot, rules: NotifyRules) -> list[Condition]:
    """Return what is the case with a target, as far as its user wants to hear of it."""
    return [one for one in _all_conditions(target, rules) if one.event in rules.events]


def _all_conditions(target: TargetSnapshot, rules: NotifyRules) -> Iterator[Condition]:
    why = target.why
    code = why.code if why is not None else ""
    copied = target.files_copied > 0
    match target.state:
        case TargetState.COMPLETE:
            # The same command given again, with nothing left to copy, is no news whenever that is.
            yield Condition(NotifyEvent.DONE, "", why, rest=REST if copied else math.inf)
        case TargetState.FAILED | TargetState.INCOMPLETE:
            yield Condition(NotifyEvent.FAILED, code, why, rest=REST if copied else LONG_REST)
        case TargetState.STOPPED if target.ended_by_system:
            yield Condition(NotifyEvent.DIED, "", why, rest=REST if copied else LONG_REST)
    if target.not_freed is not None:
        yield Condition(NotifyEvent.NOT_FREED, "", target.not_freed, rest=LONG_REST)
    if target.state.ended:
        return
    held_up = code in _HELD_UP or (target.state is TargetState.PAUSED and why is not None)
    if held_up:
        yield Condition(NotifyEvent.PAUSED, "", why, rules.paused, max(REST, 2 * rules.paused))
    elif target.state in (TargetState.CAUGHT_UP, TargetState.WAITING):
        silence = target.elapsed if target.quiet is None else target.quiet
        if silence >= rules.quiet:
            nothing = make_reason(ReasonCode.NOTHING_CAME, seconds=round(silence))
            # A microscope that pauses for longer than that after each time point is over it for just as long.
            yield Condition(NotifyEvent.QUIET, "", nothing, rest=max(REST, 2 * rules.quiet))
    said = set()
    for danger in target.forecast.dangers:
        disk = _FULL_DISKS.get(danger.code)
        if disk is not None and disk not in said:
            said.add(disk)
            yield Condition(NotifyEvent.NO_SPACE, disk, danger, _FORECAST_HOLDS, LONG_REST)


def advance(
    traces: Mapping[str, Trace], conditions: Iterable[Condition], now: float
) -> tuple[dict[str, Trace], list[Condition]]:
    """Note what is the case now, and return what is to be said of it.

    Parameters
    ----------
    traces : mapping of str to Trace
        What is remembered of one target's conditions, by key.
    conditions : iterable of Condition
        What is so at this moment.
    now : float
        Unix time.

    Returns
    -------
    traces : dict of str to Trace
    to_say : list of Condition
    """
    after = {key: trace._replace(on=False) for key, trace in traces.items()}
    to_say = []
    for condition in conditions:
        old = traces.get(condition.key)
        if old is None or (not old.on and now - old.last >= condition.rest):
            trace = Trace(now, now, True, False)
        else:
            trace = Trace(old.since if old.on else now, now, True, old.said)
        if not trace.said and now - trace.since >= condition.hold:
            trace = trace._replace(said=True)
            to_say.append(condition)
        after[condition.key] = trace
    return after, to_say
