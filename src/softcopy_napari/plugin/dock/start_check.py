"""Finds the targets that cannot be started, each with its reason, so that the others can be. For a thread."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.job.preflight import validate_target
from softcopy_napari.engine.targets.build import find_conflicts, no_answer_text
from softcopy_napari.engine.targets.target import Target
from softcopy_napari.engine.targets.timeout import call_with_timeout

Refused = tuple[Target, str]
"""A target, and why it was not started, in words for users."""


def split_startable(targets: Sequence[Target]) -> tuple[list[Target], list[Refused]]:
    """Return the targets that can run together, and the others.

    What an engine alone can tell is not known here, such as that another one copies to the destination.
    """
    try:
        conflicts = call_with_timeout(lambda: list(find_conflicts(targets, by_name=True)), no_answer_text(targets))
    except TargetsError:
        conflicts = []  # the disk that does not answer is found below
    problems: dict[int, str] = {}
    for index, words in conflicts:
        problems.setdefault(index, words)
    for index, target in enumerate(targets):
        if index in problems:
            continue
        try:
            call_with_timeout(partial(validate_target, target), no_answer_text([target]))
        except TargetsError as error:
            problems[index] = str(error)
    good = [target for index, target in enumerate(targets) if index not in problems]
    return good, [(targets[index], words) for index, words in sorted(problems.items())]
