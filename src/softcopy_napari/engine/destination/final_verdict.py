"""Is a copy complete of which everything that the source has now was copied? What should its user know?

A pure function of what was found: what only one side has, what was lost, what never came. Nothing at the destination
is deleted for it, and nothing advises that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from softcopy_napari.engine.formatting import NO_NAMES, CountedNames, count_names
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.source.transfer_manifest import MANIFEST


@dataclass(frozen=True, slots=True)
class FinalFindings:
    """What was found at the end, all paths relative to source and destination."""

    lost: CountedNames = NO_NAMES
    """Chunk files that were seen at the source, and left it before they were copied."""
    listed: CountedNames = NO_NAMES
    """Files that the source's own list of its files names as finished, and that neither side has."""
    left: CountedNames = NO_NAMES
    """Files of a folder that left the source before they were copied: data or not, nobody knows."""
    orphaned: CountedNames = NO_NAMES
    """Files that this copy or an earlier one brought to the destination, and that the source has no more."""
    foreign: CountedNames = NO_NAMES
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
class FinalVerdict:
    """How a copy ends of which everything that the source has now is at the destination."""

    failure: Reason | None
    """Why it is not complete; None if it is."""
    notes: tuple[Reason, ...]
    kept: int
    """Files at the destination that are gone from the source."""
    lost: int
    """Chunk files that left the source before they were copied."""


def judge_findings(found: FinalFindings) -> FinalVerdict:
    """Say whether a copy is complete, and what its user should know."""
    failures = tuple(_failures(found))
    failure = failures[0] if len(failures) == 1 else make_reason(ReasonCode.ALL_OF, parts=failures)
    kept = found.orphaned.total + found.foreign.total
    return FinalVerdict(failure if failures else None, tuple(_notes(found)), kept, found.lost.total)


def _failures(found: FinalFindings) -> Iterator[Reason]:
    if found.lost.total:
        yield make_reason(ReasonCode.CHUNKS_LOST, chunks=found.lost.total, names=str(found.lost))
    if found.listed.total:
        names = str(found.listed)
        yield make_reason(ReasonCode.LISTED_AND_MISSING, files=found.listed.total, file=MANIFEST, names=names)
    if found.orphaned.total:
        yield make_reason(ReasonCode.NOT_IN_SOURCE, files=found.orphaned.total, names=str(found.orphaned))
    if found.foreign.total:
        yield make_reason(ReasonCode.UNKNOWN_CHUNKS, chunks=found.foreign.total, names=str(found.foreign))


def _notes(found: FinalFindings) -> Iterator[Reason]:
    if found.missing_nodes.total:
        nodes = found.missing_nodes
        yield make_reason(ReasonCode.NODES_NEVER_CAME, nodes=nodes.total, names=str(nodes))
    if found.left.total:
        yield make_reason(ReasonCode.FILES_LEFT, files=found.left.total, names=str(found.left))
    if found.others:
        yield make_reason(ReasonCode.DESTINATION_ONLY, names=str(count_names(found.others)))
    if system := sorted(found.system):
        yield make_reason(ReasonCode.MADE_BY_SYSTEM, names=", ".join(system))
    for old, new in found.renamed.items():
        yield make_reason(ReasonCode.RENAMED, old=old, new=new)
    for folder in sorted(found.unlisted):
        yield make_reason(ReasonCode.FOLDER_UNLISTABLE, folder=folder)
