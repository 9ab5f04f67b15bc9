"""The buttons below the table, which act on the selected targets."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from softcopy_napari.widgets.target_form import button, flow
from softcopy_napari.widgets.targets_model import Row
from softcopy_napari.widgets.targets_table import Action, allowed_actions, only_watched

_PAUSE, _RESUME = "Pa&use", "Res&ume"
_STOP_TIP = "Stop copying; Start continues"
_WATCH_TIP = "The copy is complete: stop watching its source"


class ActionsBar(QWidget):
    """Buttons to start, pause or resume, finish and stop; enabled as the selection allows."""

    clicked = Signal(object)
    """The `Action` that was asked for."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._start = button("S&tart", "start_button", "Copy the selected targets")
        self._pause = button(_RESUME, "pause_button", "Pause or resume the selected targets")
        self._finish = button(
            "Acquisitio&n is over",
            "finish_button",
            "The source will not change any more: copy and check the rest, then end",
        )
        self._stop = button("St&op", "stop_button", _STOP_TIP)
        buttons = (self._start, self._pause, self._finish, self._stop)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(flow(buttons))
        self._pausing = Action.PAUSE
        self._start.clicked.connect(lambda: self.clicked.emit(Action.START))
        self._pause.clicked.connect(lambda: self.clicked.emit(self._pausing))
        self._finish.clicked.connect(lambda: self.clicked.emit(Action.FINISH))
        self._stop.clicked.connect(lambda: self.clicked.emit(Action.STOP))
        self.set_rows([])

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Enable the buttons that are possible with these targets."""
        allowed = allowed_actions(rows)
        self._pausing = Action.RESUME if Action.RESUME in allowed and Action.PAUSE not in allowed else Action.PAUSE
        text = _RESUME if self._pausing is Action.RESUME else _PAUSE
        if text != self._pause.text():  # setting the same text would end a press of the mnemonic's keys
            self._pause.setMinimumWidth(max(self._pause.minimumWidth(), self._pause.sizeHint().width()))
            self._pause.setText(text)
            self._pause.setAccessibleName(text.replace("&", ""))
        self._start.setEnabled(Action.START in allowed)
        self._pause.setEnabled(self._pausing in allowed)
        self._finish.setEnabled(Action.FINISH in allowed)
        self._stop.setEnabled(Action.STOP in allowed)
        tip = _WATCH_TIP if only_watched(rows) else _STOP_TIP
        self._stop.setToolTip(tip)
        self._stop.setAccessibleDescription(tip)
