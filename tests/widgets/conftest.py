"""For every test of widgets: nothing on the screen is left behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication


@pytest.fixture(autouse=True)
def no_window_is_left(qapp: QApplication) -> Iterator[None]:
    """Fail a test after which a window, menu or dialog is still there that was not there before."""
    before = set(qapp.topLevelWidgets())
    yield
    qapp.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    left = [widget for widget in qapp.topLevelWidgets() if widget not in before]
    if left:
        pytest.fail(f"the test left: {', '.join(f'{type(one).__name__} {one.objectName()!r}' for one in left)}")
