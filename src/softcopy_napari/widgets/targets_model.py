"""The targets of all engines, and those not started yet, as a Qt table model: what `targets_table` shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import PurePath
from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from softcopy_napari.engine.formatting import time_text
from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.states import TargetState
from softcopy_napari.widgets.bars import percent_text
from softcopy_napari.widgets.labels import plain_tip
from softcopy_napari.widgets.palette import target_colour
from softcopy_napari.widgets.wording import explain_state

CRASHED = "Copying crashed"

Key = tuple[int, str]
"""The engine's process id (0: not started), and the target's id or a number that the front end has given it."""

_SHOWN = 5
"""Notices and failures in a tooltip."""


class Column(IntEnum):
    """The columns, in order."""

    TARGET = 0
    STATE = 1
    PROGRESS = 2
    FILES = 3
    RATE = 4
    ETA = 5
    FAILED = 6


HEADERS = ("Target", "State", "Progress", "Chunk files", "MB/s", "ETA", "Failed")
_HEADER_TIPS = (
    "The source's name",
    "What the target is doing",
    "Share of the chunk files that are at the destination",
    "Chunk files at the destination, of all expected",
    "Megabytes copied per second, over the last seconds",
    "Time left; after the end, time taken",
    "Files that could not be copied yet",
)

SORT_ROLE = int(Qt.ItemDataRole.UserRole) + 1
PROGRESS_ROLE = SORT_ROLE + 1
"""The share that has arrived, 0 to 1; None where it is not known."""
STATE_ROLE = SORT_ROLE + 2
"""The `TargetState`; None where the target has not been started."""
ROW_ROLE = SORT_ROLE + 3
"""The `Row`."""


@dataclass(frozen=True, slots=True)
class Row:
    """A target as a front end knows it."""

    key: Key
    snapshot: TargetSnapshot | None
    """The last snapshot; None where the target has not been started."""
    source: str
    destination: str
    note: str = ""
    """Shown instead of the state, where the front end knows better; with `lost`, instead of the reason."""
    lost: bool = False
    """Whether its engine died before the target ended; the snapshot is the last one."""
    starting: bool = False
    """Whether it has been told to start, and no engine works on it yet."""

    @property
    def state(self) -> TargetState | None:
        """The target's state; None where it has not been started, is being started, or its engine died."""
        return None if self.snapshot is None or self.starting or self.lost else self.snapshot.state

    @property
    def running(self) -> bool:
        """Whether an engine works on it, or is about to."""
        return self.starting or _works(self)

    @property
    def watched(self) -> bool:
        """Whether the target is complete, and its source is still watched."""
        return self.state is TargetState.COMPLETE and self.snapshot is not None and self.snapshot.watching

    @property
    def name(self) -> str:
        """The source's name."""
        return PurePath(self.source).name or self.source

    @property
    def state_text(self) -> str:
        """The state in words for the user."""
        if self.lost and not self.starting:
            return CRASHED
        if self.note or self.starting or self.snapshot is None:
            return self.note or ("Starting" if self.starting else "Not started")
        return self.snapshot.state_text

    @property
    def short_state_text(self) -> str:
        """A shorter state text, for a narrow column."""
        return "Complete, watching on" if self.watched and not self.note else self.state_text

    @property
    def reason(self) -> str:
        """Why the target is in this state; empty where the state says it all."""
        if self.starting:
            return ""
        if self.lost:
            return self.note or "Press Resume; nothing is lost"
        return explain_state(self.snapshot) if self.snapshot else ""


class TargetsModel(QAbstractTableModel):
    """A table with a row for each target, which keeps its row and selection when its key changes at a start."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: list[Row] = []
        self._texts: list[tuple[str, ...]] = []
        self._dark = False

    @property
    def rows(self) -> tuple[Row, ...]:
        """All targets, in order."""
        return tuple(self._rows)

    def find(self, key: Key) -> Row | None:
        """Return the target with that key."""
        return next((row for row in self._rows if row.key == key), None)

    def set_dark(self, dark: bool) -> None:
        """Choose colours for a dark or for a light background."""
        if dark != self._dark:
            self._dark = dark
            if self._rows:
                corners = self.index(0, 0), self.index(len(self._rows) - 1, len(Column) - 1)
                self.dataChanged.emit(*corners, [Qt.ItemDataRole.ForegroundRole])

    def update(self, rows: Sequence[Row]) -> None:
        """Show these targets in this order; views are notified of the differences only."""
        wanted = list({row.key: row for row in rows}.values())
        self._update_keys(wanted)
        keys = {row.key for row in wanted}
        for index in reversed(range(len(self._rows))):
            if self._rows[index].key not in keys:
                self.beginRemoveRows(QModelIndex(), index, index)
                del self._rows[index], self._texts[index]
                self.endRemoveRows()
        for index, row in enumerate(wanted):
            self._place(index, row)
        for index, row in enumerate(wanted):
            self._change(index, row)

    def _update_keys(self, wanted: list[Row]) -> None:
        """Update the keys of rows whose target has been started, or has another engine now."""
        known = {row.key for row in self._rows}
        new = {(row.source, row.destination): row for row in wanted if row.key not in known}
        still = {row.key for row in wanted}
        for index, row in enumerate(self._rows):
            if row.key not in still and (successor := new.pop((row.source, row.destination), None)):
                self._change(index, successor)

    def _place(self, index: int, row: Row) -> None:
        place = next((at for at in range(index, len(self._rows)) if self._rows[at].key == row.key), None)
        if place is None:
            self.beginInsertRows(QModelIndex(), index, index)
            self._rows.insert(index, row)
            self._texts.insert(index, _texts(row))
            self.endInsertRows()
        elif place != index:
            self.beginMoveRows(QModelIndex(), place, place, QModelIndex(), index)
            self._rows.insert(index, self._rows.pop(place))
            self._texts.insert(index, self._texts.pop(place))
            self.endMoveRows()

    def _change(self, index: int, row: Row) -> None:
        self._rows[index] = row
        old, new = self._texts[index], _texts(row)
        if old == new:
            return
        self._texts[index] = new
        count = len(Column)
        changed = [at for at in range(count) if (old[at], old[count + at]) != (new[at], new[count + at])]
        self.dataChanged.emit(self.index(index, changed[0]), self.index(index, changed[-1]))

    # Overrides of Qt's methods.

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: QModelIndex | QPersistentModelIndex = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(Column)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation == Qt.Orientation.Horizontal:
            if role == Qt.ItemDataRole.DisplayRole:
                return HEADERS[section]
            if role == Qt.ItemDataRole.ToolTipRole:
                return _HEADER_TIPS[section]
        return None

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or index.row() >= len(self._rows):
            return None
        row, texts, column = self._rows[index.row()], self._texts[index.row()], Column(index.column())
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return texts[column]
            case Qt.ItemDataRole.ToolTipRole:
                return plain_tip(texts[len(Column) + column])
            case Qt.ItemDataRole.AccessibleDescriptionRole:
                return texts[len(Column) + column]
            case Qt.ItemDataRole.AccessibleTextRole:
                return texts[column] if column is Column.TARGET else f"{HEADERS[column]}: {texts[column]}"
            case Qt.ItemDataRole.ForegroundRole if column is Column.STATE:
                return target_colour(TargetState.FAILED if row.state_text == CRASHED else row.state, self._dark)
            case Qt.ItemDataRole.ForegroundRole if column is Column.FAILED and _failed(row):
                return target_colour(TargetState.FAILED, self._dark)
            case Qt.ItemDataRole.TextAlignmentRole if column >= Column.FILES:
                # An int: PySide6 takes no flag here, PyQt6 no enum.
                return int(Qt.AlignmentFlag.AlignRight.value) | int(Qt.AlignmentFlag.AlignVCenter.value)
            case _ if role == SORT_ROLE:
                return _sort_value(row, column)
            case _ if role == PROGRESS_ROLE:
                return progress(row)
            case _ if role == STATE_ROLE:
                return row.state
            case _ if role == ROW_ROLE:
                return row
        return None


def details(row: Row) -> str:
    """Return what a narrow table has no room for: the reason of the state, the figures, and the first failure."""
    lines, target = [f"{row.state_text}: {row.reason}" if row.reason else row.state_text], row.snapshot
    if target is not None:
        facts = []
        if target.chunk_files:
            facts.append(f"{target.chunk_files_copied:,} of {target.chunk_files:,} chunk files")
        if _copies(row):
            facts.append(f"{target.bytes_per_second / 1e6:.1f}\u00a0MB/\u2060s")
        if _works(row) and target.eta is not None:
            facts.append(f"{time_text(target.eta)} to go")
        elif eta := _eta_text(row, target):
            facts.append(eta)
        if target.failed_files:
            facts.append(f"{target.failed_files:,} failed")
        lines.append(", ".join(facts))
        if _works(row):
            lines += [target.pace.words, target.forecast.words, *target.forecast.warnings]
        lines += [f"{one.path} {one.reason}" for one in target.failures[:1]]
    return "\n".join(filter(None, lines))


def progress(row: Row) -> float | None:
    """Return the share of a target that has arrived, 0 to 1; None where it is not known.

    Chunks that were never written do not count against a complete target.
    """
    target = row.snapshot
    if target is None:
        return None
    if row.state is TargetState.COMPLETE:
        return 1.0
    return target.chunk_files_copied / target.chunk_files if target.chunk_files else None


def _works(row: Row) -> bool:
    return row.state is not None and not row.state.ended


def _copies(row: Row) -> bool:
    """Whether a speed is shown: a target that waits for its source or is paused has none."""
    return _works(row) and row.state not in (TargetState.WAITING, TargetState.PAUSED)


def _failed(row: Row) -> int:
    return row.snapshot.failed_files if row.snapshot else 0


def _texts(row: Row) -> tuple[str, ...]:
    """Return the text of every column, then the tooltip of every column."""
    return (*_cells(row), *_tips(row))


def _cells(row: Row) -> tuple[str, ...]:
    state = f"{row.state_text}: {row.reason}" if row.reason else row.state_text
    target = row.snapshot
    if target is None:
        return (row.name, state, "", "", "", "", "")
    fraction = progress(row)
    return (
        row.name,
        state,
        "" if fraction is None else percent_text(fraction),
        f"{target.chunk_files_copied:,}/{target.chunk_files:,}" if target.chunk_files else "",
        f"{target.bytes_per_second / 1e6:.1f}" if _copies(row) else "",
        _eta_text(row, target),
        f"{target.failed_files:,}" if target.failed_files else "",
    )


def _eta_text(row: Row, target: TargetSnapshot) -> str:
    if row.state is None:
        return ""
    if row.state.ended:
        return f"took {time_text(target.elapsed)}"
    if target.eta is not None:
        return time_text(target.eta)
    return "acquiring" if target.acquiring and _copies(row) else ""


def _tips(row: Row) -> tuple[str, ...]:
    where = f"{row.source}\n\u2192 {row.destination}"
    state, target = [row.state_text, row.reason], row.snapshot
    if target is None:
        return (where, "\n".join(filter(None, state)), *([""] * (len(Column) - 2)))
    absent = f"{target.chunk_files_absent:,} still to come" if target.chunk_files_absent else ""
    if row.state is TargetState.COMPLETE and absent:
        absent = f"{target.chunk_files_absent:,} never written (read as empty)"
    state += [target.pace.words, target.forecast.words, *target.forecast.warnings, *target.notices[-_SHOWN:]]
    failures = [f"{one.path} {one.reason}" for one in target.failures[:_SHOWN]]
    if target.failed_files > len(failures) > 0:
        failures.append(f"and {target.failed_files - len(failures):,} more")
    return (where, "\n".join(filter(None, state)), absent, absent, "", "", "\n".join(failures))


def _sort_value(row: Row, column: Column) -> str | float:
    """Return what a row is sorted by in a column; unknown values come first, an unknown ETA last."""
    target = row.snapshot
    match column:
        case Column.TARGET:
            return row.name.casefold()
        case Column.STATE:
            return row.state_text
        case Column.PROGRESS:
            fraction = progress(row)
            return -1.0 if fraction is None else fraction
        case Column.FILES:
            return float(target.chunk_files_copied) if target else -1.0
        case Column.RATE:
            return target.bytes_per_second if target else -1.0
        case Column.ETA:
            return target.eta if target and target.eta is not None else float("inf")
        case Column.FAILED:
            return float(_failed(row))
