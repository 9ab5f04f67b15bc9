"""A desktop with a tray, as far as notifications need one: `python -m tests.support.desktop FILE`, on a session bus.

Each notification becomes a line of JSON in the file. Prints a line when it is there; needs PyQt6's QtDBus.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from PyQt6.QtCore import QCoreApplication, QObject, pyqtClassInfo, pyqtProperty, pyqtSlot
from PyQt6.QtDBus import QDBusAbstractAdaptor, QDBusConnection


@pyqtClassInfo("D-Bus Interface", "org.kde.StatusNotifierWatcher")
class Tray(QDBusAbstractAdaptor):
    """Takes icons."""

    @pyqtProperty(bool)
    def IsStatusNotifierHostRegistered(self) -> bool:
        return True

    @pyqtProperty(int)
    def ProtocolVersion(self) -> int:
        return 0

    @pyqtSlot(str)
    def RegisterStatusNotifierItem(self, _: str) -> None:
        pass


@pyqtClassInfo("D-Bus Interface", "org.freedesktop.Notifications")
class Notifications(QDBusAbstractAdaptor):
    """Takes notifications."""

    def __init__(self, parent: QObject, file: Path) -> None:
        super().__init__(parent)
        self._file = file

    @pyqtSlot(str, "unsigned int", str, str, str, "QStringList", "QVariantMap", int, result="unsigned int")
    def Notify(
        self, name: str, _: int, icon: str, title: str, text: str, actions: list[str], hints: object, timeout: int
    ) -> int:
        with open(self._file, "a", encoding="utf-8") as out:
            out.write(json.dumps({"title": title, "text": text}) + "\n")
        return 1

    @pyqtSlot(result="QStringList")
    def GetCapabilities(self) -> list[str]:
        return ["body"]


def main(file: Path) -> None:
    """Serve until killed."""
    app, bus = QCoreApplication([]), QDBusConnection.sessionBus()
    tray, notes = QObject(), QObject()
    parts = Tray(tray), Notifications(notes, file)
    places = (("org.kde.StatusNotifierWatcher", "/StatusNotifierWatcher", tray),)
    for name, path, part in (*places, ("org.freedesktop.Notifications", "/org/freedesktop/Notifications", notes)):
        assert bus.registerObject(path, part) and bus.registerService(name), bus.lastError().message()
    print(f"{len(parts)} services", flush=True)
    app.exec()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
