"""Runs functions on the main thread on behalf of other threads, until its owner is closed."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QCoreApplication, QObject, Qt, Signal

Act = Callable[[], object]


class MainThreadQueue(QObject):
    """A queue of functions to run in the thread that made it; after `close` it runs nothing more."""

    _posted = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._open = True
        self._posted.connect(self._run, Qt.ConnectionType.QueuedConnection)
        application = QCoreApplication.instance()
        if application is not None:  # a signal sent by a thread while Python ends can crash it
            application.aboutToQuit.connect(self.close)

    def post(self, act: Act) -> None:
        """Have a function called on the main thread; may be called from any thread."""
        if self._open:
            with contextlib.suppress(RuntimeError):  # Qt has deleted this object: the application is ending
                self._posted.emit(act)

    def fetch(self, get: Callable[[], Any], then: Callable[[Any], object]) -> None:
        """Call `get` in a thread of its own, as it may take long, and pass its result to `then` on the main thread.

        The thread is a daemon: a network drive that hangs must not keep napari from ending. `get` must not raise.
        """

        def run() -> None:
            result = get()
            self.post(lambda: then(result))

        threading.Thread(target=run, name="softcopy-fetch", daemon=True).start()

    def close(self) -> None:
        """Drop everything that is still to come."""
        self._open = False

    def _run(self, act: Act) -> None:
        if self._open:
            act()
