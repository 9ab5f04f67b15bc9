"""A field for a folder, chosen by typing, pasting, browsing, dropping, or from recent ones."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from magicgui.types import FileDialogMode
from magicgui.widgets import FileEdit
from qtpy.QtCore import QEvent, QMimeData, QObject, Qt, Signal
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QPushButton,
    QToolButton,
    QWidget,
)

from softcopy_napari.engine.targets.store_url import is_store_url
from softcopy_napari.engine.targets.user_paths import find_address, unwrap_path
from softcopy_napari.engine.wording import describe
from softcopy_napari.widgets.card_painting import tone_picture
from softcopy_napari.widgets.labels import show_words, wrapping_label
from softcopy_napari.widgets.palette import Tone

MAX_RECENT = 12


def pasted_paths(text: str) -> list[str]:
    """The paths that a text means: several where it is a list of `file:` URLs, as file managers copy it."""
    text = text.strip()
    urls = re.split(r"\s+(?=file:)", text, flags=re.IGNORECASE) if text.lower().startswith("file:") else [text]
    return [unwrap_path(one) for one in urls]


def dropped_paths(data: QMimeData) -> list[str]:
    """The paths of the files and folders that are dragged."""
    return [os.path.normpath(url.toLocalFile()) for url in data.urls() if url.isLocalFile()]


def is_targets_file(path: str) -> bool:
    """Whether a path is named like a targets file; the disk is not asked."""
    return path.lower().endswith((".yaml", ".yml"))


class Problem(QWidget):
    """An icon and a message about what is wrong; hidden while nothing is."""

    _words = ""  # Qt sends events before `__init__` is done

    def __init__(self, object_name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._icon, self._label = QLabel(), wrapping_label(object_name)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self._label, 1)
        self.hide()

    @property
    def words(self) -> str:
        """The message; empty while nothing is wrong."""
        return self._words

    @words.setter
    def words(self, words: str) -> None:
        if words == self._words:
            return
        self._words = words
        self._draw_icon()
        show_words(self._label, words)
        self.setVisible(bool(words))

    def _draw_icon(self) -> None:
        side = round(1.3 * self.fontMetrics().height())  # in the middle of the first line, which has a margin
        self._icon.setPixmap(tone_picture(Tone.NEEDS_USER, self.palette(), side, self.devicePixelRatioF()))

    # Overrides of Qt's methods.

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and self._words:
            self._draw_icon()


class _FolderEdit(FileEdit):
    """magicgui's picker of a folder, which begins to browse at `start` while nothing is typed."""

    start = ""
    picked: Callable[[str], None]

    def get_value(self) -> Path:
        path = unwrap_path(self.line_edit.value)
        return Path(self.start if not path or is_store_url(path) else path)

    def _on_choose_clicked(self) -> None:
        before = self.line_edit.value
        super()._on_choose_clicked()
        if self.line_edit.value != before:
            self.picked(self.line_edit.value)


class PathField(QWidget):
    """A line edit for a folder, with buttons to browse and for recent folders, and a message below.

    Parameters
    ----------
    label, object_name, placeholder : str
    parent : QWidget, optional
    takes_stores : bool
        Whether it may also be the address of a place in an object store.
    """

    path_changed = Signal(str)
    """Sent at every change, by whatever means."""
    submitted = Signal()
    """Sent when Enter is pressed."""
    picked = Signal(str)
    """A folder that was browsed for or dropped, which may be the one that the dataset is to lie in."""

    def __init__(
        self,
        label: str = "",
        object_name: str = "",
        placeholder: str = "",
        parent: QWidget | None = None,
        takes_stores: bool = False,
    ) -> None:
        super().__init__(parent)
        self._takes_stores = takes_stores
        self.setAcceptDrops(True)
        name = label.replace("&", "")
        self._picker = _FolderEdit(mode=FileDialogMode.EXISTING_DIRECTORY)
        self._edit: QLineEdit = self._picker.line_edit.native
        self._edit.setObjectName(object_name)
        self._edit.setPlaceholderText(placeholder)
        self._edit.setAccessibleName(name or placeholder)
        self._edit.setMinimumWidth(60)
        self._edit.installEventFilter(self)  # a line edit would take a drop as text
        self._paths: list[str] = []
        self._picker.choose_btn.text = "\u2026"
        self._browse: QPushButton = self._picker.choose_btn.native
        self._recent = QToolButton()
        self._recent.setArrowType(Qt.ArrowType.DownArrow)
        self._recent.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._menu = QMenu(self)
        self._recent.setEnabled(False)
        _describe(self._browse, f"{object_name}_browse", f"Browse for the {name.lower() or 'folder'}")
        _describe(
            self._recent, f"{object_name}_recent", f"Recent folders: {name.lower()}" if name else "Recent folders"
        )
        self._problem = Problem(f"{object_name}_problem")
        self._lay_out(label)
        self._edit.textChanged.connect(self._on_text)
        self._picker.picked = self._on_picked
        self._edit.returnPressed.connect(self.submitted)
        # No menu of the button's own: style sheets would draw a second arrow for it.
        self._recent.clicked.connect(self._show_recent)

    def _lay_out(self, label: str) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(2)
        grid.setVerticalSpacing(2)
        if label:
            caption = QLabel(label)
            caption.setBuddy(self._edit)
            grid.addWidget(caption, 0, 0, 1, 2)
        native: QWidget = self._picker.native
        if (layout := native.layout()) is not None:
            layout.setSpacing(2)
        self._browse.setFixedWidth(2 * self.fontMetrics().height())
        self._recent.setFixedWidth(2 * self.fontMetrics().height())
        grid.addWidget(native, 1, 0)
        grid.addWidget(self._recent, 1, 1)
        grid.setColumnStretch(0, 1)
        grid.addWidget(self._problem, 2, 0, 1, 2)
        QWidget.setTabOrder(self._edit, self._browse)
        QWidget.setTabOrder(self._browse, self._recent)

    @property
    def edit(self) -> QLineEdit:
        """The line edit."""
        return self._edit

    @property
    def path(self) -> str:
        """The path as typed, without quotes or URL parts that pasting adds; empty where there is none."""
        return unwrap_path(self._edit.text())

    @path.setter
    def path(self, path: str) -> None:
        self._edit.setText(path)

    @property
    def problem(self) -> str:
        """The message shown below; empty while nothing is wrong. It is replaced when the path changes."""
        return self._problem.words

    @problem.setter
    def problem(self, words: str) -> None:
        self._problem.words = words
        self._edit.setAccessibleDescription(words)

    @property
    def recent(self) -> list[str]:
        """Recent paths, newest first."""
        return list(self._paths)

    @recent.setter
    def recent(self, paths: Sequence[str]) -> None:
        kept = list(dict.fromkeys(path for path in paths if path))[:MAX_RECENT]
        self._paths = kept
        self._picker.start = next((os.path.dirname(path) for path in kept if not is_store_url(path)), "")
        self._menu.clear()
        for path in kept:
            entry = self._menu.addAction(path.replace("&", "&&"))
            entry.triggered.connect(lambda _=False, path=path: self._enter_path(path))
        self._recent.setEnabled(bool(kept))

    def remember(self, path: str) -> None:
        """Put a path first among the recent ones."""
        self.recent = [path, *self.recent]

    def _show_recent(self) -> None:
        self._menu.popup(self._recent.mapToGlobal(self._recent.rect().bottomLeft()))

    def _enter_path(self, path: str) -> None:
        self._edit.setText(path)
        self._edit.setFocus()

    def take_dropped(self, paths: list[str]) -> None:
        """Enter paths that were dropped here, or on what this field lies in."""
        self.enter_paths(paths)
        self._on_picked(paths[0])

    def _on_picked(self, folder: str) -> None:
        self.picked.emit(folder)

    def enter_paths(self, paths: list[str]) -> None:
        """Enter paths that were dropped or pasted: of several, the first, with a note."""
        self._enter_path(paths[0])
        if len(paths) > 1:
            self.problem = f"{len(paths)} paths were given; only the first is used."

    def _on_text(self, text: str) -> None:
        if len(paths := pasted_paths(text)) > 1:
            self.enter_paths(paths)
            return
        self.problem = describe(find_address(text, self._takes_stores))
        self.path_changed.emit(self.path)

    # Overrides of Qt's methods.

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is not self._edit or not isinstance(event, QDropEvent) or not event.mimeData().hasUrls():
            return super().eventFilter(watched, event)
        if event.type() == QEvent.Type.Drop:
            self.dropEvent(event)
        else:
            self._accept_folders(event)
        return True

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        self._accept_folders(event)

    def _accept_folders(self, event: QDropEvent) -> None:
        # Whether it is a folder is not asked here: on a network drive that could take seconds.
        paths = dropped_paths(event.mimeData())
        if paths and not is_targets_file(paths[0]):
            event.acceptProposedAction()
        else:
            event.ignore()  # the panel takes targets files

    def dropEvent(self, event: QDropEvent) -> None:
        event.acceptProposedAction()
        self.take_dropped(dropped_paths(event.mimeData()))


def _describe(button: QWidget, object_name: str, words: str) -> None:
    button.setObjectName(object_name)
    button.setToolTip(words)
    button.setAccessibleName(words)
