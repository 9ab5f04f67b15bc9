"""The coverage of one target: choosers of array and image, the legend, the map of wells, and the plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy.typing as npt
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QCheckBox, QGridLayout, QLabel, QVBoxLayout, QWidget

from softcopy_napari.engine.states import ChunkState
from softcopy_napari.widgets.buttons import flow
from softcopy_napari.widgets.combo_box import ComboBox
from softcopy_napari.widgets.coverage_plot import CoveragePlot
from softcopy_napari.widgets.legend import Legend
from softcopy_napari.widgets.plate_map import PlateMap
from softcopy_napari.widgets.section import Section

IMAGES = (("Destination", "destination"), ("Source", "source"), ("None", "none"))
"""Where the image below the overlay comes from."""
OVERLAYS = (("Problems", "problems"), ("Frontier", "frontier"), ("All chunks", "all"), ("Off", "off"))
"""What the overlay marks."""


class CoverageView(QWidget):
    """Choosers of the array and of the image, and views of their coverage."""

    array_chosen = Signal(str)
    """Path of the array in the source; empty for one at the root."""
    image_chosen = Signal(str)
    """One of "destination", "source" and "none"."""
    overlay_chosen = Signal(str)
    """One of "problems", "frontier", "all" and "off"."""
    follow_toggled = Signal(bool)
    """Whether the sliders shall move to the newest plane that has arrived."""
    state_clicked = Signal(int)
    """A `ChunkState`."""
    well_clicked = Signal(str)
    axis_changed = Signal(str)
    position_clicked = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._array = ComboBox("array_chooser", "Array", 10)
        self._array.setToolTip("Which array is shown. In the open list, type its first letters to find it.")
        self._image = ComboBox("image_chooser", "Image", 6)
        self._image.setToolTip("Where the image is read from. Reading the source puts load on the microscope's disk.")
        self._image.offer(IMAGES, "destination")
        self._overlay = ComboBox("overlay_mode", "Overlay", 8)
        self._overlay.setToolTip("Problems: chunks missing, failed or unproven. Frontier: chunks that arrive now.")
        self._overlay.offer(OVERLAYS, "problems")
        self._follow = QCheckBox("Follow newest")
        self._follow.setObjectName("follow_newest")
        self._follow.setToolTip("Show the newest plane that has arrived, until you move a slider")
        self._legend, self._wells, self._plot = Legend(), PlateMap(), CoveragePlot()
        self._wells.hide()
        grid = QGridLayout()
        grid.setHorizontalSpacing(6)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        self._array_label, self._image_label = QLabel("Arra&y"), QLabel("&Image")
        image = flow([self._image, self._follow])
        choosers = (
            (self._array_label, self._array),
            (self._image_label, self._image),
            (QLabel("Overlay"), self._overlay),
            self._plot.chooser,
        )
        for at, (label, chooser) in enumerate(choosers):
            label.setBuddy(chooser)
            if chooser is self._image:
                grid.addWidget(label, at, 0, Qt.AlignmentFlag.AlignTop)
                grid.addLayout(image, at, 1)
            else:
                grid.addWidget(label, at, 0)
                grid.addWidget(chooser, at, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(grid)
        self.files = Section("Chunk files", "files")
        """The section with the legend."""
        self.files.add(self._legend)
        for view in (self._wells, self._plot, self.files):
            column.addWidget(view)
        self._array.currentIndexChanged.connect(self._on_array)
        self._image.currentIndexChanged.connect(self._on_image)
        self._overlay.currentIndexChanged.connect(lambda _: self.overlay_chosen.emit(self.overlay))
        self._follow.toggled.connect(self.follow_toggled)
        self._legend.state_clicked.connect(self._on_state)
        self._wells.well_clicked.connect(self.well_clicked)
        self._plot.axis_changed.connect(self.axis_changed)
        self._plot.position_clicked.connect(self.position_clicked)

    @property
    def array(self) -> str | None:
        """Path of the chosen array in the source ("" at the root); None where there is none."""
        chosen = self._array.currentData()
        return None if chosen is None else str(chosen)

    @property
    def image(self) -> str:
        """Where the image comes from: "destination", "source" or "none"."""
        return str(self._image.currentData())

    @image.setter
    def image(self, image: str) -> None:
        self._image.offer(IMAGES, image)

    @property
    def overlay(self) -> str:
        """What the overlay marks: "problems", "frontier", "all" or "off"."""
        return str(self._overlay.currentData())

    @overlay.setter
    def overlay(self, mode: str) -> None:
        self._overlay.offer(OVERLAYS, mode)

    @property
    def follow(self) -> bool:
        """Whether the sliders shall move to the newest plane that has arrived."""
        return self._follow.isChecked()

    @follow.setter
    def follow(self, on: bool) -> None:
        blocked = self._follow.blockSignals(True)
        self._follow.setChecked(on)
        self._follow.blockSignals(blocked)

    @property
    def axis(self) -> str:
        """Name of the plot's axis."""
        return self._plot.axis

    def set_arrays(self, names: Sequence[str], chosen: str = "") -> None:
        """Offer these arrays, by their paths in the source; without any there is no coverage to show."""
        self._array.offer([(name or "(the array itself)", name) for name in names], chosen)
        for part in (self._array_label, self._array):
            part.setVisible(len(names) > 1)
        self.setVisible(bool(names))

    def set_counts(self, counts: Sequence[int], compared: bool = False) -> None:
        """Show how many chunk files of the array are in each `ChunkState`.

        Parameters
        ----------
        counts : sequence of int
        compared : bool
            Whether two sides were only compared: then states have other names, in the plot as well.
        """
        self._legend.set_counts(counts, compared)
        self._plot.compared = compared

    def set_wells(self, wells: Mapping[str, tuple[int, int]]) -> None:
        """Show these wells: path -> chunk files copied, and in all; without any there is no map."""
        self._wells.set_wells(wells)
        self._wells.setVisible(bool(wells))

    def set_axes(self, names: Sequence[str], chosen: str = "") -> None:
        """Offer these axes for the plot."""
        self._plot.set_axes(names, chosen)

    def set_coverage(self, copied: npt.ArrayLike, pending: npt.ArrayLike, missing: npt.ArrayLike) -> None:
        """Show chunk files at each position of the axis."""
        self._plot.set_data(copied, pending, missing)

    def _on_array(self) -> None:
        if self.array is not None:
            self.array_chosen.emit(self.array)

    def _on_image(self) -> None:
        self.image_chosen.emit(self.image)

    def _on_state(self, state: ChunkState) -> None:
        self.state_clicked.emit(int(state))

    # Overrides of Qt's methods.

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        for part in (self._image_label, self._follow):  # in the middle of their line
            part.setFixedHeight(self._image.sizeHint().height())
