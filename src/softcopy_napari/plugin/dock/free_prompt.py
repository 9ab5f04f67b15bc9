"""Frees the source of a complete target after a question that says what is moved where, and brings it back.

Another process does it: napari stays quick, and what has begun goes on when napari is closed.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from softcopy_napari.engine.reasons import Reason, ReasonCode, decode_reason, make_reason, quote_text
from softcopy_napari.engine.receipt.freed_record import find_freed
from softcopy_napari.engine.wording import describe
from softcopy_napari.plugin.main_thread import MainThreadQueue
from softcopy_napari.widgets.banner import Message
from softcopy_napari.widgets.log_view import Level
from softcopy_napari.widgets.palette import Tone
from softcopy_napari.widgets.panel import Panel

_COMMAND = [sys.executable, "-P", "-m", "softcopy_napari", "free"]
_FREE = [sys.executable, "-P", "-m", "softcopy_napari.engine.freeing.free_process"]
_TOPIC = "freeing "
"""What the topics of its messages begin with; the source follows."""
_PROGRESS = (ReasonCode.READING_BACK_TO_FREE, ReasonCode.FREEING_SOURCE)
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
    show : callable
        Shows how far the freeing of a source is; None when it is over.
    """

    def __init__(self, panel: Panel, queue: MainThreadQueue, show: Callable[[Path, Reason | None], object]) -> None:
        self._panel, self._queue, self._show = panel, queue, show
        self._processes: dict[Path, subprocess.Popen[str]] = {}
        self._busy: set[Path] = set()
        """Sources that are being looked at, asked about, freed or brought back."""

    def ask(self, source: Path, destination: Path) -> None:
        """Look at a source, ask, and free it or bring it back; does nothing while that is under way."""
        if source in self._busy:
            return
        self._busy.add(source)
        self._panel.log(Level.INFO, f"{source.name}: checking whether its source may be freed")

        def ask_user(found: _Finding) -> None:
            if found.problem:
                self._end(source, Level.WARNING, f"not freed: {found.problem}")
            elif found.freed:
                if self._panel.ask("Source freed", f"{found.freed}\n\nMove the files back?", "Move back"):
                    self._undo(source)
                else:
                    self._busy.discard(source)
            elif self._panel.ask("Free the source?", _question(found.plan), "Free it"):
                self._panel.log(Level.INFO, f"{source.name}: freeing its source; the copy is read back first")
                self._free(source, destination)
            else:
                self._busy.discard(source)

        self._queue.fetch(lambda: _check_rules(source, destination), ask_user)

    def stop(self, sources: Iterable[Path]) -> None:
        """End the freeing of sources between two files; what was moved stays in the grace folder."""
        for source in sources:
            process = self._processes.get(source)
            if process is not None and process.stdin is not None:
                with contextlib.suppress(OSError, ValueError):  # it has just ended
                    process.stdin.write("stop\n")
                    process.stdin.flush()

    def _undo(self, source: Path) -> None:
        def tell(done: tuple[int, str]) -> None:
            code, words = done
            self._end(source, Level.ERROR if code else Level.INFO, words)

        self._queue.fetch(lambda: _call(("--undo", str(source))), tell)

    def _free(self, source: Path, destination: Path) -> None:
        try:
            process = _start([*_FREE, str(source), str(destination)])
        except OSError as error:
            self._end(source, Level.ERROR, error.strerror or str(error))
            return
        self._processes[source] = process
        self._show(source, quote_text("looking at both sides"))

        def follow() -> Reason:
            last = make_reason(ReasonCode.SOURCE_NOT_FREED, why=quote_text("its process ended without saying why"))
            with contextlib.suppress(OSError), process:
                for line in process.stdout or ():
                    with contextlib.suppress(ValueError, LookupError, TypeError):
                        last = decode_reason(json.loads(line))
                        if last.code in _PROGRESS:
                            self._queue.post(lambda how_far=last: self._show(source, how_far))  # type: ignore[misc]
            if last.code in _PROGRESS:
                return make_reason(ReasonCode.SOURCE_NOT_FREED, why=quote_text("its process was killed"))
            return last

        def tell(last: Reason) -> None:
            del self._processes[source]
            self._show(source, None)
            level = Level.WARNING
            if last.code in (ReasonCode.SOURCE_FREED, ReasonCode.FREEING_STOPPED):
                level = Level.INFO
            self._end(source, level, describe(last))

        self._queue.fetch(follow, tell)

    def _end(self, source: Path, level: Level, words: str) -> None:
        self._busy.discard(source)
        said = f"{source.name}: {words}"
        self._panel.log(level, said)
        tone = Tone.DONE if level is Level.INFO else Tone.NEEDS_USER
        self._panel.banner.add(Message(tone, said, f"{_TOPIC}{source}"))


def _check_rules(source: Path, destination: Path) -> _Finding:
    record = find_freed(source)
    if record is not None and record.ended:
        words = describe(record.describe())
        return _Finding(problem=words) if record.deleted else _Finding(freed=words)
    code, words = _call((str(source), str(destination), "--dry-run"))
    return _Finding(problem=words) if code else _Finding(plan=words)


def _start(command: Sequence[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=sys.platform != "win32",
        creationflags=_NO_WINDOW,
    )


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
