"""The view of a `TargetsModel`: usable at 280 px and by keyboard alone; signals report what the user asks for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from enum import StrEnum

from qtpy.QtCore import (
    QEvent,
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QRect,
    QSize,
    QSortFilterProxyModel,
    Qt,
    Signal,
)
from qtpy.QtGui import QContextMenuEvent, QKeyEvent, QPainter, QPaintEvent, QPalette, QResizeEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QMenu,
    QSizePolicy,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from softcopy_napari.engine.states import TargetState
from softcopy_napari.widgets.bars import paint_bar
from softcopy_napari.widgets.item_delegate import ItemDelegate
from softcopy_napari.widgets.palette import bar_colour, is_dark
from softcopy_napari.widgets.targets_model import (
    HEADERS,
    PROGRESS_ROLE,
    ROW_ROLE,
    SORT_ROLE,
    STATE_ROLE,
    Column,
    Key,
    Row,
    TargetsModel,
)

_PRIORITY = (
    Column.STATE,
    Column.PROGRESS,
    Column.TARGET,
    Column.FAILED,
    Column.FILES,
    Column.ETA,
    Column.RATE,
)
"""The columns in the order in which they are kept when there is little room."""
_ALWAYS = 3
"""How many of `_PRIORITY` are always shown."""
_MAX_ROWS = 8
"""Rows that are shown without scrolling."""


class Action(StrEnum):
    """What a user can do with targets; the values are the entries of the menu."""

    START = "Start"
    """Targets that have ended are copied again, as far as anything is left."""
    PAUSE = "Pause"
    RESUME = "Resume"
    """For a target whose engine has died, another engine takes over."""
    FINISH = "Acquisition is over"
    STOP = "Stop"
    """For a complete target: stop watching its source."""
    SHOW = "Show in viewer"
    OPEN_SOURCE = "Open source folder"
    OPEN_DESTINATION = "Open destination folder"
    CHECK = "Check coverage"
    REMOVE = "Remove from list"


_GROUPS = (Action.SHOW, Action.CHECK, Action.REMOVE)
"""Actions below a separator in the menu."""


def allowed_actions(rows: Iterable[Row]) -> frozenset[Action]:
    """Return the actions that are possible with at least one of these targets."""
    actions: set[Action] = set()
    for row in rows:
        actions |= {Action.OPEN_SOURCE, Action.OPEN_DESTINATION}
        if row.snapshot is not None:
            actions.add(Action.SHOW)
        if row.starting:
            continue
        if row.lost:
            actions |= {Action.RESUME, Action.CHECK, Action.REMOVE}
        elif not row.running:
            actions |= {Action.START, Action.CHECK, Action.REMOVE}
            if row.watched:
                actions.add(Action.STOP)
        else:
            actions |= {Action.STOP, Action.RESUME if row.state is TargetState.PAUSED else Action.PAUSE}
            if row.state not in (TargetState.FINISHING, TargetState.CHECKING):
                actions.add(Action.FINISH)
    return frozenset(actions)


def only_watched(rows: Iterable[Row]) -> bool:
    """Whether stopping these targets only ends the watching of their sources."""
    can_be_stopped = [row for row in rows if Action.STOP in allowed_actions([row])]
    return bool(can_be_stopped) and all(row.watched for row in can_be_stopped)


class _StateDelegate(QStyledItemDelegate):
    """Shows a shorter state text where the full one does not fit."""

    def initStyleOption(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> None:
        super().initStyleOption(option, index)
        row: Row = index.data(ROW_ROLE)
        if option.fontMetrics.horizontalAdvance(row.state_text) > option.rect.width():
            option.text = option.text.replace(row.state_text, row.short_state_text, 1)


class _ProgressDelegate(ItemDelegate):
    """Paints a bar with a percentage where the progress is known."""

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        full = self.paint_background(painter, option, index)
        fraction = index.data(PROGRESS_ROLE)
        if fraction is None:
            return
        bar = full.rect.adjusted(3, 3, -3, -3)
        width = round(bar.width() * fraction)
        filled = QRect(bar.left(), bar.top(), max(width, 1 if fraction else 0), bar.height())
        if full.direction != Qt.LayoutDirection.LeftToRight:
            filled.moveRight(bar.right())
        paint_bar(painter, bar, filled, bar_colour(index.data(STATE_ROLE)), full.palette, full.text)


class TargetsTable(QTableView):
    """Shows a `TargetsModel`."""

    requested = Signal(object, object)
    """An `Action`, and the keys of those selected targets that allow it."""
    selection_changed = Signal()

    def __init__(self, model: TargetsModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("targets_table")
        self.setAccessibleName("Targets")
        self.placeholder = ""
        """The text of an empty table."""
        self._targets = model
        self._sorted = QSortFilterProxyModel(self)
        self._sorted.setSourceModel(model)
        self._sorted.setSortRole(SORT_ROLE)
        self._sorted.sort(-1)
        self.setModel(self._sorted)
        self._set_up_view()
        model.set_dark(is_dark(self.palette()))
        self.selectionModel().selectionChanged.connect(self.selection_changed)
        for changed in (self._sorted.rowsInserted, self._sorted.rowsRemoved):
            changed.connect(self._fit)
        self._sorted.dataChanged.connect(self._fit_columns)

    def _set_up_view(self) -> None:
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setTabKeyNavigation(False)  # Tab leaves the table: there must be a way out by keyboard
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setItemDelegateForColumn(Column.PROGRESS, _ProgressDelegate(self))
        self.setItemDelegateForColumn(Column.STATE, _StateDelegate(self))
        rows, columns = self.verticalHeader(), self.horizontalHeader()
        rows.hide()
        rows.setDefaultSectionSize(self.fontMetrics().height() + 8)
        columns.setMinimumSectionSize(1)
        columns.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        columns.setHighlightSections(False)
        columns.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        columns.setSortIndicatorClearable(True)
        columns.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self.setSortingEnabled(True)
        self.doubleClicked.connect(lambda _: self.request(Action.SHOW))

    # What is selected.

    def selected_rows(self) -> list[Row]:
        """The selected targets, from top to bottom."""
        indexes = sorted(self.selectionModel().selectedRows(), key=lambda index: index.row())
        return [index.data(ROW_ROLE) for index in indexes]

    def selected_keys(self) -> list[Key]:
        """The keys of the selected targets, from top to bottom."""
        return [row.key for row in self.selected_rows()]

    def select(self, keys: Collection[Key]) -> None:
        """Select these targets, and scroll to the first of them."""
        chosen = QItemSelection()
        for at in range(self._sorted.rowCount()):
            index = self._sorted.index(at, 0)
            if index.data(ROW_ROLE).key in keys:
                chosen.select(index, index)
        if chosen.isEmpty():
            return
        flags, first = QItemSelectionModel.SelectionFlag, chosen.indexes()[0]
        self.selectionModel().setCurrentIndex(first, flags.NoUpdate)
        self.selectionModel().select(chosen, flags.ClearAndSelect | flags.Rows)
        self.scrollTo(first)

    def select_current(self) -> None:
        """Select the target under the keyboard cursor, or the first one."""
        row = max(0, self.currentIndex().row())
        self.select([self._sorted.index(row, 0).data(ROW_ROLE).key])

    def request(self, action: Action) -> None:
        """Ask for something to be done with the selected targets."""
        if keys := [row.key for row in self.selected_rows() if action in allowed_actions([row])]:
            self.requested.emit(action, keys)

    def context_menu(self) -> QMenu:
        """A menu of what can be done with the selected targets; the caller deletes it."""
        menu = QMenu(self)
        rows = self.selected_rows()
        allowed = allowed_actions(rows)
        shortcuts = {Action.SHOW: Qt.Key.Key_Return, Action.REMOVE: Qt.Key.Key_Delete}
        for action in Action:
            if action in _GROUPS:
                menu.addSeparator()
            entry = menu.addAction("Stop watching" if action is Action.STOP and only_watched(rows) else action.value)
            entry.setEnabled(action in allowed)
            entry.triggered.connect(self._asker(action))
            if action in shortcuts:
                entry.setShortcut(shortcuts[action])
        return menu

    def _asker(self, action: Action) -> Callable[[], None]:
        return lambda: self.request(action)

    # The height, and the widths of the columns.

    def _fit(self) -> None:
        self.updateGeometry()
        self._fit_columns()

    def _fit_columns(self) -> None:
        """Show as many columns as there is room for, the most important first, without a scroll bar."""
        room = self.viewport().width()
        widths: dict[Column, int] = {}
        for number, column in enumerate(_PRIORITY):
            width = self._comfortable_width(column)
            if number >= _ALWAYS and sum(widths.values()) + width > room:
                break
            widths[column] = width
        if (lack := sum(widths.values()) - room) > 0:
            # Only the first columns are there: let them shrink, the widest first.
            for column in sorted(widths, key=lambda one: -widths[one]):
                less = min(lack, max(0, widths[column] - room // len(widths)))
                widths[column] -= less
                lack -= less
        spare = max(0, room - sum(widths.values()))
        for column in (Column.TARGET, Column.STATE):
            more = max(0, min(spare, self._full_width(column) - widths[column]))
            widths[column] += more
            spare -= more
        widths[Column.PROGRESS] += spare
        for column in Column:
            self.setColumnHidden(column, column not in widths)
            if column in widths and self.columnWidth(column) != widths[column]:
                self.setColumnWidth(column, widths[column])

    def _comfortable_width(self, column: Column) -> int:
        """The width that a column gets before a less important one is shown."""
        most = {Column.TARGET: 16, Column.STATE: 20}
        letter = self.fontMetrics().averageCharWidth()
        if column is Column.PROGRESS:
            return max(10 * letter, self._full_width(column))
        return min(self._full_width(column), most.get(column, 1000) * letter)

    def _full_width(self, column: Column) -> int:
        """The width that shows the header, its sort arrow, and every cell in full."""
        metrics = self.horizontalHeader().fontMetrics()
        header = metrics.horizontalAdvance(HEADERS[column]) + 2 * metrics.averageCharWidth() + 8
        return max(header, self.sizeHintForColumn(column) + 6)

    # Overrides of Qt's methods.

    def sizeHint(self) -> QSize:
        rows = max(3, min(_MAX_ROWS, self._targets.rowCount()))
        height = rows * self.verticalHeader().defaultSectionSize()
        if not self._targets.rowCount():
            flags, width = Qt.TextFlag.TextWordWrap, max(80, self.viewport().width() - 16)
            needed = self.fontMetrics().boundingRect(0, 0, width, 0, flags, self.placeholder)
            height = max(height, needed.height() + 16)
        return QSize(240, self.horizontalHeader().sizeHint().height() + height + 2 * self.frameWidth())

    def minimumSizeHint(self) -> QSize:
        return QSize(160, self.sizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        kinds = (QEvent.Type.PaletteChange, QEvent.Type.StyleChange, QEvent.Type.FontChange)
        if event.type() in kinds and hasattr(self, "_sorted"):
            self._targets.set_dark(is_dark(self.palette()))
            self._fit_columns()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        asks: dict[int, Action] = {
            Qt.Key.Key_Delete: Action.REMOVE,
            Qt.Key.Key_Backspace: Action.REMOVE,
            Qt.Key.Key_Return: Action.SHOW,
            Qt.Key.Key_Enter: Action.SHOW,
        }
        if event.modifiers() in _PLAIN and (action := asks.get(event.key())):
            self.request(action)
            event.accept()
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        if not self.selected_keys():
            return
        place = event.globalPos()
        if event.reason() == QContextMenuEvent.Reason.Keyboard:
            place = self.viewport().mapToGlobal(self.visualRect(self.currentIndex()).bottomLeft())
        menu = self.context_menu()
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(place)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self._sorted.rowCount() == 0:
            painter = QPainter(self.viewport())
            painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
            flags = int(Qt.AlignmentFlag.AlignCenter.value) | int(Qt.TextFlag.TextWordWrap.value)
            painter.drawText(self.viewport().rect().adjusted(8, 4, -8, -4), flags, self.placeholder)
            painter.end()


_PLAIN = (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.KeypadModifier)
