"""Standard input, output and error of the command, which may fail or be closed without ending a copy."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


def let_output_fail() -> None:
    """Drop what cannot be written from now on, and spell what the output has no letters for.

    A log's disk fills up, who reads a pipe goes away, a terminal is closed, a log on Windows knows some hundred letters
    and a path has others: no copy must end for that.
    """
    _open_closed()
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        # Windows' consoles do not go away before the program does, and are not written to as bytes.
        if isinstance(stream, io.TextIOWrapper) and not (sys.platform == "win32" and stream.isatty()):
            with contextlib.suppress(OSError):
                stream.flush()
            try:
                raw = _Unfailing(stream.fileno(), "wb", closefd=False)
            except (OSError, ValueError):  # somebody else's, with no file behind it
                continue
            buffered = io.BufferedWriter(raw)
            buffering = stream.line_buffering
            unfailing = io.TextIOWrapper(buffered, stream.encoding, "backslashreplace", line_buffering=buffering)
            setattr(sys, name, unfailing)


def _open_closed() -> None:
    """Open the null device in place of what is closed: else the next file that is opened would get its output."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            # It gets the lowest number that is free: this one. The copy processes are to have it, too.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - until the program ends


class _Unfailing(io.FileIO):
    def write(self, data: ReadableBuffer, /) -> int:
        written = None
        with contextlib.suppress(OSError):
            written = super().write(data)
        return memoryview(data).nbytes if written is None else written
