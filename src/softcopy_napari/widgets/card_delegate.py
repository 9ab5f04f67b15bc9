"""Paints the targets as cards of one height: an icon, the state, where it goes, figures, and buttons where wanted."""

from __future__ import annotations

from dataclasses import dataclass

from qtpy.QtCore import QModelIndex, QPersistentModelIndex, QPoint, QRect, QSize, Qt
from qtpy.QtGui import QColor, QFont, QFontMetrics, QPainter, QPalette
from qtpy.QtWidgets import QListView, QStyle, QStyleOptionViewItem

from softcopy_napari.widgets.card import Card
from softcopy_napari.widgets.card_painting import paint_button, paint_icon, paint_stripes
from softcopy_napari.widgets.item_delegate import ItemDelegate
from softcopy_napari.widgets.palette import faint, is_dark, mix, tone_colour
from softcopy_napari.widgets.target_row import Action
from softcopy_napari.widgets.targets_model import CARD_ROLE

COMPACT = 268
"""Below this width a card is one line: in a dock of less than 280 pixels."""
_MARGIN = 6
_GAP = 8
_LINES = 3
_NAME_SHARE = 45
"""Percent of the first line that a long name has in any case."""
_SUBDUED = 0.25
"""How far the text of less weight fades into the background: still 4.5:1 in napari's themes."""


@dataclass(frozen=True, slots=True)
class _Places:
    """Where the parts of a card lie."""

    icon: QRect
    lines: tuple[QRect, ...]
    buttons: tuple[tuple[Action | None, QRect], ...]
    """The action of each button, None for the menu, and its place."""


class CardDelegate(ItemDelegate):
    """Paints what `CARD_ROLE` tells, in the colours of the view's palette.

    Parameters
    ----------
    view : QListView
        Its width decides whether cards are compact.
    """

    def __init__(self, view: QListView) -> None:
        super().__init__(view)
        self._view = view
        self.hovered: tuple[int, Action | None, bool] | None = None
        """Row under the mouse, the button there, and whether there is one."""

    @property
    def compact(self) -> bool:
        """Whether cards are one line."""
        return self._view.width() < COMPACT

    @property
    def height(self) -> int:
        """Height of a card."""
        line = self._view.fontMetrics().height()
        return line + 8 if self.compact else _LINES * line + 2 * _MARGIN + 6

    def button_at(self, rect: QRect, card: Card, place: QPoint) -> tuple[Action | None, bool]:
        """Return the action of the button at a place, None for the menu, and whether there is a button."""
        for action, area in self._places(rect, card).buttons:
            if area.contains(place):
                return action, True
        return None, False

    def _places(self, rect: QRect, card: Card) -> _Places:
        line = self._view.fontMetrics().height()
        inner = rect.adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN)
        if self.compact:
            side = line
            icon = QRect(rect.left() + 4, rect.center().y() - side // 2, side, side)
            text = QRect(icon.right() + 6, rect.top(), rect.right() - icon.right() - 10, rect.height())
            size = line + 4
            area = QRect(rect.right() - size - 2, rect.center().y() - size // 2, size, size)
            return _Places(icon, (text,), ((None, area),))
        side = round(line * 1.7)
        icon = QRect(inner.left(), inner.top() + line - side // 2, side, side)
        left, step = icon.right() + _GAP, line + 1
        lines = tuple(QRect(left, inner.top() + at * step, inner.right() - left, line) for at in range(_LINES))
        size = line + 5
        actions = (*card.actions, None)
        top = lines[2].center().y() - size // 2
        buttons = tuple(
            (action, QRect(inner.right() - (len(actions) - at) * (size + 2) + 2, top, size, size))
            for at, action in enumerate(actions)
        )
        return _Places(icon, lines, buttons)

    # Overrides of Qt's methods.

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        return QSize(120, self.height)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        card: Card = index.data(CARD_ROLE)
        palette, rect = option.palette, option.rect
        window, text = (palette.color(role) for role in (QPalette.ColorRole.Window, QPalette.ColorRole.WindowText))
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        hovered = self.hovered is not None and self.hovered[0] == index.row()
        tone = tone_colour(card.tone, is_dark(palette))
        painter.save()
        painter.setFont(option.font)
        if selected or hovered:
            painter.fillRect(rect.adjusted(0, 0, 0, -1), mix(window, text, 0.14 if selected else 0.06))
        if selected:
            painter.fillRect(QRect(rect.left(), rect.top(), 3, rect.height() - 1), tone)
        painter.fillRect(QRect(rect.left(), rect.bottom(), rect.width(), 1), faint(palette, 0.12))
        if option.state & QStyle.StateFlag.State_HasFocus:
            painter.setPen(mix(window, text, 0.6))
            painter.drawRect(rect.adjusted(0, 0, -1, -2))
        places = self._places(rect, card)
        paint_icon(painter, places.icon, card.icon, tone, faint(palette, 0.25), card.fraction)
        shows_buttons = hovered or selected
        if self.compact:
            area = places.lines[0]
            if hovered:
                area = area.adjusted(0, 0, -places.buttons[0][1].width(), 0)
            self._paint_pair(painter, area, card, tone, text)
        else:
            subdued = mix(text, window, _SUBDUED)
            self._paint_pair(painter, places.lines[0], card, tone, text)
            self._paint_text(
                painter, places.lines[1], f"\u2192 {card.destination}", subdued, Qt.TextElideMode.ElideMiddle
            )
            facts = places.lines[2]
            if shows_buttons:
                facts = facts.adjusted(0, 0, places.buttons[0][1].left() - facts.right() - 4, 0)
            self._paint_text(painter, facts, card.facts, text, Qt.TextElideMode.ElideRight)
        if card.striped and not self.compact:
            bar = QRect(places.lines[0].left(), rect.bottom() - 4, places.lines[0].width(), 3)
            paint_stripes(painter, bar, tone, faint(palette))
        if (shows_buttons and not self.compact) or hovered:
            self._paint_buttons(painter, index.row(), places, mix(window, text, 0.3), text)
        painter.restore()

    def _paint_buttons(self, painter: QPainter, row: int, places: _Places, back: QColor, colour: QColor) -> None:
        for action, area in places.buttons:
            over = self.hovered == (row, action, True)
            paint_button(painter, area, action, colour, back if over else None)

    def _paint_pair(self, painter: QPainter, area: QRect, card: Card, tone: QColor, text: QColor) -> None:
        """Paint the name and, at the right, the state in as few letters as leave the name enough of the room."""
        bold = QFont(painter.font())
        bold.setBold(True)
        name, state = QFontMetrics(bold), painter.fontMetrics()
        least = min(name.horizontalAdvance(card.name), area.width() * _NAME_SHARE // 100)
        room, headline = area.width() - least - _GAP, card.headline
        if state.horizontalAdvance(headline) + 2 > room:
            headline = card.short
        width = min(state.horizontalAdvance(headline) + 2, room)
        right = QRect(area.right() - width, area.top(), width + 1, area.height())
        left = QRect(area.left(), area.top(), area.width() - width - _GAP, area.height())
        self._paint_text(painter, right, headline, tone, Qt.TextElideMode.ElideRight)
        painter.save()
        painter.setFont(bold)
        self._paint_text(painter, left, card.name, text, Qt.TextElideMode.ElideMiddle)
        painter.restore()

    def _paint_text(self, painter: QPainter, area: QRect, words: str, colour: QColor, mode: Qt.TextElideMode) -> None:
        painter.setPen(colour)
        flags = int(Qt.AlignmentFlag.AlignLeft.value) | int(Qt.AlignmentFlag.AlignVCenter.value)
        painter.drawText(area, flags, painter.fontMetrics().elidedText(words, mode, area.width()))
