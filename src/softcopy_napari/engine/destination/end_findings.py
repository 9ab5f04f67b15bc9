"""Judges what a copy ends with besides what it copied: what only one side has, what was lost, what never came.

A pure function of what was found. Nothing at the destination is deleted for it, and nothing advises that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from softcopy_napari.engine.formatting import NO_NAMES, CountedNames, count_names, count_text

UNLISTED = "{} at the source cannot be listed; its system made it, and it holds no data of yours"


@dataclass(frozen=True, slots=True)
class EndFindings:
    """What was found at the end, all paths relative to source and destination."""

    lost: CountedNames = NO_NAMES
    """Chunk files that were seen at the source, and left it before they were copied."""
    brought: CountedNames = NO_NAMES
    """Files that this copy or an earlier one brought to the destination, and that the source has no more."""
    strange: CountedNames = NO_NAMES
    """Chunk files, and folders of them, of the source's arrays that only the destination has and no copy brought.

    Where they lie the source has the fill value: a copy with them is not equal."""
    others: Sequence[str] = ()
    """What else only the destination has."""
    system: Iterable[str] = ()
    """Names of what only the destination has because its system made it."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """What only the destination has because it was renamed at the source, and its names there now."""
    unlisted: Iterable[str] = ()
    """Folders of a system's own at the source that cannot be listed."""
    missing_nodes: CountedNames = NO_NAMES
    """Images, wells and other groups or arrays that OME metadata promise, and that never came."""


@dataclass(frozen=True, slots=True)
class EndVerdict:
    """How a copy ends of which everything that the source has now is at the destination."""

    failure: str
    """Why it is not complete; empty if it is."""
    notes: tuple[str, ...]
    kept: int
    """Files at the destination that are gone from the source."""
    lost: int
    """Chunk files that left the source before they were copied."""


def judge_end(found: EndFindings) -> EndVerdict:
    """Say whether a copy is complete, and what its user should know."""
    return EndVerdict(
        "; ".join(_failures(found)), tuple(_notes(found)), found.brought.total + found.strange.total, found.lost.total
    )


def _failures(found: EndFindings) -> Iterator[str]:
    if found.lost.total:
        total = count_text(found.lost.total, "chunk file")
        was, they, them = ("was", "it", "it") if found.lost.total == 1 else ("were", "they", "them")
        yield (
            f"{total} {was} lost before {they} {was} copied: {they} left the source ({found.lost}). "
            f"If somebody moved {them}, put {them} back and start this copy again"
        )
    if found.brought.total:
        are = "file here is" if found.brought.total == 1 else "files here are"
        yield (
            f"{found.brought.total:,} {are} not in the source any more ({found.brought}). Was the source cleared, or "
            "is this the wrong folder? The copies are kept"
        )

    if found.strange.total:
        yield (
            f"chunk files at the destination are not in the source, and no copy brought them: {found.strange}. Whoever "
            "reads the copy sees them. Wrong folder? They are kept"
        )


def _notes(found: EndFindings) -> Iterator[str]:
    if found.missing_nodes.total:
        nodes = count_text(found.missing_nodes.total, "image or well", "images or wells")
        yield f"{nodes} that the metadata promise never came: {found.missing_nodes}"
    if found.others:
        yield f"at the destination only, left alone: {count_names(found.others)}"
    if system := sorted(found.system):
        yield f"at the destination only, made by its system: {', '.join(system)}"
    for old, new in found.renamed.items():
        yield f"{old} was renamed to {new} at the source; the copy under its old name is left alone"
    for folder in sorted(found.unlisted):
        yield UNLISTED.format(folder)
