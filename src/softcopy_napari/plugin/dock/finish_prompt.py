"""The question before an acquisition is declared over: what is still missing, and whether its source still changes."""

from __future__ import annotations

from collections.abc import Sequence

from softcopy_napari.engine.formatting import count_text, rough_time_text
from softcopy_napari.engine.protocol.messages import TargetSnapshot

TITLE = "Acquisition over?"
YES = "It is over"
_WRITING = 15.0
"""Seconds after a change for which the microscope counts as still writing."""
_MOST = 5
"""Targets that are described."""


def finish_question(targets: Sequence[tuple[str, TargetSnapshot]]) -> str:
    """Return the text of the question.

    Parameters
    ----------
    targets : sequence of (str, TargetSnapshot)
        The names of targets, and what is known of them.
    """
    lines = [f"{name}: {', '.join(_state(target))}." for name, target in targets[:_MOST]]
    if len(targets) > _MOST:
        lines.append(f"And {len(targets) - _MOST} more.")
    writing = any(target.quiet is not None and target.quiet < _WRITING for _, target in targets)
    warning = "\nThe microscope seems to be writing." if writing else ""
    return (
        "\n".join(lines) + f"\n{warning}\nWhat is there is copied and checked, then the copy ends. "
        "Until then you can take this back."
    )


def _state(target: TargetSnapshot) -> list[str]:
    facts = []
    if target.any_files:
        facts.append(f"{target.copied_text} copied")
    elif target.growing:
        facts.append(f"{count_text(target.chunk_files_copied, 'chunk')} copied")
    elif target.chunk_files:
        facts.append(f"{target.chunk_files_copied:,} of {target.chunk_files:,} chunks copied")
    if target.nodes_missing:
        facts.append(f"{count_text(target.nodes_missing, 'image or well', 'images or wells')} still missing")
    elif target.chunk_files_absent > 0 and not target.growing:
        facts.append(f"{target.chunk_files_absent:,} still missing")
    if target.quiet is not None:
        facts.append(f"source changed {_ago(target.quiet)} ago")
    return facts or ["nothing has come yet"]


def _ago(seconds: float) -> str:
    return f"{max(1, round(seconds))} s" if seconds < 90 else rough_time_text(seconds)
