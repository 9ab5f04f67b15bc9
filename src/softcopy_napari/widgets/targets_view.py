"""The list of targets as cards, usable by mouse and by keyboard; signals report what the user asks for."""

from __future__ import annotations

from collections.abc import Callable, Collection

from qtpy.QtCore import (
    QEvent,
    QItemSelection,
    QItemSelectionModel,
    QPoint,
    QSize,
    Qt,
    Signal,
)
from qtpy.QtGui import QContextMenuEvent, QHelpEvent, QKeyEvent, QMouseEvent, QResizeEvent
from qtpy.QtWidgets import QAbstractItemView, QFrame, QListView, QMenu, QSizePolicy, QToolTip, QWidget

from softcopy_napari.widgets.card_delegate import CardDelegate
from softcopy_napari.widgets.target_row import Action, Key, Row, allowed_actions, only_freed, only_watched
from softcopy_napari.widgets.targets_model import CARD_ROLE, ROW_ROLE, TargetsModel

_GROUPS = (Action.SHOW, Action.CHECK, Action.REMOVE)
"""Actions below a separator in the menu."""
_RARE = (Action.UNFINISH, Action.COMPARE)
"""Actions that are in the menu only where they are possible."""
_FEWEST = 2
"""Cards that are shown without scrolling, however little room there is."""
_PLAIN = (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.KeypadModifier)
_Button = tuple[int, Action | None, bool]
"""Row of a card, a button's action (None: the menu), and whether there is a button."""


class TargetsView(QListView):
    """Shows a `TargetsModel` as cards."""

    requested = Signal(object, object)
    """An `Action`, and the keys of those targets that allow it."""
    selection_changed = Signal()
    width_changed = Signal()
    """Sent after cards were laid out for another width: they may have become compact."""

    def __init__(self, model: TargetsModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("targets_table")
        self.setAccessibleName("Targets")
        self._targets = model
        self._cards = CardDelegate(self)
        self._pressed: _Button | None = None
        self._pressed_card = False
        """Whether the mouse went down on a card, beside its buttons: only then it may drag a selection."""
        self._room = 240
        self.setModel(model)
        self.setItemDelegate(self._cards)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setUniformItemSizes(True)
        self.setMouseTracking(True)
        self.viewport().setMouseTracking(True)
        self.selectionModel().selectionChanged.connect(self.selection_changed)
        for changed in (model.rowsInserted, model.rowsRemoved):
            changed.connect(self._fit)
        self.doubleClicked.connect(lambda _: self.request(Action.SHOW))

    @property
    def compact(self) -> bool:
        """Whether each target is one line, without figures."""
        return self._cards.compact

    def set_room(self, height: int) -> None:
        """Set the height that its cards may take before they scroll."""
        if height != self._room:
            self._room = height
            self.updateGeometry()

    # What is selected.

    def selected_rows(self) -> list[Row]:
        """The selected targets, from top to bottom."""
        indexes = sorted(self.selectionModel().selectedRows(), key=lambda index: index.row())
        return [index.data(ROW_ROLE) for index in indexes]

    def selected_keys(self) -> list[Key]:
        """The keys of the selected targets, from top to bottom."""
        return [row.key for row in self.selected_rows()]

    def select(self, keys: Collection[Key]) -> None:
        """Select these targets, and bring the first into view; without any of them nothing changes."""
        model, chosen = self._targets, QItemSelection()
        indexes = [model.index(at, 0) for at, row in enumerate(model.rows) if row.key in keys]
        for index in indexes:
            chosen.select(index, index)
        if indexes:
            flag = QItemSelectionModel.SelectionFlag
            self.selectionModel().setCurrentIndex(indexes[0], flag.NoUpdate)
            self.selectionModel().select(chosen, flag.ClearAndSelect)
            self.scrollTo(indexes[0])

    def select_current(self) -> None:
        """Select the target that the keyboard is at, or else the first."""
        row = self.currentIndex().row()
        if self._targets.rows:
            self.select([self._targets.rows[max(0, row)].key])

    # What is asked for.

    def request(self, action: Action) -> None:
        """Ask for something to be done with the selected targets."""
        self._request(action, self.selected_rows())

    def _request(self, action: Action, rows: list[Row]) -> None:
        if keys := [row.key for row in rows if action in allowed_actions([row])]:
            self.requested.emit(action, keys)

    def context_menu(self) -> QMenu:
        """Make a menu of what can be done with the selected targets; the caller deletes it."""
        menu = QMenu(self)
        rows = self.selected_rows()
        allowed = allowed_actions(rows)
        stop = "Stop watching" if only_watched(rows) else "Stop freeing" if only_freed(rows) else Action.STOP.value
        shortcuts = {Action.SHOW: Qt.Key.Key_Return, Action.REMOVE: Qt.Key.Key_Delete, Action.PAUSE: Qt.Key.Key_Space}
        for action in Action:
            if action in _RARE and action not in allowed:
                continue
            if action in _GROUPS:
                menu.addSeparator()
            entry = menu.addAction(stop if action is Action.STOP else action.value)
            entry.setEnabled(action in allowed)
            entry.triggered.connect(self._asker(action))
            if action in shortcuts:
                entry.setShortcut(shortcuts[action])
        return menu

    def _asker(self, action: Action) -> Callable[[], None]:
        return lambda: self.request(action)

    def _open_menu(self, place: QPoint) -> None:
        menu = self.context_menu()
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(place)

    # The buttons on the cards.

    def _button_at(self, place: QPoint) -> _Button | None:
        index = self.indexAt(place)
        if not index.isValid():
            return None
        return index.row(), *self._cards.button_at(self.visualRect(index), index.data(CARD_ROLE), place)

    def _hover(self, now: _Button | None) -> None:
        before, self._cards.hovered = self._cards.hovered, now
        for one in (before, now):
            if before != now and one is not None:
                self.update(self._targets.index(one[0], 0))

    def _press(self, row: int, action: Action | None, place: QPoint) -> None:
        target = self._targets.rows[row]
        if action is not None:
            self._request(action, [target])
            return
        if target.key not in self.selected_keys():
            self.select([target.key])
        self._open_menu(place)

    # The height.

    def _fit(self) -> None:
        self.updateGeometry()
        self.doItemsLayout()

    # Overrides of Qt's methods.

    def sizeHint(self) -> QSize:
        cards = max(1, min(max(_FEWEST, self._room // self._cards.height), self._targets.rowCount()))
        return QSize(240, cards * self._cards.height + 2 * self.frameWidth())

    def minimumSizeHint(self) -> QSize:
        return QSize(120, self.sizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.oldSize().width() != event.size().width():
            self._fit()
            self.width_changed.emit()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.StyleChange, QEvent.Type.FontChange) and hasattr(self, "_cards"):
            self._fit()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._hover(self._button_at(event.position().toPoint()))
        if self._pressed_card or not event.buttons():
            super().mouseMoveEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        self._hover(None)
        super().leaveEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        found = self._button_at(event.position().toPoint())
        self._pressed = found if found and found[2] and event.button() == Qt.MouseButton.LeftButton else None
        self._pressed_card = self._pressed is None  # a button acts on its card, and leaves the selection alone
        if self._pressed_card:
            super().mousePressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        pressed, self._pressed, self._pressed_card = self._pressed, None, False
        if pressed is None:
            super().mouseReleaseEvent(event)
        elif pressed == self._button_at(event.position().toPoint()):
            self._press(pressed[0], pressed[1], self.viewport().mapToGlobal(event.position().toPoint()))

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        found = self._button_at(event.position().toPoint())
        if found and found[2]:
            self.mousePressEvent(event)
        else:
            super().mouseDoubleClickEvent(event)

    def viewportEvent(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            found = self._button_at(event.pos())
            if found and found[2]:
                QToolTip.showText(event.globalPos(), found[1].value if found[1] else "More", self)
                return True
        return bool(super().viewportEvent(event))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        asks: dict[int, Action] = {
            Qt.Key.Key_Delete: Action.REMOVE,
            Qt.Key.Key_Backspace: Action.REMOVE,
            Qt.Key.Key_Return: Action.SHOW,
            Qt.Key.Key_Enter: Action.SHOW,
        }
        if event.modifiers() in _PLAIN and event.key() == Qt.Key.Key_Space:
            allowed = allowed_actions(self.selected_rows())
            self.request(Action.PAUSE if Action.PAUSE in allowed else Action.RESUME)
            event.accept()
        elif event.modifiers() in _PLAIN and (action := asks.get(event.key())):
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
        self._open_menu(place)
