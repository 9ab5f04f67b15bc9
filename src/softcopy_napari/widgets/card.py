"""What a target's card says: its state in a few words, a tone, progress, and figures. No painting."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from enum import Enum, auto

from softcopy_napari.engine.formatting import clock_text, count_text, size_text, time_text
from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.reasons import Reason, ReasonCode
from softcopy_napari.engine.states import TargetState
from softcopy_napari.engine.targets.store_url import label_of, name_of
from softcopy_napari.engine.wording import describe
from softcopy_napari.widgets.palette import Tone
from softcopy_napari.widgets.target_row import Action, Row
from softcopy_napari.widgets.wording import explain_state

DOT = " \u00b7 "
_SHOWN = 5
"""Notices and failures in a tooltip."""
_RATE_SHOWN = 50_000.0
"""Bytes a second below which no speed is told."""


class Icon(Enum):
    """The sign at the left of a card."""

    ARROW = auto()
    """Data move."""
    CHECK = auto()
    CLOCK = auto()
    ALARM = auto()
    BARS = auto()
    """Paused."""
    SQUARE = auto()
    """Stopped."""
    CIRCLE = auto()
    """Not started."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """How far a copy is along the axis of its acquisition."""

    text: str
    """Such as `t 86 of 600`, `75 time points` or `4 of 12 wells`."""
    open_ended: bool = False
    """Whether nobody knows how much is to come: then there is no share of it."""


@dataclass(frozen=True, slots=True)
class Card:
    """What a card shows."""

    name: str
    destination: str
    tone: Tone
    icon: Icon
    headline: str
    """The state in a few words."""
    facts: str = ""
    """Figures, or what is to be done."""
    details: str = ""
    """The reason of the state in full, forecasts and warnings, in lines."""
    fraction: float | None = None
    """The share that has arrived, 0 to 1; None where that is not known."""
    striped: bool = False
    """Whether it is at work and the total is not known."""
    flickers: bool = False
    """Whether its state may come and go within moments: it is shown when it has lasted."""
    actions: tuple[Action, ...] = ()
    """Buttons on the card, beside that of the menu."""
    tip: str = ""

    @property
    def short(self) -> str:
        """The state where there is little room."""
        return _SHORT.get(self.headline, self.headline)

    @property
    def text(self) -> str:
        """All of it in one line, for screen readers and scripts."""
        return f"{self.name}: {self.headline}" + (f". {self.facts}" if self.facts else "")


_WORLD: dict[str, tuple[Tone, str]] = {
    ReasonCode.DESTINATION_FULL: (Tone.NEEDS_USER, "Disk full"),
    ReasonCode.DESTINATION_NO_FILES: (Tone.NEEDS_USER, "Disk takes no more files"),
    ReasonCode.DESTINATION_QUOTA: (Tone.NEEDS_USER, "Quota used up"),
    ReasonCode.DESTINATION_READ_ONLY: (Tone.NEEDS_USER, "Destination is read-only"),
    ReasonCode.DESTINATION_UNREACHABLE: (Tone.NEEDS_USER, "Destination is away"),
    ReasonCode.SOURCE_GONE: (Tone.NEEDS_USER, "Source is gone"),
    ReasonCode.SOURCE_DIFFERS: (Tone.NEEDS_USER, "Another dataset at the source"),
    ReasonCode.SOURCE_NOT_A_FOLDER: (Tone.NEEDS_USER, "Source is not a folder"),
    ReasonCode.SOURCE_UNREADABLE: (Tone.NEEDS_USER, "Source cannot be read"),
    ReasonCode.BAD_METADATA: (Tone.NEEDS_USER, "Metadata cannot be read"),
    ReasonCode.NO_ANSWER: (Tone.WAITS, "Disk does not answer"),
}
"""States of the world, which are not the copy's own, by the code of the reason."""

_SHORT = {
    "Waiting for the microscope": "Waiting",
    "Live, up to date": "Live",
    "Checking the copy": "Checking",
    "Freeing the source": "Freeing",
    "Copying crashed": "Crashed",
    "Disk takes no more files": "Disk full",
    "Destination is read-only": "Read-only",
    "Destination is away": "Away",
    "Another dataset at the source": "Wrong dataset",
    "Source is not a folder": "Not a folder",
    "Source cannot be read": "Unreadable",
    "Metadata cannot be read": "Unreadable",
    "Disk does not answer": "No answer",
}
"""Headlines in fewer letters."""

_STATES: dict[TargetState, tuple[Tone, Icon, str]] = {
    TargetState.WAITING: (Tone.WAITS, Icon.CLOCK, "Waiting for the microscope"),
    TargetState.COPYING: (Tone.LIVE, Icon.ARROW, "Copying"),
    TargetState.CAUGHT_UP: (Tone.LIVE, Icon.ARROW, "Live, up to date"),
    TargetState.FINISHING: (Tone.LIVE, Icon.ARROW, "Finishing"),
    TargetState.CHECKING: (Tone.LIVE, Icon.ARROW, "Checking"),
    TargetState.COMPLETE: (Tone.DONE, Icon.CHECK, "Done"),
    TargetState.PAUSED: (Tone.PAUSED, Icon.BARS, "Paused"),
    TargetState.INCOMPLETE: (Tone.NEEDS_USER, Icon.ALARM, "Differs"),
    TargetState.FAILED: (Tone.NEEDS_USER, Icon.ALARM, "Failed"),
    TargetState.STOPPED: (Tone.PAUSED, Icon.SQUARE, "Stopped"),
}


def make_card(row: Row, arrival: Arrival | None = None) -> Card:
    """Return what a target's card shows.

    Parameters
    ----------
    row : Row
    arrival : Arrival, optional
        How far it is along the axis of its acquisition, where that is known.
    """
    place = label_of(row.destination)
    card = Card(row.name, place, Tone.IDLE, Icon.CIRCLE, "Not started", actions=(Action.START,))
    if row.starting:
        card = replace(card, tone=Tone.LIVE, icon=Icon.ARROW, headline="Starting", actions=())
    elif row.problem:
        card = replace(
            card, tone=Tone.NEEDS_USER, icon=Icon.ALARM, headline="Cannot start", facts=_short(row, row.problem)
        )
        card = replace(card, details=_first(row.problem), actions=(Action.START, Action.REMOVE))
    elif row.lost:
        card = replace(card, tone=Tone.NEEDS_USER, icon=Icon.ALARM, headline="Copying crashed")
        card = replace(card, facts="Press Resume; nothing is lost", actions=(Action.RESUME, Action.REMOVE))
        card = replace(card, details=card.facts, fraction=_fraction(row, arrival))
    elif row.freed_so_far is not None:
        card = _of_freeing(row, card, row.freed_so_far)
    elif row.snapshot is not None:
        card = _of_state(row, row.snapshot, arrival)
    return replace(card, tip=_tip(row, card))


def _of_freeing(row: Row, card: Card, how_far: Reason) -> Card:
    """Return the card of a target whose source is being freed."""
    words = _first(describe(how_far).removeprefix("freeing the source: "))
    fields = dict(how_far.fields)
    files, total = fields.get("files"), fields.get("total")
    counted = isinstance(files, int) and isinstance(total, int) and total > 0
    return replace(
        card,
        tone=Tone.LIVE if counted else Tone.WAITS,
        icon=Icon.ARROW if counted else Icon.CLOCK,
        headline="Freeing the source",
        facts=_short(row, words),
        details=words,
        fraction=files / total if counted else None,  # type: ignore[operator]
        actions=(Action.STOP,),
    )


def _of_state(row: Row, target: TargetSnapshot, arrival: Arrival | None) -> Card:
    tone, icon, headline = _STATES[target.state]
    code = target.why.code if target.why is not None else ""
    world = None if target.state.ended else _WORLD.get(code)
    live = not target.state.ended
    if world is not None:
        tone, headline = world
        icon = Icon.ALARM if tone is Tone.NEEDS_USER else Icon.CLOCK
    elif code == ReasonCode.SCANNING and not target.files_copied:  # what is found meanwhile is copied at once
        headline = "Scanning"
    elif target.state is TargetState.FINISHING and not target.told_to_finish:
        headline = "Checking the copy"
    elif target.state is TargetState.COMPLETE:
        headline = "Equal" if target.findings is not None else _done_text(target)
    elif target.ended_by_system:
        tone, icon, headline = Tone.NEEDS_USER, Icon.ALARM, target.state_text
    return Card(
        name=row.name,
        destination=label_of(row.destination),
        tone=tone,
        icon=icon,
        headline=headline,
        facts=_facts(row, target, arrival, world is not None),
        details=_details(target, world is not None),
        fraction=_fraction(row, arrival),
        striped=live and tone is Tone.LIVE and _open_ended(target, arrival),
        flickers=live and not (target.state is TargetState.PAUSED and world is None),
        actions=_actions(row),
    )


def _done_text(target: TargetSnapshot) -> str:
    return f"Done {clock_text(target.completed, time.time())}" if target.completed else "Done"


def _actions(row: Row) -> tuple[Action, ...]:
    opening = () if row.in_store else (Action.OPEN_DESTINATION,)
    match row.state:
        case TargetState.COMPLETE:
            return (*opening, Action.REMOVE)
        case TargetState.FAILED | TargetState.STOPPED | TargetState.INCOMPLETE:
            return (Action.START, Action.REMOVE)
        case TargetState.PAUSED if row.blocked:
            return (*opening, Action.STOP)
        case TargetState.PAUSED:
            return (Action.RESUME, Action.STOP)
    return (Action.PAUSE, Action.STOP)


def _facts(row: Row, target: TargetSnapshot, arrival: Arrival | None, world: bool) -> str:
    """Return the figures that matter in this state, the most important first: the end may be cut off."""
    match target.state:
        case _ if world:
            return DOT.join(filter(None, (_needed(target.why), "resumes by itself")))
        case TargetState.WAITING:
            return _short(row, explain_state(target))
        case TargetState.COMPLETE if target.findings is None:
            files = count_text(target.chunk_files_copied + target.other_files, "file")
            proof = "verified" if _code(target) == ReasonCode.COMPLETE_BY_CHECKSUM else ""
            watching = "watching on" if target.watching else ""
            return DOT.join(filter(None, (files, _freed_text(target), proof, watching)))
        case TargetState.STOPPED if target.ended_by_system:
            return "Press Start to continue"
        case TargetState.COMPLETE | TargetState.FAILED | TargetState.INCOMPLETE | TargetState.STOPPED:
            return _short(row, explain_state(target))
    facts = [f"{target.failed_files:,} failed"] if target.failed_files else []
    facts.append(_arrived(target, arrival))
    if target.state is not TargetState.PAUSED:
        facts.append(f"{size_text(target.bytes_per_second)}/s" if target.bytes_per_second > _RATE_SHOWN else "")
        facts.append(f"{time_text(target.eta)} left" if target.eta is not None else "")
    return DOT.join(filter(None, facts))


def _freed_text(target: TargetSnapshot) -> str:
    """Return what became of the source by the setting `free`."""
    if target.not_freed is not None:
        return "source not freed"
    return "source freed" if any(note.code == ReasonCode.SOURCE_FREED for note in target.notes) else ""


def _needed(why: Reason | None) -> str:
    needed = dict(why.fields).get("needed") if why is not None else None
    return f"{size_text(needed)} needed" if isinstance(needed, int | float) else ""


def _arrived(target: TargetSnapshot, arrival: Arrival | None) -> str:
    if arrival is not None:
        return arrival.text
    if target.any_files:
        return target.copied_text
    if not target.chunk_files:
        return ""
    if target.growing:
        return count_text(target.chunk_files_copied, "chunk")
    return f"{target.chunk_files_copied:,} of {target.chunk_files:,} chunks"


def _open_ended(target: TargetSnapshot, arrival: Arrival | None) -> bool:
    return (
        target.growing or bool(target.nodes_missing) or not target.chunk_files or bool(arrival and arrival.open_ended)
    )


def _fraction(row: Row, arrival: Arrival | None) -> float | None:
    """Return the share that has arrived: of a copy at work only where the total is known."""
    target = row.snapshot
    if target is None:
        return None
    if row.state is TargetState.COMPLETE:
        return 1.0
    if _open_ended(target, arrival):
        return None
    return target.chunk_files_copied / target.chunk_files


def _details(target: TargetSnapshot, world: bool) -> str:
    """Return the reason of the state, and what is to be expected of a copy at work."""
    lines = [explain_state(target)]
    if target.watermark is not None and target.state is not TargetState.COMPLETE:
        lines.append(target.watermark.words)
    if not target.state.ended:
        at_work = target.state is not TargetState.PAUSED and not world
        lines += [target.pace.words, target.forecast.words] if at_work else []
        lines += target.forecast.warnings
    lines += [describe(target.not_freed)]
    lines = [_first(line) for line in lines]
    lines += [f"{one.path} {one.reason}" for one in target.failures[:1]]
    return "\n".join(filter(None, lines))


def _tip(row: Row, card: Card) -> str:
    lines = [row.source, f"\u2192 {row.destination}", "", card.headline, card.details or card.facts]
    if row.snapshot is not None:
        lines += row.snapshot.notices[-_SHOWN:]
        lines += [f"{one.path} {one.reason}" for one in row.snapshot.failures[1:_SHOWN]]
        if (more := row.snapshot.failed_files - _SHOWN) > 0 and row.snapshot.failures:
            lines.append(f"and {more:,} more")
    return "\n".join(lines)


def _code(target: TargetSnapshot) -> str:
    return target.why.code if target.why is not None else ""


def _short(row: Row, words: str) -> str:
    """Name source and destination by their last part: the card tells the rest, and may cut off the end."""
    words = _first(words)
    for path in sorted((row.source, row.destination), key=len, reverse=True):
        words = words.replace(path, name_of(path))
    return words


def _first(words: str) -> str:
    """Begin with a capital letter."""
    return words[:1].upper() + words[1:]
