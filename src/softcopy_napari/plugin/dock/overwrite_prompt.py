"""Asks before anything is copied to a destination that holds other files, or another dataset."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from qtpy.QtCore import QTimer

from softcopy_napari.engine.destination.existing_data import find_other_dataset
from softcopy_napari.engine.object_store.store_connection import StoreConnection
from softcopy_napari.engine.object_store.store_errors import StoreError
from softcopy_napari.engine.reasons import Reason
from softcopy_napari.engine.targets.store_url import Destination, StoreUrl
from softcopy_napari.engine.targets.target import Target
from softcopy_napari.engine.wording import describe
from softcopy_napari.plugin.dock.copy_preview import find_parents_of_datasets
from softcopy_napari.plugin.dock.engine_contact import Key
from softcopy_napari.plugin.main_thread import MainThreadQueue
from softcopy_napari.widgets.panel import Panel
from softcopy_napari.widgets.wording import NAPARI

_SLOW = 2_000
"""Milliseconds after which the panel says that a destination does not respond."""
_MOST = 5
"""Destinations named in a question."""


class OverwritePrompt:
    """Inspects destinations, and asks the user about those that are not empty.

    Parameters
    ----------
    panel : Panel
        Shows the questions, and destinations that do not respond.
    queue : MainThreadQueue
        Inspects destinations in threads: a drive may be slow.
    """

    def __init__(self, panel: Panel, queue: MainThreadQueue) -> None:
        self._panel = panel
        self._queue = queue
        self._open_questions: set[Key] = set()
        """Targets whose destinations are being inspected, or about which the user is being asked."""

    def without_open_questions(self, keys: Sequence[Key]) -> list[Key]:
        """Return those of the keys about which no question is open."""
        return [key for key in keys if key not in self._open_questions]

    def ask(
        self,
        keys: Sequence[Key],
        targets: Sequence[Target],
        new: Sequence[Destination],
        start: Callable[[frozenset[Destination]], None],
    ) -> None:
        """Start targets, unless the user does not want to copy to one of their destinations.

        Parameters
        ----------
        keys : sequence of Key
        targets : sequence of Target
            The targets to start.
        new : sequence of Path or StoreUrl
            Destinations that were not copied to from here.
        start : callable
            Starts the targets; is given the destinations in which the user replaces another dataset.
        """
        destinations = [target.destination for target in targets]
        self._open_questions.update(keys)
        slow = QTimer(self._panel)
        slow.timeout.connect(lambda: self._panel.set_problem("", _no_answer(destinations)))
        slow.setSingleShot(True)
        if destinations:
            slow.start(_SLOW)

        def ask_user(found: _Found) -> None:
            if destinations and not slow.isActive():
                self._panel.set_problem("", "")
            slow.stop()
            slow.deleteLater()
            confirmed = not found.parents or self._panel.ask(
                "Other datasets are there", _loose(found.parents), "Copy among them"
            )
            confirmed = confirmed and (
                not found.others or self._panel.ask("Another dataset", _replace(found.others), "Replace it")
            )
            occupied = [folder for folder in found.occupied if folder not in (*found.others, *found.parents)]
            confirmed = confirmed and (
                not occupied or self._panel.ask("Destination is not empty", _question(occupied), "Copy into it")
            )
            self._open_questions.difference_update(keys)
            if confirmed:
                start(frozenset(found.others))

        self._queue.fetch(partial(_inspect, targets, new), ask_user)


class _Found(NamedTuple):
    """What destinations hold."""

    occupied: list[Destination]
    """Destinations that are not empty."""
    others: dict[Destination, str]
    """Destinations that hold another dataset than the source, each with a sentence about it."""
    parents: dict[Destination, str]
    """Destinations that are no datasets and hold other ones, each with a sentence about it."""


def _inspect(targets: Sequence[Target], new: Sequence[Destination]) -> _Found:
    conflicts = {one.destination: _find_other(one) for one in targets}
    others: dict[Destination, str] = {folder: describe(why, NAPARI) for folder, why in conflicts.items() if why}
    parents = find_parents_of_datasets([one for one in targets if one.destination in new])
    return _Found(_not_empty(new), others, {folder: why for folder, why in parents.items() if folder not in others})


def _find_other(target: Target) -> Reason | None:
    """Say whose data lie at a destination; what a store holds that does not answer is asked about when it does."""
    try:
        return find_other_dataset(target.source, target.destination, target.is_folder)
    except StoreError:
        return None


def _not_empty(destinations: Sequence[Destination]) -> list[Destination]:
    """Return those of the destinations that hold anything."""
    occupied: list[Destination] = []
    for folder in destinations:
        if isinstance(folder, StoreUrl):
            with contextlib.suppress(OSError):
                if StoreConnection(folder).has_objects():
                    occupied.append(folder)
            continue
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            if next(entries, None) is not None:
                occupied.append(folder)
    return occupied


def _no_answer(folders: Sequence[Destination]) -> str:
    names = ", ".join(map(str, folders))
    return f"{names}: no answer yet. Copying starts when the disk or share responds"


def _loose(parents: Mapping[Destination, str]) -> str:
    words = "\n\n".join(f"{text}." for text in list(parents.values())[:_MOST])
    return f"{words}\n\nBetter cancel, and choose a separate folder as the destination."


def _replace(others: Mapping[Destination, str]) -> str:
    words = "\n\n".join(f"{text[0].upper()}{text[1:]}." for text in list(others.values())[:_MOST])
    more = f"\n\nand {len(others) - _MOST} more" if len(others) > _MOST else ""
    what = "it" if len(others) == 1 else "them"
    return (
        f"{words}{more}\n\nThis may be the only copy of that dataset. Replace {what} for good? "
        "Or cancel, and choose another destination."
    )


def _question(occupied: Sequence[Destination]) -> str:
    names = "\n".join(str(folder) for folder in occupied[:_MOST]) + ("\n..." if len(occupied) > _MOST else "")
    subject = "This destination is" if len(occupied) == 1 else "These destinations are"
    return (
        f"{subject} not empty:\n{names}\n\n"
        "Files that differ from the source's are replaced; nothing is deleted. An interrupted copy continues."
    )
