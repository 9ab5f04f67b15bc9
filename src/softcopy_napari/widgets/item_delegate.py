"""A base of delegates that paint the content of items themselves, in the style of the view."""

from __future__ import annotations

from qtpy.QtCore import QModelIndex, QPersistentModelIndex
from qtpy.QtGui import QPainter
from qtpy.QtWidgets import QApplication, QStyle, QStyledItemDelegate, QStyleOptionViewItem


class ItemDelegate(QStyledItemDelegate):
    """A delegate whose `paint` begins with `paint_background`."""

    def paint_background(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QStyleOptionViewItem:
        """Paint an item without its text, and return its style options, which have the text."""
        full = QStyleOptionViewItem(option)
        self.initStyleOption(full, index)
        text, full.text = full.text, ""
        style = full.widget.style() if full.widget else QApplication.style()
        style.drawControl(QStyle.ControlElement.CE_ItemViewItem, full, painter, full.widget)
        full.text = text
        return full
