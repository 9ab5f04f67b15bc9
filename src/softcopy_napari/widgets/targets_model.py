"""The targets of all engines, and those not started yet, as a Qt list model: what the list of cards shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from qtpy.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt, QTimer, Signal

from softcopy_napari.widgets.card import DOT, Arrival, Card, make_card
from softcopy_napari.widgets.card_steadiness import SteadyCards
from softcopy_napari.widgets.labels import plain_tip
from softcopy_napari.widgets.palette import Tone
from softcopy_napari.widgets.target_row import Key, Row

ROW_ROLE = int(Qt.ItemDataRole.UserRole) + 1
"""The `Row`."""
CARD_ROLE = ROW_ROLE + 1
"""The `Card`."""
NAME_ROLE = ROW_ROLE + 2
"""The source's name."""


class TargetsModel(QAbstractListModel):
    """A list with an item for each target, which keeps its place and selection when its key changes at a start."""

    cards_changed = Signal()
    """Some cards say something else now: once for all of them, where `dataChanged` tells of each."""

    def __init__(self, parent: QObject | None = None, cards: SteadyCards | None = None) -> None:
        super().__init__(parent)
        self._rows: list[Row] = []
        self._cards: list[Card] = []
        self._arrivals: Mapping[Key, Arrival] = {}
        self._steady = cards or SteadyCards()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._show_cards)

    @property
    def rows(self) -> tuple[Row, ...]:
        """All targets, in order."""
        return tuple(self._rows)

    @property
    def cards(self) -> tuple[Card, ...]:
        """What their cards show."""
        return tuple(self._cards)

    def find(self, key: Key) -> Row | None:
        """Return the target with that key."""
        return next((row for row in self._rows if row.key == key), None)

    def card(self, key: Key | None) -> Card | None:
        """Return what the card of that target shows."""
        return next((card for row, card in zip(self._rows, self._cards, strict=True) if row.key == key), None)

    def summary(self) -> str:
        """Return how many targets there are of each kind, those at work first: `2 copying \u00b7 1 needs you`."""
        counts = Counter(_kind(card) for card in self._cards)
        several = {Tone.NEEDS_USER.value: "need you"}
        kinds = dict.fromkeys(_kind(card) for tone in Tone for card in self._cards if card.tone is tone)
        return DOT.join(f"{counts[one]} {several.get(one, one) if counts[one] > 1 else one}" for one in kinds)

    def update(self, rows: Sequence[Row], arrivals: Mapping[Key, Arrival] | None = None) -> None:
        """Show these targets in this order; views are notified of the differences only."""
        self._arrivals = arrivals if arrivals is not None else self._arrivals
        wanted = list({row.key: row for row in rows}.values())
        self._update_keys(wanted)
        keys = {row.key for row in wanted}
        for index in reversed(range(len(self._rows))):
            if self._rows[index].key not in keys:
                self.beginRemoveRows(QModelIndex(), index, index)
                del self._rows[index], self._cards[index]
                self.endRemoveRows()
        for index, row in enumerate(wanted):
            self._place(index, row)
            self._rows[index] = row
        self._show_cards()

    def _update_keys(self, wanted: list[Row]) -> None:
        """Update the keys of rows whose target has been started, or has another engine now."""
        known = {row.key for row in self._rows}
        new = {(row.source, row.destination): row for row in wanted if row.key not in known}
        still = {row.key for row in wanted}
        for index, row in enumerate(self._rows):
            if row.key not in still and (successor := new.pop((row.source, row.destination), None)):
                self._rows[index] = successor

    def _place(self, index: int, row: Row) -> None:
        place = next((at for at in range(index, len(self._rows)) if self._rows[at].key == row.key), None)
        if place is None:
            self.beginInsertRows(QModelIndex(), index, index)
            self._rows.insert(index, row)
            self._cards.insert(index, make_card(row))
            self.endInsertRows()
        elif place != index:
            self.beginMoveRows(QModelIndex(), place, place, QModelIndex(), index)
            self._rows.insert(index, self._rows.pop(place))
            self._cards.insert(index, self._cards.pop(place))
            self.endMoveRows()

    def _show_cards(self) -> None:
        """Show the present cards, but states only that have lasted; the others are looked at again when they have."""
        now = {(row.source, row.destination): make_card(row, self._arrivals.get(row.key)) for row in self._rows}
        shown, changed = self._steady.steady(now), False
        for index, row in enumerate(self._rows):
            card = shown[row.source, row.destination]
            if card != self._cards[index]:
                self._cards[index], changed = card, True
                self.dataChanged.emit(self.index(index, 0), self.index(index, 0))
        if changed:
            self.cards_changed.emit()
        if (due := self._steady.due) is not None:
            self._timer.start(int(1000 * due) + 20)

    # Overrides of Qt's methods.

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or index.row() >= len(self._rows):
            return None
        row, card = self._rows[index.row()], self._cards[index.row()]
        match role:
            case Qt.ItemDataRole.DisplayRole | Qt.ItemDataRole.AccessibleTextRole:
                return card.text
            case Qt.ItemDataRole.ToolTipRole:
                return plain_tip(card.tip)
            case Qt.ItemDataRole.AccessibleDescriptionRole:
                return card.tip
            case _ if role == NAME_ROLE:
                return row.name
            case _ if role == ROW_ROLE:
                return row
            case _ if role == CARD_ROLE:
                return card
        return None


def _kind(card: Card) -> str:
    """Return as what a card is counted: what its user has paused is not stopped."""
    return card.headline.lower() if card.tone is Tone.PAUSED else card.tone.value
