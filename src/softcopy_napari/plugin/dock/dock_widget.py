"""The dock widget: connects the panel with the engines and with the layers in the viewer.

It owns nothing that must outlive it: copies belong to the engines, and continue when the dock or napari is closed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QTimer, QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.formatting import count_text
from softcopy_napari.engine.fs.files import extended_path
from softcopy_napari.engine.protocol.messages import Changes, TargetSnapshot
from softcopy_napari.engine.targets.build import check_targets, make_target
from softcopy_napari.engine.targets.target import Settings, Target
from softcopy_napari.engine.targets.targets_file import dump_targets, load_targets
from softcopy_napari.engine.targets.user_paths import spell_path
from softcopy_napari.plugin.dock import notifications, preferences
from softcopy_napari.plugin.dock.close_prompt import ClosePrompt, copies_continue
from softcopy_napari.plugin.dock.coverage_panel import CoveragePanel
from softcopy_napari.plugin.dock.engine_contact import Key, SeenTarget
from softcopy_napari.plugin.dock.engine_monitor import EngineMonitor
from softcopy_napari.plugin.dock.event_log import EventLog
from softcopy_napari.plugin.dock.overwrite_prompt import OverwritePrompt
from softcopy_napari.plugin.dock.preferences import Preferences
from softcopy_napari.plugin.dock.recent_paths import RecentPaths, recent_paths, remember_paths
from softcopy_napari.plugin.dock.target_list import TargetList
from softcopy_napari.plugin.main_thread import MainThreadQueue
from softcopy_napari.plugin.viewer.preload import preload
from softcopy_napari.plugin.viewer.redraw_budget import RedrawBudget, numbers_rest
from softcopy_napari.plugin.viewer.target_layers import TargetLayers
from softcopy_napari.widgets.log_view import Level
from softcopy_napari.widgets.panel import Panel
from softcopy_napari.widgets.targets_model import Row
from softcopy_napari.widgets.targets_table import Action

if TYPE_CHECKING:
    import napari


_SLOWEST_POLL = 1.0
"""Seconds between two polls of an engine at most, whatever the refresh rate: a dead engine must be noticed."""


class SoftcopyWidget(QWidget):
    """Copies zarr datasets while they are written, and shows over the image which chunks have arrived.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer, which napari passes under this name.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self.setObjectName("softcopy")
        preload()
        self._preferences = Preferences()
        self._target_list = TargetList()
        self._event_log = EventLog()
        self._queue = MainThreadQueue()
        self._monitor = EngineMonitor()
        self._layers = TargetLayers(napari_viewer)
        self._panel = Panel()
        self._overwrite_prompt = OverwritePrompt(self._panel, self._queue)
        self._coverage = CoveragePanel(self._panel.coverage, self._layers, self._queue)
        self._redraw_budget = RedrawBudget(numbers_rest)
        self._shown_outline: list[object] = []
        """The rows of the table without their numbers: a change in these is shown at once."""
        self._redraw_timer = QTimer(self)
        self._redraw_timer.setSingleShot(True)
        self._redraw_timer.timeout.connect(self._show_all)
        self._close_prompt = ClosePrompt(self, self._target_list.count_under_way, self.stop)
        # Otherwise napari puts an empty stretch below.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._panel)
        self._connect()
        self._apply_preferences()
        self._show_recent()

    def _connect(self) -> None:
        panel, monitor, layers = self._panel, self._monitor, self._layers
        panel.add_requested.connect(self._add)
        panel.load_requested.connect(self.open_targets)
        panel.save_requested.connect(self._save)
        panel.check_requested.connect(self._check)
        panel.action_requested.connect(self._act)
        panel.pace_requested.connect(self._set_pace)
        panel.selection_changed.connect(self._select)
        monitor.updated.connect(self._on_update)
        monitor.not_started.connect(self._on_not_started)
        monitor.refused.connect(self._on_refused)
        layers.problem.connect(partial(self._panel.log, Level.WARNING))
        parts = (monitor, self._coverage, layers, self._queue)
        self._end = partial(
            _call_all, (preferences.on_change(self._apply_preferences), *(part.close for part in parts))
        )
        self.destroyed.connect(self._end)  # not a method of this widget, which would no longer be called

    def event(self, event: QEvent) -> bool:
        """Notice when the dock is closed: napari leaves the widget without a parent, and makes a new one later."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            QTimer.singleShot(0, self._end_if_removed)
        return super().event(event)

    def _end_if_removed(self) -> None:
        if self.parent() is None and not self.isVisible():
            running = self._target_list.count_under_way()
            self._end()
            if running:
                notifications.show(Level.INFO, f"{copies_continue(running)}. Open Plugins > Softcopy to see more.")
            self.deleteLater()

    # -- for scripts, tests and the reader -------------------------------------------------------------------

    def load_targets(self, path: str | os.PathLike[str]) -> None:
        """List the targets of a targets file; nothing is started.

        Mistakes in the file are shown in the panel.
        """
        self._add_loaded(Path(path), _load(Path(path), self._preferences.settings))

    def add_target(self, source: str | os.PathLike[str], destination: str | os.PathLike[str]) -> Key | None:
        """List a target; it is not started.

        Mistakes in the paths are shown in the panel.

        Returns
        -------
        tuple or None
            The key to pass to `start`; None where the target was not listed.
        """
        return self._added(_make(os.fspath(source), os.fspath(destination), self._preferences.settings, []))

    def start(self, keys: Sequence[Key] | None = None) -> None:
        """Start targets of the list that no engine works on: those with these keys, or all of them."""
        self._start(self._target_list.startable(self._target_list.keys() if keys is None else keys))

    def pause(self) -> None:
        """Pause all targets under way; `resume` continues them."""
        self._order_all("pause")

    def resume(self) -> None:
        """Resume all paused targets."""
        self._order_all("resume")

    def finish(self) -> None:
        """Declare the acquisitions of all targets under way finished: what is there is copied and checked."""
        self._order_all("finish")

    def stop(self) -> None:
        """Stop all copies and the watching of their sources; `start` continues them."""
        self._monitor.order("stop", self._target_list.watched(self._target_list.keys()))
        self._order_all("stop")

    def _order_all(self, do: str) -> None:
        self._monitor.order(do, self._target_list.running())
        self._monitor.order_starting(do)

    # -- adding targets --------------------------------------------------------------------------------------

    def _add(self, source: str, destination: str) -> None:
        others = self._target_list.targets(
            self._target_list.running() + self._target_list.not_started(), self._preferences.settings
        )

        def made(target: Target | TargetsError) -> None:
            if self._added(target) is not None:
                self._panel.set_paths("", "")
                self._show_recent(remember_paths([source], [destination]))

        self._queue.fetch(partial(_make, source, destination, self._preferences.settings, others), made)

    def _added(self, made: Target | TargetsError) -> Key | None:
        if isinstance(made, TargetsError):
            self._panel.set_problem("", str(made))
            return None
        self._panel.set_problem("", "")
        key = self._target_list.add(made)
        self._show_rows()
        self._panel.select(self._target_list.not_started())
        return key

    def open_targets(self, path: str) -> None:
        """List the targets of a targets file like `load_targets`, but in a thread: a network drive may be slow."""
        self._queue.fetch(partial(_load, Path(path), self._preferences.settings), partial(self._add_loaded, Path(path)))

    def _add_loaded(self, path: Path, loaded: Sequence[Target] | TargetsError) -> None:
        if isinstance(loaded, TargetsError):
            self._panel.set_problem("", str(loaded))
            for line in str(loaded).splitlines():
                self._panel.log(Level.ERROR, line)
            return
        self._panel.set_problem("", "")
        for target in loaded:
            self._target_list.add(target)
        self._show_rows()
        self._panel.select(self._target_list.not_started())
        self._panel.log(Level.INFO, f"Loaded {count_text(len(loaded), 'target')} from {path}")
        self._show_recent(remember_paths(targets_file=str(path)))

    def _save(self, path: str) -> None:
        targets = self._target_list.targets(self._target_list.keys(), self._preferences.settings)

        def done(problem: str) -> None:
            if problem:
                self._panel.set_problem("", problem)
            else:
                self._panel.log(Level.INFO, f"Saved {count_text(len(targets), 'target')} to {path}")

        self._queue.fetch(partial(_save, targets, Path(path)), done)

    # -- actions ---------------------------------------------------------------------------------------------

    def _act(self, action: Action, keys: Sequence[Key]) -> None:
        match action:
            case Action.START:
                self._ask_and_start(self._target_list.startable(keys))
            case Action.RESUME:
                lost = self._target_list.startable(keys)
                self._start(lost)
                self._monitor.order("resume", [key for key in keys if key not in lost])
            case Action.PAUSE | Action.FINISH | Action.STOP:
                self._monitor.order(action.name.lower(), keys)
            case Action.SHOW:
                self._panel.select(list(keys)[:1])
                self._coverage.show_again()
            case Action.OPEN_SOURCE | Action.OPEN_DESTINATION:
                targets = self._target_list.targets(keys, self._preferences.settings)
                self._open_folders([one.source if action is Action.OPEN_SOURCE else one.destination for one in targets])
            case Action.REMOVE:
                self._monitor.order("stop", self._target_list.watched(keys))
                self._monitor.forget(self._target_list.remove(keys))
                self._show_rows()

    def _set_pace(self, keys: Sequence[Key], changes: Changes) -> None:
        self._target_list.change_settings(keys, changes)
        self._monitor.change(keys, changes)

    def _open_folders(self, folders: Sequence[Path]) -> None:
        """Show folders in the system's file manager."""

        def open_existing(existing: list[bool]) -> None:
            for folder, exists in zip(folders, existing, strict=True):
                if not exists:
                    self._panel.set_problem("", f"{folder} does not exist yet")
                elif not QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder))):
                    self._panel.set_problem("", f"{folder} cannot be opened: no file manager was found")

        self._queue.fetch(lambda: [os.path.isdir(extended_path(str(folder))) for folder in folders], open_existing)

    def _ask_and_start(self, keys: Sequence[Key]) -> None:
        """Start targets, after asking about destinations that are not empty and were not copied to from here."""
        keys = self._overwrite_prompt.without_open_questions(keys)
        new = [key for key in keys if not self._target_list.was_copied(key)]
        targets, first = (self._target_list.targets(some, self._preferences.settings) for some in (keys, new))
        destinations = [target.destination for target in first]
        self._overwrite_prompt.ask(
            keys, targets, destinations, lambda replace: self._start(self._target_list.startable(keys), replace)
        )

    def _start(self, keys: Sequence[Key], replace: frozenset[Path] = frozenset()) -> None:
        if not keys:
            return
        self._panel.set_problem("", "")
        self._target_list.set_starting(keys, True)
        self._show_rows()
        targets = [
            target.model_copy(update={"overwrite": True}) if target.destination in replace else target
            for target in self._target_list.targets(keys, self._preferences.settings)
        ]
        self._monitor.start_targets(targets)
        known = remember_paths(
            [spell_path(one.source) for one in targets], [spell_path(one.destination) for one in targets]
        )
        self._show_recent(known)

    def _on_not_started(self, targets: Sequence[Target]) -> None:
        self._target_list.set_starting(
            [key for one in targets if (key := self._target_list.find_key(one)) is not None], False
        )
        self._show_rows()

    def _on_refused(self, words: str) -> None:
        self._panel.set_problem("", words)
        self._panel.log(Level.ERROR, words)
        notifications.show(Level.ERROR, words)

    def _check(self, source: str, destination: str) -> None:
        def made(target: Target | TargetsError) -> None:
            if isinstance(target, TargetsError):
                self._panel.set_problem("", str(target))
                return
            key = self._target_list.find_key(target) or self._target_list.add(target)
            self._target_list.set_starting([key], True)
            self._show_rows()
            checked = self._target_list.targets([key], self._preferences.settings)
            self._monitor.start_targets([one.model_copy(update={"check": True}) for one in checked])
            self._show_recent(remember_paths([source], [destination]))

        self._queue.fetch(partial(_make, source, destination, self._preferences.settings, []), made)

    # -- what is shown ---------------------------------------------------------------------------------------

    def _on_update(self, seen: Sequence[SeenTarget]) -> None:
        for line in self._event_log.new_lines(seen):
            self._panel.log(line.level, line.text)
            if line.ending:
                notifications.show(line.level, line.text)
        self._target_list.update(seen)
        outline = [_outline(row) for row in self._target_list.rows()]
        if outline != self._shown_outline or self._redraw_budget.due():
            self._shown_outline = outline
            self._show_all()
        else:
            self._coverage.update_layers(self._target(self._panel.current))
            if not self._redraw_timer.isActive():
                self._redraw_timer.start(int(1000 * self._redraw_budget.left) + 1)

    def _show_all(self) -> None:
        with self._redraw_budget.measured():
            self._show_rows()
            self._select(self._panel.current)

    def _show_rows(self) -> None:
        self._panel.set_rows(self._target_list.rows())

    def _select(self, key: Key | None) -> None:
        self._coverage.show_target(self._target(key))

    def _target(self, key: Key | None) -> TargetSnapshot | None:
        seen = self._target_list.seen(key)
        return seen.target if seen is not None else None

    def _apply_preferences(self) -> None:
        before, self._preferences = self._preferences, preferences.preferences()
        self._layers.interval = 1.0 / self._preferences.refresh_rate
        self._monitor.interval = min(_SLOWEST_POLL, self._layers.interval)
        image = self._preferences.image
        if image != before.image == self._panel.coverage.image:  # otherwise the user has chosen another
            self._panel.coverage.image = image
            self._coverage.show_image(image)

    def _show_recent(self, known: RecentPaths | None = None) -> None:
        known = known or recent_paths()
        self._panel.set_recent(known.sources, known.destinations, known.targets_files)


def _call_all(functions: Sequence[Callable[[], object]]) -> None:
    for function in functions:
        with contextlib.suppress(RuntimeError):  # Qt has deleted a part of it before: the application is ending
            function()


def _outline(row: Row) -> object:
    """Return a row without its numbers."""
    return row.key, row.state_text, row.running, len(row.snapshot.arrays) if row.snapshot is not None else 0


def _make(source: str, destination: str, defaults: Settings, others: Sequence[Target]) -> Target | TargetsError:
    """Make a target that may run beside others; return the error where that is not possible."""
    try:
        target = make_target(source, destination, defaults)
        check_targets([*(other for other in others if other.destination != target.destination), target])
    except TargetsError as error:
        return error
    return target


def _load(path: Path, defaults: Settings) -> tuple[Target, ...] | TargetsError:
    try:
        return load_targets(path, defaults)
    except TargetsError as error:
        return error


def _save(targets: Sequence[Target], path: Path) -> str:
    try:
        dump_targets(targets, path)
    except OSError as error:
        return f"{path} cannot be written: {error.strerror}"
    except TargetsError as error:
        return str(error)
    return ""
