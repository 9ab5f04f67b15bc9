"""Carries out what a user wants done with the targets of the list: starts them, and gives orders to their engines."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices

from softcopy_napari.engine.fs.files import extended_path
from softcopy_napari.engine.protocol.messages import Changes
from softcopy_napari.engine.reasons import Reason
from softcopy_napari.engine.targets.store_url import Destination
from softcopy_napari.engine.targets.target import Target
from softcopy_napari.plugin.dock.dock_parts import DockParts
from softcopy_napari.plugin.dock.engine_contact import Key
from softcopy_napari.plugin.dock.finish_prompt import TITLE, YES, finish_question
from softcopy_napari.plugin.dock.free_prompt import FreePrompt
from softcopy_napari.plugin.dock.overwrite_prompt import OverwritePrompt
from softcopy_napari.plugin.dock.start_check import Refused
from softcopy_napari.widgets.log_view import Level
from softcopy_napari.widgets.target_row import Action


class TargetOrders:
    """Starts targets and gives orders, after questions where something cannot be taken back.

    Parameters
    ----------
    parts : DockParts
    show_again : callable
        Shows the layers of the selected target again.
    """

    def __init__(self, parts: DockParts, show_again: Callable[[], object]) -> None:
        self._parts = parts
        self._show_again = show_again
        self._overwrite_prompt = OverwritePrompt(parts.panel, parts.queue)
        self._free_prompt = FreePrompt(parts.panel, parts.queue, self._show_freeing)

    def act(self, action: Action, keys: Sequence[Key]) -> None:
        """Do with targets what the panel asks for."""
        targets, monitor = self._parts.targets, self._parts.monitor
        match action:
            case Action.START:
                self.ask_and_start(targets.startable(keys))
            case Action.RESUME:
                lost = targets.startable(keys)
                self.start(lost)
                monitor.order("resume", [key for key in keys if key not in lost])
            case Action.FINISH:
                self._ask_and_finish(keys)
            case Action.STOP:
                self._free_prompt.stop(targets.freed_here(keys))
                monitor.order("stop", keys)
            case Action.PAUSE | Action.UNFINISH:
                monitor.order(action.name.lower(), keys)
            case Action.SHOW:
                self._parts.panel.select(list(keys)[:1])
                self._show_again()
            case Action.OPEN_SOURCE | Action.OPEN_DESTINATION:
                listed = targets.targets(keys, self._parts.settings())
                folders = [one.source if action is Action.OPEN_SOURCE else one.destination for one in listed]
                self.open_folders([folder for folder in folders if isinstance(folder, Path)])
            case Action.FREE:
                for target in targets.targets(keys[:1], self._parts.settings()):
                    if isinstance(target.destination, Path):
                        self._free_prompt.ask(target.source, target.destination)
            case Action.REMOVE:
                monitor.order("stop", targets.watched(keys))
                monitor.forget(targets.remove(keys))
                self._parts.show_rows()

    def order(self, do: str, keys: Sequence[Key] | None) -> None:
        """Give an order to targets under way: those with these keys, or all that were added or started here."""
        running = set(self._parts.targets.running())
        wanted = self._parts.targets.own() if keys is None else keys
        self._parts.monitor.order(do, [key for key in wanted if key in running])
        if keys is None:
            self._parts.monitor.order_starting(do)

    def change_pace(self, keys: Sequence[Key], changes: Changes) -> None:
        """Change how fast targets are copied, now and when they are started again."""
        self._parts.targets.change_settings(keys, changes)
        self._parts.monitor.change(keys, changes)

    # -- starting --------------------------------------------------------------------------------------------

    def ask_and_start(self, keys: Sequence[Key]) -> None:
        """Start targets, after asking about destinations that are not empty and were not copied to from here."""
        targets, settings = self._parts.targets, self._parts.settings()
        keys = self._overwrite_prompt.without_open_questions(keys)
        new = [key for key in keys if not targets.was_copied(key)]
        wanted, first = (targets.targets(some, settings) for some in (keys, new))
        destinations = [target.destination for target in first]
        self._overwrite_prompt.ask(
            keys, wanted, destinations, lambda replace: self.start(targets.startable(keys), replace)
        )

    def start(self, keys: Sequence[Key], replace: frozenset[Destination] = frozenset()) -> None:
        """Start targets; another dataset is replaced at these destinations only."""
        if not keys:
            return
        self._parts.panel.set_problem("", "")
        self._parts.targets.set_starting(keys, True)
        self._parts.show_rows()
        self._parts.monitor.start_targets(
            [
                target.model_copy(update={"overwrite": True}) if target.destination in replace else target
                for target in self._parts.targets.targets(keys, self._parts.settings())
            ]
        )

    def check(self, target: Target, by_content: bool = False) -> None:
        """List a target, and compare it without copying; by content where only times differ, if that is wanted."""
        targets = self._parts.targets
        key = targets.find_key(target) or targets.add(target)
        targets.set_starting([key], True)
        self._parts.show_rows()
        checked = targets.targets([key], self._parts.settings())
        how = {"check": True, "by_content": by_content}
        self._parts.monitor.start_targets([one.model_copy(update=how) for one in checked])

    def note_not_started(self, refused: Sequence[Refused]) -> None:
        """Show at each target why it was not started; the others have been."""
        for target, words in refused:
            self._parts.panel.log(Level.ERROR, f"{target.source.name}: {words}")
            key = self._parts.targets.find_key(target)
            if key is not None:
                self._parts.targets.set_starting([key], False)
                self._parts.targets.set_problem(key, words)
        self._parts.show_rows()
        target, words = refused[0]
        several = f"{len(refused)} targets could not be started; their cards say why"
        one = f"Cannot start: {target.source.name}. {words[:1].upper()}{words[1:]}"
        self._parts.panel.set_problem("", several if len(refused) > 1 else one)

    def _show_freeing(self, source: Path, how_far: Reason | None) -> None:
        self._parts.targets.set_freeing(source, how_far)
        self._parts.show_rows()

    # -- questions and folders -------------------------------------------------------------------------------

    def _ask_and_finish(self, keys: Sequence[Key]) -> None:
        found = [(key, seen.target) for key in keys if (seen := self._parts.targets.seen(key)) is not None]
        question = finish_question([(Path(target.source).name or target.source, target) for _, target in found])
        if found and self._parts.panel.ask(TITLE, question, YES):
            self._parts.monitor.order("finish", [key for key, _ in found])

    def open_folders(self, folders: Sequence[Path]) -> None:
        """Show folders in the system's file manager."""

        def open_existing(existing: list[bool]) -> None:
            for folder, exists in zip(folders, existing, strict=True):
                if not exists:
                    self._parts.panel.set_problem("", f"{folder} does not exist yet")
                elif not QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder))):
                    self._parts.panel.set_problem("", f"{folder} cannot be opened: no file manager was found")

        self._parts.queue.fetch(
            lambda: [os.path.isdir(extended_path(str(folder))) for folder in folders], open_existing
        )
