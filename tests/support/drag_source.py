"""Another program from which something is dragged: `python -m tests.support.drag_source PATH X Y`, on an X screen.

It shows a small window in the corner of the screen, and then its user's mouse: pressed in there, moved to the place,
let go. What is dragged is a file or folder. Prints whether it was taken, and ends when its standard input is closed:
until then the other program asks it what it has got.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from pathlib import Path

from qtpy.QtCore import QMimeData, Qt, QUrl
from qtpy.QtGui import QDrag, QMouseEvent
from qtpy.QtWidgets import QApplication, QLabel

_SIZE = 40
_PAUSE = 0.03
_PATIENCE = 20.0
"""Seconds for which the mouse stays where nobody takes what is dragged."""


class _Mouse:
    """The mouse of the X screen, moved by its test extension."""

    def __init__(self) -> None:
        self._x11, self._test = ctypes.CDLL("libX11.so.6"), ctypes.CDLL("libXtst.so.6")
        self._x11.XOpenDisplay.restype = ctypes.c_void_p
        self._display = ctypes.c_void_p(self._x11.XOpenDisplay(None))

    def move(self, x: int, y: int) -> None:
        self._test.XTestFakeMotionEvent(self._display, -1, x, y, ctypes.c_ulong(0))
        self._flush()

    def press(self, down: bool) -> None:
        self._test.XTestFakeButtonEvent(self._display, 1, int(down), ctypes.c_ulong(0))
        self._flush()

    def _flush(self) -> None:
        self._x11.XFlush(self._display)
        time.sleep(_PAUSE)


class _Handle(QLabel):
    """What is dragged."""

    def __init__(self, path: Path) -> None:
        super().__init__("drag")
        self._path = path
        self.accepted = threading.Event()
        """Set once the other program has said that it would take it."""
        self.setWindowFlags(Qt.WindowType.X11BypassWindowManagerHint | Qt.WindowType.WindowStaysOnTopHint)
        self.setGeometry(0, 0, _SIZE, _SIZE)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        drag, data = QDrag(self), QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(self._path))])
        drag.setMimeData(data)
        drag.actionChanged.connect(self._note_action)
        taken = drag.exec(Qt.DropAction.CopyAction)
        print(taken == Qt.DropAction.CopyAction, flush=True)

    def _note_action(self, action: Qt.DropAction) -> None:
        if action == Qt.DropAction.CopyAction:
            self.accepted.set()


def main(path: Path, x: int, y: int) -> None:
    """Drag a path to a place on the screen."""
    app = QApplication([])
    handle = _Handle(path)
    handle.show()

    def drag() -> None:
        mouse = _Mouse()
        mouse.move(_SIZE // 2, _SIZE // 2)
        mouse.press(True)
        deadline = time.monotonic() + _PATIENCE
        while not handle.accepted.is_set() and time.monotonic() < deadline:
            for aside in (1, 0):  # a hand is never still; nothing is crossed on the way that would take it
                mouse.move(x + aside, y)
        mouse.press(False)

    threading.Timer(0.5, drag).start()
    app.aboutToQuit.connect(handle.close)
    threading.Thread(target=lambda: (sys.stdin.read(), app.quit()), daemon=True).start()
    app.exec()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
