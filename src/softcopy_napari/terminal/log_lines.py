"""Log lines of an engine's progress, for pipes and files in place of the live table."""

from __future__ import annotations

import time

from softcopy_napari.engine.protocol.messages import EngineSnapshot, TargetSnapshot
from softcopy_napari.engine.states import TargetState
from softcopy_napari.terminal.texts import forecast_lines, labelled_eta_text, labelled_files_text, rate_text
from softcopy_napari.terminal.wording import explain_state

_LOG_INTERVAL = 5.0
_LOG_LONGEST = 60.0
"""Seconds between log lines of a target of which there is nothing new to say."""
_ALTERNATING = {TargetState.COPYING, TargetState.CAUGHT_UP}


class LogLines:
    """Prints a line for each target every few seconds, and at every change of its state, for logs and pipes.

    A complete target whose source is still watched has nothing to report.
    """

    def __init__(self) -> None:
        self._next = 0.0
        self._last_lines: dict[str, tuple[TargetState, str, float]] = {}
        self._noticed: set[tuple[str, str]] = set()

    def show(self, engine: EngineSnapshot, now: bool = False) -> None:
        """Print the lines that are due."""
        due = now or time.monotonic() >= self._next
        if due:
            self._next = time.monotonic() + _LOG_INTERVAL
        for target in engine.targets:
            state, text, when = self._last_lines.get(target.id, (None, "", 0.0))
            # Between stacks a target is caught up for a moment, which is not worth a line.
            changed = state is not target.state and not {state, target.state} <= _ALTERNATING
            if changed or due:
                new = self._text(target, resumed=state is TargetState.COMPLETE and not target.state.ended)
                again = time.monotonic() - when >= _LOG_LONGEST and not target.watching
                repeats = new == text and not now and not again
                if changed or not repeats:
                    self._last_lines[target.id] = target.state, new, time.monotonic()
                    self._line(new)
            for notice in target.notices:
                if (target.id, notice) not in self._noticed:
                    self._noticed.add((target.id, notice))
                    self._line(f"{target.source}: note: {notice}")

    @staticmethod
    def _text(target: TargetSnapshot, resumed: bool) -> str:
        parts = [
            f"{target.source}: {target.state_text}" + (" again: the source has changed" if resumed else ""),
            labelled_files_text(target),
            f"{rate_text(target)} MB/s",
            labelled_eta_text(target),
        ]
        if target.failed_files:
            parts.append(f"{target.failed_files:,} failed")
        parts += filter(None, (*forecast_lines(target), explain_state(target)))
        return ", ".join(parts)

    @staticmethod
    def _line(text: str) -> None:
        print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}", flush=True)
