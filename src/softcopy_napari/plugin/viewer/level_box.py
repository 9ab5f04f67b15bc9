"""Keeps napari's chooser of the resolution as narrow as its dock.

For a pyramid of five dimensions it lists entries such as "0: 600 x 2 x 16 x 512 x 512 (5.0 GB)", and widens the layer
controls to the longest, at the cost of the canvas. Where a napari has it otherwise, nothing is found and nothing done.
"""

from __future__ import annotations

from qtpy.QtWidgets import QApplication, QComboBox

_LETTERS = 8


def narrow_level_boxes() -> None:
    """Let these choosers cut off long entries while they are closed; the open list shows them whole."""
    for box in QApplication.allWidgets():
        if isinstance(box, QComboBox) and box.itemText(0).startswith("Auto (") and _is_of_napari(box):
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            box.setMinimumContentsLength(_LETTERS)
            box.view().setMinimumWidth(box.view().sizeHintForColumn(0))


def _is_of_napari(box: QComboBox) -> bool:
    parent = box.parentWidget()
    return parent is not None and type(parent).__module__.startswith("napari.")
