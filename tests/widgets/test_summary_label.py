"""The line that counts the targets shows whole counts only, and all of them in its tooltip."""

from __future__ import annotations

from pytestqt.qtbot import QtBot

from softcopy_napari.widgets.card import DOT
from softcopy_napari.widgets.summary_label import SummaryLabel

COUNTS = ("3 copying", "1 done", "3 need you", "1 waiting", "1 stopped")


def test_no_count_is_cut_in_the_middle_however_narrow_the_dock_is(qtbot: QtBot) -> None:
    label = SummaryLabel()
    qtbot.addWidget(label)
    label.show_counts(DOT.join(COUNTS))
    label.resize(600, 20)
    assert label.shown == label.text() == label.toolTip() == DOT.join(COUNTS)
    seen = set()
    for width in range(600, label.fontMetrics().horizontalAdvance(COUNTS[0] + "\u2026"), -1):
        label.resize(width, 20)
        words = label.shown
        assert label.fontMetrics().horizontalAdvance(words) <= width
        assert tuple(words.removesuffix("\u2026").split(DOT)) == COUNTS[: words.count(DOT) + 1]
        seen.add(words.count(DOT))
    assert seen == set(range(len(COUNTS))) and label.text() == DOT.join(COUNTS)
