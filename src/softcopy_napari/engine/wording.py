"""What the engine says in words: a reason's template, filled, and the name of a target's state."""

from __future__ import annotations

import string
import time
from collections.abc import Mapping, Sequence
from typing import Any

from softcopy_napari.engine.english import ENGLISH
from softcopy_napari.engine.english_details import Wording
from softcopy_napari.engine.formatting import (
    clock_text,
    count_text,
    printable,
    quote,
    rough_time_text,
    size_text,
    span_text,
)
from softcopy_napari.engine.reasons import Reason
from softcopy_napari.engine.states import TargetState

STATES = {
    TargetState.WAITING: "Waiting for source",
    TargetState.COPYING: "Copying",
    TargetState.CAUGHT_UP: "Live, up to date",
    TargetState.FINISHING: "Finishing",
    TargetState.COMPLETE: "Complete",
    TargetState.CHECKING: "Checking",
    TargetState.PAUSED: "Paused",
    TargetState.INCOMPLETE: "Incomplete",
    TargetState.FAILED: "Failed",
    TargetState.STOPPED: "Stopped",
}
INTERRUPTED = "Interrupted"
"""Shown instead of the state where the system has ended it."""
SCANNING = "Scanning"
"""Shown instead of the state while all folders are looked through for the first time."""


def describe(reason: Reason | None, own: Wording | None = None) -> str:
    """Return a reason in words for users; empty where there is none.

    Parameters
    ----------
    reason : Reason or None
    own : mapping of str to str or tuple of str, optional
        Templates of a front end that count before those of `ENGLISH`.
    """
    return "" if reason is None else _Sentence(own or {}).say(reason)


class _Sentence(string.Formatter):
    """Fills templates, those of reasons within a reason too."""

    def __init__(self, own: Wording) -> None:
        self._own = own

    def say(self, reason: Reason) -> str:
        templates = self._own.get(reason.code) or ENGLISH.get(reason.code, ())
        for template in (templates,) if isinstance(templates, str) else templates:
            try:
                return self.vformat(template, (), dict(reason.fields))
            except (LookupError, TypeError, ValueError, ArithmeticError, OSError):
                continue  # a field is missing, or is no such thing
        return self._unknown(reason)

    def get_value(self, key: int | str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        return kwargs.get("array") if key == "array" else super().get_value(key, args, kwargs)

    def _unknown(self, reason: Reason) -> str:
        """Return what can be said of a code of another version."""
        words = printable(str(reason.code)).replace("_", " ")
        fields = [f"{name} {self.format_field(value, '')}" for name, value in reason.fields]
        return f"{words} ({', '.join(fields)})" if fields else words

    def format_field(self, value: Any, format_spec: str) -> str:
        match value:
            case Reason() if not format_spec:
                return self.say(value)
            case tuple() if not format_spec:
                return "; ".join(map(self.say, value))
            case Reason() | tuple():
                raise TypeError(format_spec)
        match format_spec:
            case "":
                return printable(str(value))
            case "array":
                return f"array {printable(str(value))}" if value else "the array"
            case "quoted":
                return quote(value)
            case "n":
                return f"{value:,}"
            case "size":
                return size_text(value)
            case "time":
                return span_text(value)
            case "roughly":
                return rough_time_text(value)
            case "clock":
                return clock_text(value, time.time())
            case "date":
                return time.strftime("%Y-%m-%d %H:%M", time.localtime(value))
        one, _, several = format_spec.partition("|")
        return count_text(value, one, several)
