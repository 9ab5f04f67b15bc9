"""Threads may have news for a window that is gone, in an application that ends."""

from __future__ import annotations

import subprocess
import sys

_ENDING = """
import threading
from qtpy.QtCore import QCoreApplication, QTimer
from softcopy_napari.plugin.main_thread import MainThreadQueue

app = QCoreApplication([])
queue = MainThreadQueue()
got = []
queue.fetch(lambda: "news", got.append)
while not got:
    app.processEvents()
QTimer.singleShot(0, app.quit)
app.exec()
sent = []
queue._posted.connect(sent.append)
thread = threading.Thread(target=queue.post, args=(lambda: None,))
thread.start()
thread.join()
app.processEvents()
print(got, sent)
"""


def test_no_thread_signals_an_application_that_has_ended() -> None:
    done = subprocess.run([sys.executable, "-c", _ENDING], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "['news'] []"
