"""Tells of endings: in the panel until they are dismissed, and in one notification for all that end together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import PurePath

from qtpy.QtCore import QObject, QTimer

from softcopy_napari.engine.formatting import clock_text, count_text, printable
from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.states import TargetState
from softcopy_napari.engine.wording import describe
from softcopy_napari.plugin.dock.engine_contact import SeenTarget
from softcopy_napari.widgets.banner import Message
from softcopy_napari.widgets.log_view import Level
from softcopy_napari.widgets.palette import Tone
from softcopy_napari.widgets.wording import explain_state

TOPIC = "ending "
"""What the topics of endings begin with; the destination follows."""
_TOGETHER = 3_000
"""Milliseconds within which endings make one notification."""
_LONGEST = 60
"""Letters of a notification: napari cuts off more."""


class Endings(QObject):
    """Passes endings on to the banner and, some at a time, to a notification.

    Parameters
    ----------
    show : callable
        Shows a message in the panel.
    notify : callable
        Shows a notification, given its level and text.
    """

    def __init__(
        self, show: Callable[[Message], object], notify: Callable[[Level, str], object], parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._show, self._notify = show, notify
        self._together: list[SeenTarget] = []
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_TOGETHER)
        self._timer.timeout.connect(self._flush)

    def add(self, ended: Sequence[SeenTarget]) -> None:
        """Tell of targets that have ended, or whose engine has died; one that was stopped is no news to its user."""
        for one in ended:
            if one.target.state is TargetState.STOPPED and not (one.lost or one.target.ended_by_system):
                continue
            self._show(ending_message(one))
            self._together.append(one)
        if self._together and not self._timer.isActive():
            self._timer.start()

    def close(self) -> None:
        """Tell of nothing more."""
        self._timer.stop()

    def _flush(self) -> None:
        ended, self._together = self._together, []
        level = Level.ERROR if any(map(_needs_user, ended)) else Level.INFO
        self._notify(level, batch_text(ended))


def topic(target: TargetSnapshot) -> str:
    """Return the topic of messages about a target: its destination."""
    return f"{TOPIC}{target.destination}"


def ending_message(one: SeenTarget) -> Message:
    """Return what the panel says of an ending."""
    name, target = _name(one), one.target
    if one.lost:
        return Message(Tone.NEEDS_USER, f"Crashed: {name}. Press Resume; nothing is lost", topic(target))
    why = explain_state(target)
    if not _is_good(one):
        what = "Differs" if target.state is TargetState.INCOMPLETE else target.state_text
        return Message(Tone.NEEDS_USER, f"{what}: {name}. {why[:1].upper()}{why[1:]}", topic(target))
    if target.findings is not None:
        return Message(Tone.DONE, f"Equal: {name}. {why[:1].upper()}{why[1:]}", topic(target))
    when = f" {clock_text(target.completed, target.completed)}" if target.completed else ""
    if target.not_freed is not None:
        return Message(Tone.NEEDS_USER, f"Done{when}: {name}. {describe(target.not_freed)}", topic(target))
    files = count_text(target.chunk_files_copied + target.other_files, "file")
    return Message(Tone.DONE, f"Done{when}: {name}, {files} at {printable(target.destination)}", topic(target))


def batch_text(ended: Sequence[SeenTarget]) -> str:
    """Return one short line about all that have ended together."""
    good = [one for one in ended if not _needs_user(one)]
    bad = [one for one in ended if _needs_user(one)]
    if len(ended) == 1:
        (one,) = ended
        name = _name(one)
        short = name if len(name) <= _LONGEST // 2 else f"{name[: _LONGEST // 4]}\u2026{name[-_LONGEST // 4 :]}"
        return f"{short}: {'done' if good else 'needs you'}"
    needs = "needs" if len(bad) == 1 else "need"
    parts = [f"{len(good)} done"] * bool(good) + [f"{len(bad)} {needs} you"] * bool(bad)
    return f"Softcopy: {', '.join(parts)}"


def _needs_user(one: SeenTarget) -> bool:
    return not _is_good(one) or one.target.not_freed is not None


def _is_good(one: SeenTarget) -> bool:
    return not one.lost and one.target.state is TargetState.COMPLETE


def _name(one: SeenTarget) -> str:
    return PurePath(one.target.source).name or one.target.source
