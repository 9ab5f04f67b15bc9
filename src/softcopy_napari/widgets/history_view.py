"""The history: how the last copies ended, the newest first, and what can be done about one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qtpy.QtCore import QEvent, QSize, Qt, Signal
from qtpy.QtGui import QIcon, QKeyEvent
from qtpy.QtWidgets import QAbstractItemView, QFrame, QLabel, QListWidget, QListWidgetItem, QWidget

from softcopy_napari.engine.targets.store_url import is_store_url
from softcopy_napari.widgets.buttons import button, flow
from softcopy_napari.widgets.card_painting import tone_picture
from softcopy_napari.widgets.palette import Tone
from softcopy_napari.widgets.section import Section

_NOTHING = "No copy has ended yet."
_MOST = 5
"""Copies that are seen without scrolling."""


@dataclass(frozen=True, slots=True)
class PastCopy:
    """A copy, or a check, that has ended."""

    source: str
    destination: str
    tone: Tone
    headline: str
    """How it ended, and its name, such as `Done 15:46: cam1.zarr`."""
    reason: str = ""
    """Why it ended so, in words."""


class HistorySection(Section):
    """A list of the copies that have ended, closed at first."""

    again_requested = Signal(str, str)
    """Source and destination of a copy that is to be filled in once more."""
    open_requested = Signal(str)
    """A destination whose folder is to be opened."""
    forget_requested = Signal(object)
    """A list of the `PastCopy` that are to be removed."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("History", "history", parent)
        self._copies: tuple[PastCopy, ...] = ()
        self._list, self._nothing = QListWidget(), QLabel(_NOTHING)
        self._again = button("Copy again\u2026", "history_again", "Fill in this copy once more")
        self._open = button("Open folder", "history_open", "Open the destination's folder")
        self._forget = button("Forget", "history_forget", "Remove from this list; no data are touched")
        self._set_up_list()
        self.add(self._nothing)
        self.add(self._list)
        self._buttons = QWidget()
        row = flow((self._again, self._open, self._forget))
        row.setContentsMargins(0, 0, 0, 0)
        self._buttons.setLayout(row)
        self.add(self._buttons)
        self._list.itemSelectionChanged.connect(self._update_buttons)
        self._list.itemActivated.connect(lambda _: self._ask_again())
        self._again.clicked.connect(self._ask_again)
        self._open.clicked.connect(lambda: self.open_requested.emit(self._current().destination))
        self._forget.clicked.connect(self._ask_to_forget)
        self.set_copies(())

    def _set_up_list(self) -> None:
        past, line = self._list, self.fontMetrics().lineSpacing()
        past.setObjectName("history_list")
        past.setAccessibleName("Copies that have ended")
        past.setFrameShape(QFrame.Shape.NoFrame)
        past.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        past.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        past.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        past.setUniformItemSizes(True)
        past.setIconSize(QSize(line, line))

    @property
    def copies(self) -> tuple[PastCopy, ...]:
        """The copies that are shown, the newest first."""
        return self._copies

    def set_copies(self, copies: Sequence[PastCopy]) -> None:
        """Show these copies, the newest first; those that were selected stay so."""
        chosen = set(self._selected())
        self._copies = tuple(copies)
        self._list.clear()
        for one in self._copies:
            item = QListWidgetItem(f"{one.headline}\n\u2192 {one.destination}")
            item.setToolTip("\n".join(filter(None, (one.source, f"\u2192 {one.destination}", one.reason))))
            item.setData(Qt.ItemDataRole.AccessibleTextRole, f"{one.headline}, {one.destination}")
            self._list.addItem(item)
            item.setSelected(one in chosen)
        self._draw_icons()
        rows = min(_MOST, len(self._copies))
        self._list.setFixedHeight(rows * (2 * self.fontMetrics().lineSpacing() + 4) + 4)
        self._nothing.setVisible(not copies)
        self._list.setVisible(bool(copies))
        self._buttons.setVisible(bool(copies))
        self._update_buttons()

    def _draw_icons(self) -> None:
        side = self._list.iconSize().width()
        pictures = {
            tone: QIcon(tone_picture(tone, self.palette(), side, self.devicePixelRatioF()))
            for tone in {one.tone for one in self._copies}
        }
        for at, one in enumerate(self._copies):
            self._list.item(at).setIcon(pictures[one.tone])

    def _selected(self) -> list[PastCopy]:
        return [self._copies[at] for at in sorted(index.row() for index in self._list.selectedIndexes())]

    def _current(self) -> PastCopy:
        return self._selected()[0]

    def _update_buttons(self) -> None:
        count = len(self._selected())
        for one in (self._again, self._open):
            one.setEnabled(count == 1)
        self._open.setVisible(not (count == 1 and is_store_url(self._current().destination)))
        self._forget.setEnabled(count > 0)

    def _ask_again(self) -> None:
        one = self._current()
        self.again_requested.emit(one.source, one.destination)

    def _ask_to_forget(self) -> None:
        self.forget_requested.emit(self._selected())

    # Overrides of Qt's methods.

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace) and self._selected():
            self._ask_to_forget()
        else:
            super().keyPressEvent(event)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "_forget"):
            self._draw_icons()
