"""Asks before anything is copied into destinations that hold something, once they tell whether they do."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from qtpy.QtCore import QTimer

from softcopy_napari.plugin.mailbox import Mailbox
from softcopy_napari.plugin.supervisor import Key
from softcopy_napari.widgets.panel import Panel

_SLOW = 2_000
"""Milliseconds after which it is said that a destination does not answer."""
_MOST = 5
"""Destinations that are named."""


class FilledQuestion:
    """Looks into destinations, and asks the user about those that are not empty.

    Parameters
    ----------
    panel : Panel
        Where it is asked, and where it is said that a destination does not answer.
    mailbox : Mailbox
        Looks into them: a slow drive takes its time.
    """

    def __init__(self, panel: Panel, mailbox: Mailbox) -> None:
        self._panel = panel
        self._mailbox = mailbox
        self._asking: set[Key] = set()
        """Targets about which a destination or the user is being asked."""

    def not_asked(self, keys: Sequence[Key]) -> list[Key]:
        """Those of some targets about which nobody is being asked."""
        return [key for key in keys if key not in self._asking]

    def ask(self, keys: Sequence[Key], destinations: Sequence[Path], start: Callable[[], None]) -> None:
        """Have targets started, unless the user does not want to copy into one of their destinations."""
        self._asking.update(keys)
        slow = QTimer(self._panel)
        slow.timeout.connect(lambda: self._panel.set_problem("", _silent(destinations)))
        slow.setSingleShot(True)
        if destinations:
            slow.start(_SLOW)

        def looked(filled: list[Path]) -> None:
            if destinations and not slow.isActive():
                self._panel.set_problem("", "")
            slow.stop()
            slow.deleteLater()
            yes = not filled or self._panel.ask("Destination is not empty", _question(filled), "Copy into it")
            self._asking.difference_update(keys)
            if yes:
                start()

        self._mailbox.fetch(partial(_not_empty, destinations), looked)


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


def _question(filled: Sequence[Path]) -> str:
    names = "\n".join(str(folder) for folder in filled[:_MOST]) + ("\n..." if len(filled) > _MOST else "")
    subject = "This destination is" if len(filled) == 1 else "These destinations are"
    return (
        f"{subject} not empty:\n{names}\n\n"
        "Files there that differ from the source's will be replaced; nothing is deleted. "
        "A copy that was interrupted goes on from where it was."
    )
