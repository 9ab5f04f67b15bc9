"""Finds the dock widget of a viewer, or opens it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QDockWidget, QWidget

if TYPE_CHECKING:
    import napari

    from softcopy_napari.plugin.dock.dock_widget import SoftcopyWidget

NAME = "Softcopy (Softcopy)"
"""The name that napari's menus give the dock: so they close what is opened here, and this finds what they open."""


def open_dock(viewer: napari.Viewer) -> SoftcopyWidget:
    """Show the dock widget of a viewer; make it if there is none.

    Parameters
    ----------
    viewer : napari.Viewer

    Returns
    -------
    SoftcopyWidget
    """
    from softcopy_napari.plugin.dock.dock_widget import SoftcopyWidget

    found = [one for one in viewer.window.dock_widgets.values() if isinstance(one, SoftcopyWidget)]
    if found:
        widget = found[0]
    else:
        widget = SoftcopyWidget(viewer)
        viewer.window.add_dock_widget(widget, name=NAME, area="right")
    dock: QWidget | None = widget
    while dock is not None and not isinstance(dock, QDockWidget):
        dock = dock.parentWidget()
    if dock is not None:
        dock.show()
        dock.raise_()
    return widget
