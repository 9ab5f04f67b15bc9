"""Frees the source of a complete target after a question that says what is moved where, and brings it back.

`softcopy free` does it in a process of its own: napari stays quick, and what has begun goes on when napari is closed.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from softcopy_napari.engine.receipt.freed_record import find_freed
from softcopy_napari.engine.wording import describe
from softcopy_napari.plugin.main_thread import MainThreadQueue
from softcopy_napari.widgets.log_view import Level
from softcopy_napari.widgets.panel import Panel

_COMMAND = [sys.executable, "-P", "-m", "softcopy_napari", "free"]
_NO_WINDOW: int = getattr(subprocess, "CREATE_NO_WINDOW", 0)


class _Finding(NamedTuple):
    """What may be done with a source."""

    freed: str = ""
    """What became of it, if it was freed and its files are in the grace folder."""
    plan: str = ""
    """What freeing it would move, and where."""
    problem: str = ""
    """Why it is not freed."""


class FreePrompt:
    """Asks whether to free a source, or to bring its files back, and does it.

    Parameters
    ----------
    panel : Panel
        Shows questions, and what came of it.
    queue : MainThreadQueue
        Runs what takes long in threads, which wait for processes.
    """

    def __init__(self, panel: Panel, queue: MainThreadQueue) -> None:
        self._panel, self._queue = panel, queue
        self._busy: set[Path] = set()
        """Sources that are being looked at, asked about, freed or brought back."""

    def ask(self, source: Path, destination: Path) -> None:
        """Look at a source, ask, and free it or bring it back; does nothing while that is under way."""
        if source in self._busy:
            return
        self._busy.add(source)
        self._panel.log(Level.INFO, f"{source.name}: looking whether its source may be freed")

        def ask_user(found: _Finding) -> None:
            if found.problem:
                self._end(source, Level.WARNING, f"not freed: {found.problem}")
            elif found.freed:
                if self._panel.ask("Source freed", f"{found.freed}\n\nMove the files back?", "Move back"):
                    self._run(source, "--undo", str(source))
                else:
                    self._busy.discard(source)
            elif self._panel.ask("Free the source?", _question(found.plan), "Free it"):
                self._panel.log(Level.INFO, f"{source.name}: freeing its source; the copy is read back first")
                self._run(source, str(source), str(destination), "--yes")
            else:
                self._busy.discard(source)

        self._queue.fetch(lambda: _check_rules(source, destination), ask_user)

    def _run(self, source: Path, *arguments: str) -> None:
        def tell(done: tuple[int, str]) -> None:
            code, words = done
            self._end(source, Level.ERROR if code else Level.INFO, words)

        self._queue.fetch(lambda: _call(arguments), tell)

    def _end(self, source: Path, level: Level, words: str) -> None:
        self._busy.discard(source)
        self._panel.log(level, f"{source.name}: {words}")
        if level is not Level.INFO:
            self._panel.set_problem("", f"{source.name}: {words}")


def _check_rules(source: Path, destination: Path) -> _Finding:
    record = find_freed(source)
    if record is not None and record.ended:
        words = describe(record.describe())
        return _Finding(problem=words) if record.deleted else _Finding(freed=words)
    code, words = _call((str(source), str(destination), "--dry-run"))
    return _Finding(problem=words) if code else _Finding(plan=words)


def _call(arguments: tuple[str, ...]) -> tuple[int, str]:
    """Run `softcopy free`; return its exit code, and what it says."""
    try:
        done = subprocess.run(
            [*_COMMAND, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            start_new_session=sys.platform != "win32",
            creationflags=_NO_WINDOW,
        )
    except OSError as error:
        return 1, error.strerror or str(error)
    lines = [line.removeprefix("softcopy: ") for line in (done.stderr if done.returncode else done.stdout).splitlines()]
    return done.returncode, "\n".join(line for line in lines if not line.startswith("Nothing was moved"))


def _question(plan: str) -> str:
    return (
        f"{plan}\n\nThe files leave the source, and can be moved back from the grace folder. Their space becomes free "
        "when they have expired and softcopy free --expired deletes them."
    )
