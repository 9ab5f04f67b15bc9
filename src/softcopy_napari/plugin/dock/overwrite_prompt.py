"""Asks before anything is copied into destinations that hold something: other files, or another dataset."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from qtpy.QtCore import QTimer

from softcopy_napari.engine.destination.existing_data import find_other_dataset
from softcopy_napari.engine.targets.target import Target
from softcopy_napari.engine.wording import describe
from softcopy_napari.plugin.dock.engine_contact import Key
from softcopy_napari.plugin.main_thread import MainThreadQueue
from softcopy_napari.widgets.panel import Panel
from softcopy_napari.widgets.wording import NAPARI

_SLOW = 2_000
"""Milliseconds after which it is said that a destination does not answer."""
_MOST = 5
"""Destinations that are named."""


class OverwritePrompt:
    """Looks into destinations, and asks the user about those that are not empty.

    Parameters
    ----------
    panel : Panel
        Where it is asked, and where it is said that a destination does not answer.
    queue : MainThreadQueue
        Looks into them: a slow drive takes its time.
    """

    def __init__(self, panel: Panel, queue: MainThreadQueue) -> None:
        self._panel = panel
        self._queue = queue
        self._asking: set[Key] = set()
        """Targets about which a destination or the user is being asked."""

    def not_asked(self, keys: Sequence[Key]) -> list[Key]:
        """Those of some targets about which nobody is being asked."""
        return [key for key in keys if key not in self._asking]

    def ask(
        self,
        keys: Sequence[Key],
        targets: Sequence[Target],
        new: Sequence[Path],
        start: Callable[[frozenset[Path]], None],
    ) -> None:
        """Have targets started, unless the user does not want to copy into one of their destinations.

        Parameters
        ----------
        keys : sequence of Key
        targets : sequence of Target
            Those that are to be started.
        new : sequence of Path
            Their destinations that were not filled from here.
        start : callable
            Starts them; is given the destinations in which the user wants to replace another dataset.
        """
        destinations = [target.destination for target in targets]
        self._asking.update(keys)
        slow = QTimer(self._panel)
        slow.timeout.connect(lambda: self._panel.set_problem("", _silent(destinations)))
        slow.setSingleShot(True)
        if destinations:
            slow.start(_SLOW)

        def looked(found: _Found) -> None:
            if destinations and not slow.isActive():
                self._panel.set_problem("", "")
            slow.stop()
            slow.deleteLater()
            yes = not found.others or self._panel.ask("Another dataset", _replace(found.others), "Replace it")
            filled = [folder for folder in found.filled if folder not in found.others]
            yes = yes and (not filled or self._panel.ask("Destination is not empty", _question(filled), "Copy into it"))
            self._asking.difference_update(keys)
            if yes:
                start(frozenset(found.others))

        self._queue.fetch(partial(_look, targets, new), looked)


class _Found(NamedTuple):
    """What lies at destinations."""

    filled: list[Path]
    others: dict[Path, str]
    """Those that hold another dataset than the source, and whose."""


def _look(targets: Sequence[Target], new: Sequence[Path]) -> _Found:
    conflicts = {one.destination: find_other_dataset(one.source, one.destination) for one in targets}
    return _Found(_not_empty(new), {folder: describe(why, NAPARI) for folder, why in conflicts.items() if why})


def _not_empty(folders: Sequence[Path]) -> list[Path]:
    """Those of the folders that hold anything."""
    filled = []
    for folder in folders:
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            if next(entries, None) is not None:
                filled.append(folder)
    return filled


def _silent(folders: Sequence[Path]) -> str:
    names = ", ".join(map(str, folders))
    return (
        f"{names}: no answer yet, from a disk or share that is looked at before anything is copied to it; "
        "the copy starts when it answers"
    )


def _replace(others: Mapping[Path, str]) -> str:
    words = "\n\n".join(f"{text[0].upper()}{text[1:]}." for text in list(others.values())[:_MOST])
    more = f"\n\nand {len(others) - _MOST} more" if len(others) > _MOST else ""
    what = "it" if len(others) == 1 else "them"
    return (
        f"{words}{more}\n\nThis may be the last copy of that dataset. Replace {what}, for good? "
        "Or cancel, and choose another destination."
    )


def _question(filled: Sequence[Path]) -> str:
    names = "\n".join(str(folder) for folder in filled[:_MOST]) + ("\n..." if len(filled) > _MOST else "")
    subject = "This destination is" if len(filled) == 1 else "These destinations are"
    return (
        f"{subject} not empty:\n{names}\n\n"
        "Files there that differ from the source's will be replaced; nothing is deleted. "
        "A copy that was interrupted goes on from where it was."
    )
