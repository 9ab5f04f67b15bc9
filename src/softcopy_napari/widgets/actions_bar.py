"""The buttons of the details, which act on the selected targets."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from softcopy_napari.widgets.buttons import button, flow
from softcopy_napari.widgets.target_row import Action, Row, allowed_actions, only_freed, only_watched

_PAUSE, _RESUME = "Pa&use", "Res&ume"
_FINISH, _UNFINISH = "Ac&quisition is over\u2026", "Ac&quisition goes on"
_STOP = "St&op"
_FINISH_TIP = "The source will not change any more: copy and check the rest, then end"
_UNFINISH_TIP = "The acquisition continues: keep copying, and wait for its end"
_STOP_TIP = "Stop copying; Start continues"
_COMPARE_TIP = "Read files that differ only in time: they may be equal"
_FREE_TIP = "Stop freeing the source, between two files"
_WATCH_TIP = "The copy is complete: stop watching its source"


class ActionsBar(QWidget):
    """Buttons to start, pause or resume, stop, finish and compare by content; enabled as the selection allows.

    Start and Pause share a place, and so do the last two: only with several targets selected are both of use at a time.
    """

    clicked = Signal(object)
    """The `Action` that was asked for."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._start = button("S&tart", "start_button", "Copy the selected targets")
        self._pause = button(_RESUME, "pause_button", "Pause or resume the selected targets")
        self._finish = button(_FINISH, "finish_button", _FINISH_TIP)
        self._stop = button(_STOP, "stop_button", _STOP_TIP)
        self._compare = button("Compare &by content", "compare_button", _COMPARE_TIP)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        self._flow = flow(())
        self._shown: list[QPushButton] = []
        """The buttons in the layout: a hidden one would leave a gap there."""
        for one in (self._start, self._pause, self._stop, self._finish, self._compare):
            one.setParent(self)
            one.hide()
        column.addLayout(self._flow)
        self._pausing, self._finishing = Action.PAUSE, Action.FINISH
        self._start.clicked.connect(lambda: self.clicked.emit(Action.START))
        self._pause.clicked.connect(lambda: self.clicked.emit(self._pausing))
        self._finish.clicked.connect(lambda: self.clicked.emit(self._finishing))
        self._stop.clicked.connect(lambda: self.clicked.emit(Action.STOP))
        self._compare.clicked.connect(lambda: self.clicked.emit(Action.COMPARE))
        self.set_rows([])

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Enable the buttons that are possible with these targets."""
        allowed = allowed_actions(rows)
        self._pausing = Action.RESUME if Action.RESUME in allowed and Action.PAUSE not in allowed else Action.PAUSE
        self._say(self._pause, _RESUME if self._pausing is Action.RESUME else _PAUSE)
        taken_back = Action.UNFINISH in allowed and Action.FINISH not in allowed
        self._finishing = Action.UNFINISH if taken_back else Action.FINISH
        self._say(self._finish, _UNFINISH if taken_back else _FINISH)
        finish_tip = _UNFINISH_TIP if taken_back else _FINISH_TIP
        stop_tip = _WATCH_TIP if only_watched(rows) else _FREE_TIP if only_freed(rows) else _STOP_TIP
        for one, tip in ((self._finish, finish_tip), (self._stop, stop_tip)):
            one.setToolTip(tip)
            one.setAccessibleDescription(tip)
        self._start.setEnabled(Action.START in allowed)
        self._pause.setEnabled(self._pausing in allowed)
        self._finish.setEnabled(self._finishing in allowed)
        self._stop.setEnabled(Action.STOP in allowed)
        same = max(self._start.sizeHint().width(), self._pause.sizeHint().width(), self._start.minimumWidth())
        for one in (self._start, self._pause):
            one.setMinimumWidth(same)
        first = [one for one in (self._start, self._pause) if one.isEnabled()]
        last = [self._compare] if Action.COMPARE in allowed else []
        if self._finish.isEnabled() or not last:
            last.insert(0, self._finish)
        # While neither of the first two is possible, one of them keeps its place.
        self._show([*(first or self._shown[:1] or [self._start]), self._stop, *last])

    def _show(self, wanted: list[QPushButton]) -> None:
        if wanted == self._shown:
            return
        for one in self._shown:
            self._flow.removeWidget(one)
            one.setVisible(one in wanted)
        for one in wanted:
            self._flow.addWidget(one)
            one.show()
        self._shown = wanted

    def _say(self, one: QPushButton, text: str) -> None:
        """Change a button's text; its width never shrinks."""
        if text != one.text():  # setting the same text would end a press of the mnemonic's keys
            before = max(one.minimumWidth(), one.sizeHint().width())
            one.setText(text)
            one.setMinimumWidth(max(before, one.sizeHint().width()))
            one.setAccessibleName(text.replace("&", ""))
