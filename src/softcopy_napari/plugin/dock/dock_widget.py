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

from qtpy.QtCore import QEvent, QTimer
from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.targets.user_paths import spell_path, unwrap_path
from softcopy_napari.plugin.dock import notifications, preferences
from softcopy_napari.plugin.dock.arrivals import Arrivals
from softcopy_napari.plugin.dock.close_prompt import ClosePrompt, copies_continue
from softcopy_napari.plugin.dock.coverage_panel import CoveragePanel
from softcopy_napari.plugin.dock.dock_parts import DockParts
from softcopy_napari.plugin.dock.endings import Endings
from softcopy_napari.plugin.dock.engine_contact import Key, SeenTarget
from softcopy_napari.plugin.dock.engine_monitor import EngineMonitor
from softcopy_napari.plugin.dock.event_log import EventLog
from softcopy_napari.plugin.dock.notification_settings import NotificationSettings
from softcopy_napari.plugin.dock.past_endings import PastEndings
from softcopy_napari.plugin.dock.preferences import PLUGIN, Preferences
from softcopy_napari.plugin.dock.recent_paths import RecentPaths, recent_paths, remember_paths
from softcopy_napari.plugin.dock.target_adding import TargetAdding
from softcopy_napari.plugin.dock.target_list import TargetList
from softcopy_napari.plugin.dock.target_orders import TargetOrders
from softcopy_napari.plugin.dock.view_memory import remember_view, view_memory
from softcopy_napari.plugin.main_thread import MainThreadQueue
from softcopy_napari.plugin.viewer.preload import preload
from softcopy_napari.plugin.viewer.redraw_budget import RedrawBudget, numbers_rest
from softcopy_napari.plugin.viewer.target_layers import TargetLayers
from softcopy_napari.widgets.log_view import Level
from softcopy_napari.widgets.panel import Panel
from softcopy_napari.widgets.target_row import Row

if TYPE_CHECKING:
    import napari


_SLOWEST_POLL = 1.0
"""Seconds between two polls of an engine at most, whatever the refresh rate: a dead engine must be noticed."""
_UNTIL_SHOWN = 100
"""Milliseconds in which the dock gets onto the screen."""
_SAMPLE = "simulated_acquisition"


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
        self._viewer = napari_viewer
        self._preferences = Preferences()
        self._target_list = TargetList()
        self._event_log = EventLog()
        self._queue = MainThreadQueue()
        self._monitor = EngineMonitor()
        self._layers = TargetLayers(napari_viewer)
        self._panel = Panel()
        self._coverage = CoveragePanel(self._panel.coverage, self._layers, self._queue)
        parts = DockParts(
            self._panel,
            self._monitor,
            self._queue,
            self._target_list,
            lambda: self._preferences.settings,
            self._show_rows,
        )
        self._orders = TargetOrders(parts, self._coverage.show_again)
        self._adding = TargetAdding(parts, self._show_recent)
        self._arrivals = Arrivals(self._queue, self._show_rows)
        self._endings = Endings(self._panel.banner.add, self._notify)
        self._past_endings = PastEndings(self._panel.banner, self._panel.history, self._queue)
        self._notifications = NotificationSettings(self, self._queue, partial(self._panel.log, Level.WARNING))
        self._redraw_budget = RedrawBudget(numbers_rest)
        self._shown_outline: list[object] = []
        """The rows of the list without their numbers: a change in these is shown at once."""
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
        self._show_recent(recent_paths())
        self._restore_view()
        QTimer.singleShot(_UNTIL_SHOWN, preload)  # the two at once would hold up the window for longer than either

    def _connect(self) -> None:
        panel, monitor, layers = self._panel, self._monitor, self._layers
        adding, orders = self._adding, self._orders
        panel.start_requested.connect(partial(self._add_new, start=True))
        panel.add_requested.connect(partial(self._add_new, start=False))
        panel.preview_requested.connect(adding.preview)
        panel.load_requested.connect(self.open_targets)
        panel.save_requested.connect(adding.save)
        panel.check_requested.connect(
            lambda source, destination, by_content: adding.make(
                source, destination, partial(orders.check, by_content=by_content)
            )
        )
        panel.history.open_requested.connect(lambda folder: orders.open_folders([Path(folder)]))
        panel.sample_requested.connect(self._open_sample)
        panel.notifications_requested.connect(self._notifications.open)
        panel.action_requested.connect(orders.act)
        panel.pace_requested.connect(orders.change_pace)
        panel.selection_changed.connect(self._select)
        panel.sections_changed.connect(lambda names: remember_view(sections=names))
        monitor.updated.connect(self._on_update)
        monitor.not_started.connect(orders.note_not_started)
        monitor.refused.connect(self._on_refused)
        layers.problem.connect(partial(self._panel.log, Level.WARNING))
        ends = (monitor, self._coverage, layers, self._queue, self._endings, self._past_endings, self._notifications)
        self._end = partial(_call_all, (preferences.on_change(self._apply_preferences), *(part.close for part in ends)))
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
        self._adding.load(Path(unwrap_path(os.fspath(path))))

    def open_targets(self, path: str) -> None:
        """List the targets of a targets file like `load_targets`, but in a thread: a network drive may be slow."""
        self._adding.load_soon(Path(unwrap_path(path)))

    def add_target(self, source: str | os.PathLike[str], destination: str | os.PathLike[str]) -> Key | None:
        """List a target; it is not started.

        Mistakes in the paths are shown in the panel.

        Returns
        -------
        tuple or None
            The key to pass to `start`; None where the target was not listed.
        """
        return self._adding.add(os.fspath(source), os.fspath(destination))

    def keys(self) -> list[Key]:
        """Return the keys of all targets in the list, those that other windows or the command started among them."""
        return self._target_list.keys()

    def start(self, keys: Sequence[Key] | None = None) -> None:
        """Start targets that no engine works on: those with these keys, or all that were added or started here."""
        self._orders.start(self._target_list.startable(self._target_list.own() if keys is None else keys))

    def pause(self, keys: Sequence[Key] | None = None) -> None:
        """Pause targets under way, those with these keys or all of this window; `resume` continues them."""
        self._orders.order("pause", keys)

    def resume(self, keys: Sequence[Key] | None = None) -> None:
        """Resume paused targets, those with these keys or all of this window."""
        self._orders.order("resume", keys)

    def finish(self, keys: Sequence[Key] | None = None) -> None:
        """Declare acquisitions over, without asking: what is there is copied and checked, and the copies end.

        Of the targets with these keys, or of all of this window. `unfinish` takes it back until then.
        """
        self._orders.order("finish", keys)

    def unfinish(self, keys: Sequence[Key] | None = None) -> None:
        """Take `finish` back: the copies go on, and wait for the end of their acquisitions."""
        self._orders.order("unfinish", keys)

    def stop(self, keys: Sequence[Key] | None = None) -> None:
        """Stop copies and the watching of their sources, those with these keys or all of this window.

        `start` continues them.
        """
        wanted = self._target_list.own() if keys is None else keys
        self._monitor.order("stop", self._target_list.watched(wanted))
        self._orders.order("stop", keys)

    # -- what the panel asks for -----------------------------------------------------------------------------

    def _add_new(self, source: str, destination: str, start: bool) -> None:
        def then(key: Key) -> None:
            if start:
                self._orders.ask_and_start(self._target_list.startable([key]))

        self._adding.add_new(source, destination, then)

    def _open_sample(self) -> None:
        try:
            self._viewer.open_sample(PLUGIN, _SAMPLE)
        except (KeyError, ValueError) as error:  # this napari does not know the plugin's samples
            self._panel.set_problem("", f"the simulated acquisition cannot be opened: {error}")

    def _notify(self, level: Level, text: str) -> None:
        notifications.show(level, text)
        if self._preferences.desktop_notifications:
            notifications.show_on_desktop(text)

    def _on_refused(self, words: str) -> None:
        self._panel.set_problem("", words)
        self._panel.log(Level.ERROR, words)

    # -- what is shown ---------------------------------------------------------------------------------------

    def _on_update(self, seen: Sequence[SeenTarget]) -> None:
        lines = self._event_log.new_lines(seen)
        for line in lines:
            self._panel.log(line.level, line.text)
        if ended := [line.ended for line in lines if line.ended is not None]:
            self._endings.add(ended)
            self._past_endings.read_soon()
        if any(one.lost for one in ended):
            self._notifications.say_crashes()
        if begun := self._target_list.update(seen):
            sources = [spell_path(one.source) for one in begun]
            self._show_recent(remember_paths(sources, [spell_path(one.destination) for one in begun]))
        self._arrivals.update(seen)
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
        self._panel.set_rows(self._target_list.rows(), self._arrivals.known)

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

    def _restore_view(self) -> None:
        """Show the dock as it was left."""
        self._panel.open_sections = view_memory().sections

    def _show_recent(self, known: RecentPaths) -> None:
        self._panel.set_recent(known.sources, known.destinations, known.targets_files)


def _call_all(functions: Sequence[Callable[[], object]]) -> None:
    for function in functions:
        with contextlib.suppress(RuntimeError):  # Qt has deleted a part of it before: the application is ending
            function()


def _outline(row: Row) -> object:
    """Return a row without its numbers."""
    target = row.snapshot
    return row.key, row.problem, row.running, row.state, target and (target.why and target.why.code, len(target.arrays))
