"""Texts about a target that the table, the log lines and the summary share, and the colours of its states."""

from __future__ import annotations

from softcopy_napari.engine.formatting import time_text
from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.states import TargetState

COLOURS = {
    TargetState.WAITING: "yellow",
    TargetState.COPYING: "cyan",
    TargetState.CAUGHT_UP: "blue",
    TargetState.FINISHING: "cyan",
    TargetState.CHECKING: "cyan",
    TargetState.COMPLETE: "green",
    TargetState.INCOMPLETE: "red",
    TargetState.PAUSED: "yellow",
    TargetState.FAILED: "red",
    TargetState.STOPPED: "yellow",
}
"""The colour of each state, as rich calls it."""


def files_text(target: TargetSnapshot) -> str:
    """Return the number of chunk files that have arrived, and of all where that is known; of a folder, of its files."""
    if target.any_files:
        return f"{target.other_files:,}"
    if not (target.arrays or target.chunk_files):
        return "-"
    if is_open_ended(target):
        return f"{target.chunk_files_copied:,} so far"
    return f"{target.chunk_files_copied:,}/{target.chunk_files:,}"


def labelled_files_text(target: TargetSnapshot) -> str:
    """Return the number of chunk files that have arrived, or of files of a folder, with a word that says so."""
    if target.any_files:
        return target.copied_text
    number, _, rest = files_text(target).partition(" ")
    return f"{number} chunk files {rest}".rstrip()


def is_open_ended(target: TargetSnapshot) -> bool:
    """Whether nobody knows how much is to come: an array grows, or images and wells are still to appear."""
    return not target.state.ended and (target.growing or target.any_files or bool(target.nodes_missing))


def labelled_eta_text(target: TargetSnapshot) -> str:
    """Return the time left or taken with a word that tells which."""
    return eta_text(target) if target.state.ended else f"ETA {eta_text(target)}"


def eta_text(target: TargetSnapshot) -> str:
    """Return the time left, or the time taken once the target has ended."""
    if target.state.ended:
        return f"took {time_text(target.elapsed)}"
    if target.eta is not None:
        return time_text(target.eta)
    return "acquiring" if target.acquiring else "-"


def rate_text(target: TargetSnapshot) -> str:
    """Return the rate of copying in MB/s."""
    return f"{target.bytes_per_second / 1e6:.1f}"


def forecast_lines(target: TargetSnapshot) -> list[str]:
    """Return what limits the rate, where anything does, and the forecast."""
    return [words for words in (target.pace.words, target.forecast.words) if words]
