"""Gathers what tells whether an acquisition is finished, from all that is known of its source."""

from __future__ import annotations

from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.source.finish_rules import Against, Objection, SourceFacts
from softcopy_napari.engine.source.source_tracker import SourceTracker
from softcopy_napari.engine.states import ChunkState


def gather_facts(tracker: SourceTracker, inventory: Inventory, told_to_finish: bool, now: float) -> SourceFacts:
    """Return the facts of a source at this moment.

    Parameters
    ----------
    tracker : SourceTracker
    inventory : Inventory
    told_to_finish : bool
        Whether its user said that the acquisition is over.
    now : float
        Monotonic, s.
    """
    counts, metadata, evidence = inventory.counts(), tracker.metadata, tracker.evidence
    held = next(iter(inventory.writers.held), "") or tracker.scratch.first or tracker.unsettled.first
    marker, stale_marker = evidence.marker()
    torn, manifest = inventory.left_torn, tracker.held_back.manifest
    return SourceFacts(
        told_to_finish=told_to_finish,
        marker=marker,
        stale_marker=stale_marker,
        arrays=len(inventory.arrays),
        absent=counts[ChunkState.ABSENT],
        missing_nodes=len(metadata.missing_nodes()),
        temporaries=len(inventory.writers.held)
        + counts[ChunkState.WRITING]
        - sum(map(inventory.is_chunk_file, torn))
        + tracker.scratch.count
        + len(metadata.bad),
        temporary=held or next(iter(metadata.bad), ""),
        held_back=tracker.held_back.explain(),
        files=len(inventory.plain_files.by_path) if evidence.any_files else None,
        listed_end=manifest.ended and evidence.is_newer_than_data(manifest.modified),
        marker_name=evidence.marker_name,
        quiet=tracker.clock.quiet(now),
        objections=(
            *(Objection(Against.UNKNOWN_LAYOUT, path) for path in metadata.opaque),
            *(
                Objection(Against.NOT_WHOLE, path) for path in torn[:1] if tracker.clock.live
            ),  # of an old one nobody writes
            *evidence.objections,
        ),
        longest_pause=tracker.clock.longest_pause,
    )
