"""Paints the signs on cards: a target's icon with its ring of progress, the stripes of an open end, and buttons."""

from __future__ import annotations

from qtpy.QtCore import QPointF, QRect, QRectF, QSize, Qt
from qtpy.QtGui import QBrush, QColor, QPainter, QPainterPath, QPalette, QPen, QPixmap, QPolygonF

from softcopy_napari.widgets.card import Icon
from softcopy_napari.widgets.palette import Tone, is_dark, tone_colour
from softcopy_napari.widgets.target_row import Action

_ICONS = {Tone.DONE: Icon.CHECK, Tone.NEEDS_USER: Icon.ALARM, Tone.WAITS: Icon.CLOCK, Tone.PAUSED: Icon.SQUARE}
"""What stands for a tone where there is no target in a state of its own."""

_FULL_TURN = 5760
"""Sixteenths of a degree, in which Qt counts."""


def paint_icon(
    painter: QPainter, rect: QRect, icon: Icon, colour: QColor, track: QColor, fraction: float | None
) -> None:
    """Paint a state's icon within a ring, which is closed as far as the target has arrived.

    Parameters
    ----------
    painter : QPainter
        Its state is restored afterwards.
    rect : QRect
        A square.
    icon : Icon
    colour : QColor
    track : QColor
        Colour of the part of the ring that is still to come.
    fraction : float or None
        The share that has arrived, 0 to 1; None paints the track alone.
    """
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    width = max(2.0, rect.width() / 9)
    ring = QRectF(rect).adjusted(width / 2, width / 2, -width / 2, -width / 2)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    dashed = icon is Icon.CIRCLE
    painter.setPen(QPen(track, width, Qt.PenStyle.DotLine if dashed else Qt.PenStyle.SolidLine))
    painter.drawEllipse(ring)
    if fraction:
        painter.setPen(QPen(colour, width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.FlatCap))
        painter.drawArc(ring, _FULL_TURN // 4, -round(min(1.0, fraction) * _FULL_TURN))
    _paint_sign(painter, QRectF(rect).adjusted(*_inset(rect)), icon, colour, width)
    painter.restore()


def tone_picture(tone: Tone, palette: QPalette, side: int, ratio: float) -> QPixmap:
    """Return the icon that stands for a tone.

    Parameters
    ----------
    tone : Tone
    palette : QPalette
        Tells whether its background is dark.
    side : int
        Its width and height in pixels of the widget.
    ratio : float
        The screen's pixels to one of the widget's.
    """
    picture = QPixmap(QSize(side, side) * ratio)
    picture.setDevicePixelRatio(ratio)
    picture.fill(Qt.GlobalColor.transparent)
    colour = tone_colour(tone, is_dark(palette))
    painter = QPainter(picture)
    paint_icon(painter, QRect(0, 0, side, side), _ICONS.get(tone, Icon.ARROW), colour, colour, None)
    painter.end()
    return picture


def _inset(rect: QRect) -> tuple[float, float, float, float]:
    margin = rect.width() * 0.3
    return margin, margin, -margin, -margin


def _paint_sign(painter: QPainter, box: QRectF, icon: Icon, colour: QColor, width: float) -> None:
    left, top, side = box.left(), box.top(), box.width()

    def at(x: float, y: float) -> QPointF:
        return QPointF(left + x * side, top + y * side)

    painter.setPen(QPen(colour, width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin))
    match icon:
        case Icon.ARROW:
            painter.drawLine(at(0.5, 0.0), at(0.5, 0.95))
            painter.drawPolyline(QPolygonF([at(0.1, 0.55), at(0.5, 0.95), at(0.9, 0.55)]))
        case Icon.CHECK:
            painter.drawPolyline(QPolygonF([at(0.0, 0.55), at(0.38, 0.92), at(1.0, 0.1)]))
        case Icon.CLOCK:
            painter.drawPolyline(QPolygonF([at(0.5, 0.0), at(0.5, 0.55), at(0.9, 0.75)]))
        case Icon.ALARM:
            painter.drawLine(at(0.5, -0.1), at(0.5, 0.62))
            painter.drawPoint(at(0.5, 1.0))
        case Icon.BARS:
            painter.drawLine(at(0.2, 0.05), at(0.2, 0.95))
            painter.drawLine(at(0.8, 0.05), at(0.8, 0.95))
        case Icon.SQUARE:
            painter.fillRect(box.adjusted(side * 0.1, side * 0.1, -side * 0.1, -side * 0.1), colour)
        case Icon.CIRCLE:
            pass


def paint_stripes(painter: QPainter, rect: QRect, colour: QColor, track: QColor) -> None:
    """Paint a bar that says: at work, and nobody knows how much is to come."""
    painter.save()
    painter.fillRect(rect, track)
    painter.setClipRect(rect)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    step, height = 10, rect.height()
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QBrush(colour))
    for x in range(rect.left() - step, rect.right() + step, step):
        corners = (
            (x, rect.bottom() + 1),
            (x + height, rect.top()),
            (x + height + 5, rect.top()),
            (x + 5, rect.bottom() + 1),
        )
        painter.drawPolygon(QPolygonF([QPointF(*corner) for corner in corners]))
    painter.restore()


def paint_button(painter: QPainter, rect: QRect, action: Action | None, colour: QColor, back: QColor | None) -> None:
    """Paint the sign of a button on a card.

    Parameters
    ----------
    painter : QPainter
        Its state is restored afterwards.
    rect : QRect
        A square.
    action : Action or None
        None is the menu.
    colour : QColor
    back : QColor or None
        Background of the button that the mouse is over; None for the others.
    """
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    if back is not None:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(back)
        painter.drawRoundedRect(QRectF(rect), 3, 3)
    box = QRectF(rect).adjusted(*(rect.width() * 0.29 * sign for sign in (1, 1, -1, -1)))
    left, top, side = box.left(), box.top(), box.width()
    painter.setPen(QPen(colour, max(1.5, side / 6), Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    match action:
        case Action.PAUSE:
            for x in (0.22, 0.78):
                painter.drawLine(QPointF(left + x * side, top), QPointF(left + x * side, top + side))
        case Action.START | Action.RESUME:
            painter.setBrush(colour)
            painter.setPen(Qt.PenStyle.NoPen)
            tip = QPointF(left + side, top + side / 2)
            painter.drawPolygon(
                QPolygonF([QPointF(left + side * 0.12, top), tip, QPointF(left + side * 0.12, top + side)])
            )
        case Action.STOP:
            painter.fillRect(box.adjusted(1, 1, -1, -1), colour)
        case Action.REMOVE:
            painter.drawLine(box.topLeft(), box.bottomRight())
            painter.drawLine(box.topRight(), box.bottomLeft())
        case Action.OPEN_DESTINATION | Action.OPEN_SOURCE:
            painter.drawPath(_folder(box))
        case _:
            painter.setBrush(colour)
            painter.setPen(Qt.PenStyle.NoPen)
            for x in (0.0, 0.5, 1.0):
                painter.drawEllipse(QPointF(left + x * side, top + side / 2), side / 9, side / 9)
    painter.restore()


def _folder(box: QRectF) -> QPainterPath:
    path, (left, top, side) = QPainterPath(), (box.left(), box.top(), box.width())
    path.moveTo(left, top + 0.1 * side)
    for x, y in ((0.4, 0.1), (0.52, 0.28), (1.0, 0.28), (1.0, 0.95), (0.0, 0.95), (0.0, 0.1)):
        path.lineTo(left + x * side, top + y * side)
    return path
