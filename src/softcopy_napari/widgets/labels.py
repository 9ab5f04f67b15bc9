"""Labels whose sentences wrap, also within paths, however narrow the panel is."""

from __future__ import annotations

import html
import re

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QSizePolicy

_LONG = re.compile(r"\S{20,}")
"""Paths have no blanks at which a line could break, and may be wider than the panel."""
_BREAK = "\u200b"
"""A zero-width space, at which a line may break."""


def wrapping_label(object_name: str) -> QLabel:
    """Make a label of plain text that takes the width there is, and as many lines as it needs."""
    label = QLabel()
    label.setObjectName(object_name)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    label.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def show_words(label: QLabel, words: str) -> None:
    """Show words as a sentence; screen readers get them without the breaks."""
    label.setAccessibleName(words)
    label.setText(_LONG.sub(_with_breaks, words[:1].upper() + words[1:]))
    label.setVisible(bool(words))


def plain_tip(words: str) -> str:
    """Escape the text of a tooltip: in what looks like HTML, Qt would load pictures from anywhere."""
    return f"<p>{html.escape(words)}</p>".replace("\n", "<br>") if "<" in words else words


def _with_breaks(found: re.Match[str]) -> str:
    return re.sub(r"([/\\_-])", rf"\1{_BREAK}", found[0])
