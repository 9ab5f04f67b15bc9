"""The words of a notification: a short title, and a few lines for each thing that it is about."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath
from typing import NamedTuple

from softcopy_napari.engine.formatting import count_text, printable, size_text, time_text
from softcopy_napari.engine.notify.decisions import Condition
from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.state_folder.history import Ending
from softcopy_napari.engine.targets.notify import NotifyEvent
from softcopy_napari.engine.wording import describe

_MOST_ITEMS = 20
"""Things that are described; the others are counted."""
_MOST_NOTICES = 3
_BAD = frozenset({NotifyEvent.FAILED, NotifyEvent.DIED})
_TITLES = {
    NotifyEvent.DONE: "Done",
    NotifyEvent.FAILED: "Failed",
    NotifyEvent.PAUSED: "Waiting",
    NotifyEvent.NO_SPACE: "Not enough space",
    NotifyEvent.QUIET: "Nothing new",
    NotifyEvent.DIED: "Interrupted",
    NotifyEvent.NOT_FREED: "Source not freed",
}
_COUNTED = {
    NotifyEvent.DONE: "done",
    NotifyEvent.FAILED: "failed",
    NotifyEvent.PAUSED: "waiting",
    NotifyEvent.NO_SPACE: "short of space",
    NotifyEvent.QUIET: "without anything new",
    NotifyEvent.DIED: "interrupted",
    NotifyEvent.NOT_FREED: "not freed",
}


class Item(NamedTuple):
    """One thing that a notification is about."""

    event: NotifyEvent
    name: str
    """The name of the source."""
    lines: tuple[str, ...]


class NotificationText(NamedTuple):
    """A notification, without where it goes."""

    title: str
    body: str
    kind: str
    """Apprise's: info, success, warning or failure."""


def describe_condition(condition: Condition, target: TargetSnapshot) -> Item:
    """Put a condition of a target into words."""
    lines = [_sentence(describe(condition.why)), f"{target.source} -> {target.destination}"]
    if target.state.ended:
        lines.append(f"{size_text(target.bytes_copied)} copied in {time_text(target.elapsed)}")
        lines += [f"Note: {notice}" for notice in target.notices[:_MOST_NOTICES]]
        if more := len(target.notices) - _MOST_NOTICES:
            lines += [f"and {count_text(more, 'more note')}"] if more > 0 else []
    return Item(condition.event, _name(target.source), tuple(filter(None, lines)))


def describe_crash(ending: Ending) -> Item:
    """Put into words that an engine has died."""
    lines = (f"{ending.state_text}: {ending.reason}", f"{ending.source} -> {ending.destination}")
    return Item(NotifyEvent.DIED, _name(ending.source), lines)


def compose(items: Sequence[Item]) -> NotificationText:
    """Make one notification of one or many things; the bad ones come first."""
    order = {event: number for number, event in enumerate(_BY_WEIGHT)}
    items = sorted(items, key=lambda item: order[item.event])
    host = socket.gethostname().partition(".")[0]
    if len(items) == 1:
        title = f"{_TITLES[items[0].event]}: {items[0].name}"
    else:
        counts = Counter(item.event for item in items)
        title = ", ".join(f"{counts[event]} {_COUNTED[event]}" for event in _BY_WEIGHT if counts[event])
    blocks = []
    for item in items[:_MOST_ITEMS]:
        head = [] if len(items) == 1 else [f"{_TITLES[item.event]}: {item.name}"]
        blocks.append("\n".join([*head, *item.lines]))
    if len(items) > _MOST_ITEMS:
        blocks.append(f"And {len(items) - _MOST_ITEMS:,} more: softcopy status")
    kind = "success"
    if any(item.event is not NotifyEvent.DONE for item in items):
        kind = "failure" if any(item.event in _BAD for item in items) else "warning"
    return NotificationText(f"{title} (softcopy on {host})", "\n\n".join(blocks), kind)


_BY_WEIGHT = (
    NotifyEvent.DIED,
    NotifyEvent.FAILED,
    NotifyEvent.NOT_FREED,
    NotifyEvent.NO_SPACE,
    NotifyEvent.PAUSED,
    NotifyEvent.QUIET,
    NotifyEvent.DONE,
)
"""Events, those that matter most first."""


def trial_text() -> NotificationText:
    """Return a notification that only shows that notifications arrive."""
    host = socket.gethostname().partition(".")[0]
    return NotificationText(f"Test (softcopy on {host})", "Notifications of softcopy arrive here.", "info")


def _name(source: str) -> str:
    return printable(PurePath(source).name or source)


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]
