"""The speed of the selected targets, which can be changed while they are copied."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError
from qtpy.QtCore import Signal
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QCheckBox, QDoubleSpinBox, QHBoxLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from softcopy_napari.engine.protocol.messages import Changes, PaceSnapshot
from softcopy_napari.engine.states import TargetState
from softcopy_napari.engine.targets.rate_schedule import FULL
from softcopy_napari.engine.targets.target import mistake_text
from softcopy_napari.widgets.buttons import flow
from softcopy_napari.widgets.path_field import Problem
from softcopy_napari.widgets.target_row import Key, Row

_RATE_TIP = "Speed limit: 200 MB/s, full, or by time of day: 09:00-18:00: 50 MB/s, else: full"
_YIELD_TIP = "Slow down while the microscope needs the disk; off: never"
_SLEEP_TIP = "Seconds that each copy process waits after each file"
_LONGEST = 3600.0


def can_be_paced(row: Row) -> bool:
    """Whether a target is being copied now."""
    return row.state is not None and not row.state.ended and row.state is not TargetState.CHECKING


class _Seconds(QDoubleSpinBox):
    """A number of seconds, left alone by the wheel that scrolls the panel."""

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()


class PaceBar(QWidget):
    """Whether to yield to the microscope, the speed limit, and the sleep time; hidden while no selected target runs."""

    changed = Signal(object)
    """The `Changes` to make."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._key: Key | None = None
        self._shown = PaceSnapshot()
        """The pace last shown: what the user types stays until the engine reports another."""
        self._yield_box = QCheckBox("Yield to the microscope")
        self._rate, self._sleep = QLineEdit(), _Seconds()
        self._problem = Problem("pace_problem")
        self._set_up()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(flow([self._yield_box, _labelled("Rest after a file", self._sleep)]))
        column.addWidget(_labelled("Speed li&mit", self._rate))  # a limit by time of day takes the whole width
        column.addWidget(self._problem)
        self._yield_box.toggled.connect(lambda on: self.changed.emit(Changes(pace="auto" if on else "full")))
        self._rate.editingFinished.connect(self._on_rate)
        self._rate.textEdited.connect(self._on_text)
        self._sleep.valueChanged.connect(lambda seconds: self.changed.emit(Changes(sleep_time=seconds)))
        self.hide()

    def _set_up(self) -> None:
        self._sleep.setRange(0.0, _LONGEST)
        self._sleep.setDecimals(2)
        self._sleep.setSingleStep(0.1)
        self._sleep.setSuffix(" s")
        self._sleep.setKeyboardTracking(False)
        self._sleep.setMaximumWidth(18 * self.fontMetrics().averageCharWidth())
        self._rate.setMinimumWidth(10 * self.fontMetrics().averageCharWidth())
        self._rate.setPlaceholderText(str(FULL))
        for widget, name, words, tip in (
            (self._yield_box, "give_way_box", "Yield to the microscope", _YIELD_TIP),
            (self._rate, "max_rate_edit", "Speed limit", _RATE_TIP),
            (self._sleep, "sleep_time_box", "Rest after a file", _SLEEP_TIP),
        ):
            widget.setObjectName(name)
            widget.setAccessibleName(words)
            widget.setAccessibleDescription(tip)
            widget.setToolTip(tip)

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Show the pace of the first of these targets that is being copied."""
        row = next((row for row in rows if can_be_paced(row)), None)
        self.setVisible(row is not None)
        if row is None or row.snapshot is None:
            self._key = None
            return
        pace, before, other = row.snapshot.pace, self._shown, row.key != self._key
        self._key, self._shown = row.key, pace
        blocked = [(widget, widget.blockSignals(True)) for widget in (self._yield_box, self._sleep, self._rate)]
        if other or pace.mode != before.mode:
            self._yield_box.setChecked(pace.mode == "auto")
        if other or pace.sleep_time != before.sleep_time:
            self._sleep.setValue(pace.sleep_time)
        if other or pace.max_rate != before.max_rate:
            self._rate.setText(str(pace.max_rate))
            self._rate.setCursorPosition(0)
            self._problem.words = ""
        for widget, was in blocked:
            widget.blockSignals(was)

    def _on_text(self) -> None:
        self._problem.words = ""

    def _on_rate(self) -> None:
        if not self._rate.isModified():
            return
        text = self._rate.text().strip() or str(FULL)
        try:
            changes = Changes.model_validate({"max_rate": text})
        except ValidationError as error:
            self._problem.words = mistake_text("speed limit", error.errors()[0])
            return
        self._rate.setText(str(changes.max_rate))
        self.changed.emit(changes)


def _labelled(text: str, field: QWidget) -> QWidget:
    """Make a field with its label before it, both on one line."""
    pair, label = QWidget(), QLabel(text)
    label.setBuddy(field)
    row = QHBoxLayout(pair)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(4)
    row.addWidget(label)
    row.addWidget(field, 1)
    return pair
