"""What the tests of widgets have in common: targets to show, and what a user's hands do."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from qtpy.QtCore import QEvent, QLibraryInfo, QMimeData, QObject, QPointF, Qt, QTimer, QUrl, QVersionNumber
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QDialog, QLineEdit, QWidget

from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.reasons import quote_text
from softcopy_napari.engine.states import TargetState
from softcopy_napari.widgets.target_row import Key, Row

PID = 4711


def make_row(name: str, state: TargetState | None = None, *, pid: int = PID, **fields: object) -> Row:
    """A target of that name; without a state it has not been started. Fields are the row's or the snapshot's."""
    of_row = {key: fields.pop(key) for key in ("problem", "starting", "lost") if key in fields}
    source, destination = f"/data/{name}", f"/copy/{name}"
    if state is None:
        return Row((0, name), None, source, destination, **of_row)
    if isinstance(reason := fields.pop("reason", None), str):
        fields["why"] = quote_text(reason)
    snapshot = TargetSnapshot(id=name, source=source, destination=destination, state=state, **fields)
    return Row((pid, name), snapshot, source, destination, **of_row)


def keys(rows: Sequence[Row]) -> list[Key]:
    """The rows' keys."""
    return [row.key for row in rows]


def child(parent: QWidget, kind: type[QObject], name: str) -> QObject:
    """The one child of that kind and name."""
    (found,) = parent.findChildren(kind, name)
    return found


@contextlib.contextmanager
def dialog_answered(answer: Callable[[QDialog], object]) -> Iterator[None]:
    """Answer the modal dialog that what is done within opens; fail if it opens none."""
    app = QApplication.instance()
    native = app.testAttribute(Qt.ApplicationAttribute.AA_DontUseNativeDialogs)
    app.setAttribute(Qt.ApplicationAttribute.AA_DontUseNativeDialogs)
    answered: list[QDialog] = []
    problems: list[Exception] = []
    timer = QTimer()

    def look() -> None:
        dialog = QApplication.activeModalWidget()
        if isinstance(dialog, QDialog) and dialog.isVisible():
            timer.stop()
            answered.append(dialog)
            try:
                answer(dialog)
            except Exception as error:
                problems.append(error)
                dialog.reject()

    timer.timeout.connect(look)
    timer.start(10)
    try:
        yield
    finally:
        timer.stop()
        app.setAttribute(Qt.ApplicationAttribute.AA_DontUseNativeDialogs, native)
    assert not problems
    assert answered, "no dialog was opened"


def choose_in(dialog: QDialog, path: Path) -> None:
    """Type a path into a dialog for files or folders, and press Enter."""
    edit = child(dialog, QLineEdit, "fileNameEdit")
    edit.setText(str(path))
    edit.completer().popup().hide()
    QTest.keyClick(edit, Qt.Key.Key_Return)


def drop(widget: QWidget, paths: Sequence[Path | str]) -> bool:
    """Drag files or folders over a widget and let go; whether they are taken, by it or by what it lies in."""
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    where, copy = widget.rect().center(), Qt.DropAction.CopyAction
    left, no_keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    point = QPointF(where) if QLibraryInfo.version() >= QVersionNumber(6, 12) else where  # the other one is deprecated
    enter = QDragEnterEvent(point, copy, data, left, no_keys)
    enter.ignore()
    QApplication.sendEvent(widget, enter)
    if not enter.isAccepted():
        return False
    event = QDropEvent(QPointF(where), copy, data, left, no_keys, QEvent.Type.Drop)
    QApplication.sendEvent(widget, event)
    return True
