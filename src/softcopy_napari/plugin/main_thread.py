"""Brings what threads have found out to the main thread, for as long as somebody there wants to know."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QCoreApplication, QObject, Qt, Signal

Act = Callable[[], object]


class MainThreadQueue(QObject):
    """Runs what is posted to it in the thread that made it; after `close`, nothing any more."""

    _posted = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._open = True
        self._posted.connect(self._run, Qt.ConnectionType.QueuedConnection)
        application = QCoreApplication.instance()
        if application is not None:  # a signal that a thread sends while Python ends can crash it
            application.aboutToQuit.connect(self.close)

    def post(self, act: Act) -> None:
        """Have something done on the main thread; from any thread."""
        if self._open:
            with contextlib.suppress(RuntimeError):  # Qt has deleted it: the application is ending
                self._posted.emit(act)

    def fetch(self, get: Callable[[], Any], then: Callable[[Any], object]) -> None:
        """Get something that may take long in a thread of its own, and give it to `then` on the main thread.

        The thread is a daemon: a network drive that hangs must not keep napari from ending. `get` must not raise.
        """

        def run() -> None:
            result = get()
            self.post(lambda: then(result))

        threading.Thread(target=run, name="softcopy-look", daemon=True).start()

    def close(self) -> None:
        """Want nothing more."""
        self._open = False

    def _run(self, act: Act) -> None:
        if self._open:
            act()
