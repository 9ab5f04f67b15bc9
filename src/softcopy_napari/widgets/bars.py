"""Paints bars with a text that is readable on both of their parts, for several widgets."""

from __future__ import annotations

from qtpy.QtCore import QRect, Qt
from qtpy.QtGui import QColor, QPainter, QPalette

from softcopy_napari.widgets.palette import faint

_ON_COLOUR = QColor(0, 0, 0)
"""Text on the palette's chunk colours, all of which are light enough for black."""


def paint_bar(painter: QPainter, rect: QRect, filled: QRect, colour: QColor, palette: QPalette, text: str = "") -> None:
    """Paint the track of a bar, its filled part, and a text over both.

    Parameters
    ----------
    painter : QPainter
        Its state is restored afterwards.
    rect, filled : QRect
        The whole bar, and the part of it that is filled.
    colour : QColor
        Colour of the filled part.
    palette : QPalette
        Palette of the widget.
    text : str
        Text over the bar; left out where it does not fit.
    """
    painter.save()
    painter.fillRect(rect, faint(palette))
    painter.fillRect(filled, colour)
    metrics = painter.fontMetrics()
    if text and metrics.horizontalAdvance(text) <= rect.width() - 4 and metrics.height() <= rect.height() + 2:
        # Once on each part: no single colour is readable on both.
        painter.setPen(palette.color(QPalette.ColorRole.WindowText))
        painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, text)
        painter.setClipRect(filled)
        painter.fillRect(filled, colour)
        painter.setPen(_ON_COLOUR)
        painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, text)
    painter.restore()


def percent_text(fraction: float) -> str:
    """Return a share in whole percent: 100 % only when all has arrived, 0 % only while nothing has."""
    if 0 < fraction < 0.01:
        return "<1 %"
    return f"{int(fraction * 100 + 1e-9)} %" if fraction < 1 else "100 %"
