"""Messages that stay until their user dismisses them: endings, and what went wrong."""

from __future__ import annotations

from dataclasses import dataclass

from qtpy.QtCore import QEvent, QRect, Qt, Signal
from qtpy.QtGui import QPainter, QPaintEvent
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from softcopy_napari.widgets.buttons import button
from softcopy_napari.widgets.card_painting import tone_picture
from softcopy_napari.widgets.labels import show_words, wrapping_label
from softcopy_napari.widgets.palette import Tone, is_dark, mix, tone_colour


@dataclass(frozen=True, slots=True)
class Message:
    """One message."""

    tone: Tone
    text: str
    topic: str = ""
    """What it is about: a newer message takes the place of one with the same topic; empty for nothing but itself."""


class Banner(QFrame):
    """Shows one message that was not dismissed, and how many wait behind it; hidden while there is none."""

    dismissed = Signal(object)
    """The topic of a message that its user has dismissed."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("banner")
        self._messages: list[Message] = []
        self._icon, self._text = QLabel(), wrapping_label("banner_text")
        self._more = QLabel()
        self._more.setObjectName("banner_more")
        self._close = button("Dismiss", "banner_dismiss", "Dismiss this message")
        self._close_all = button("Dismiss all", "banner_dismiss_all", "Dismiss all messages")
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self._text, 1)
        below = QHBoxLayout()
        below.setSpacing(4)
        below.addWidget(self._more, 1)
        below.addWidget(self._close)
        below.addWidget(self._close_all)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 6, 8, 6)
        column.setSpacing(4)
        column.addLayout(row)
        column.addLayout(below)
        self._close.clicked.connect(self.dismiss)
        self._close_all.clicked.connect(self.dismiss_all)
        self.hide()

    @property
    def messages(self) -> tuple[Message, ...]:
        """All that were not dismissed: those that need their user first, and of each kind the newest."""
        return tuple(self._messages)

    def add(self, message: Message) -> None:
        """Show a message; it takes the place of one about the same."""
        kept = [one for one in self._messages if one != message and (not message.topic or one.topic != message.topic)]
        # The newest first, but what needs its user before what is done.
        self._messages = sorted([message, *kept], key=lambda one: one.tone is not Tone.NEEDS_USER)
        self._show()

    def withdraw(self, topic: str) -> None:
        """Remove the message about something, as it no longer holds."""
        self._messages = [one for one in self._messages if one.topic != topic]
        self._show()

    def dismiss(self) -> None:
        """Remove the message that is shown."""
        first, *self._messages = self._messages
        self._show()
        self.dismissed.emit(first.topic)

    def dismiss_all(self) -> None:
        """Remove all messages."""
        while self._messages:
            self.dismiss()

    def _show(self) -> None:
        self.setVisible(bool(self._messages))
        if not self._messages:
            show_words(self._text, "")
            return
        first, others = self._messages[0], len(self._messages) - 1
        show_words(self._text, first.text)
        self._more.setText(f"{others:,} more" if others else "")
        self._close_all.setVisible(bool(others))
        self._draw_icon(first.tone)
        self.update()

    def _draw_icon(self, tone: Tone) -> None:
        side = round(1.5 * self.fontMetrics().height())
        self._icon.setPixmap(tone_picture(tone, self.palette(), side, self.devicePixelRatioF()))

    # Overrides of Qt's methods.

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and getattr(self, "_messages", None):
            self._draw_icon(self._messages[0].tone)

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._messages:
            palette = self.palette()
            colour = tone_colour(self._messages[0].tone, is_dark(palette))
            painter = QPainter(self)
            painter.fillRect(self.rect(), mix(palette.window().color(), colour, 0.12))
            painter.fillRect(QRect(0, 0, 3, self.height()), colour)
            painter.end()
