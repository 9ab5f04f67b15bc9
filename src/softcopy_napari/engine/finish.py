"""Decides whether an acquisition is finished. A pure function of facts: the rules of docs/complete.md."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a source when the question is asked."""

    told_to_finish: bool
    """Its user said so."""
    complete_file: bool
    """A file called `complete` lies in the source, or in the folder of each of its arrays."""
    arrays: int
    absent: int
    """Chunk files that metadata promise and that are not there."""
    missing_nodes: int
    """Arrays and groups that OME metadata promise and that are not there."""
    temporaries: int
    """Locks and other temporaries of writers, and files that a writer has open."""
    quiet: float
    """Seconds for which nothing has changed, by the files' own times or since the last event."""
    temporary: str = ""
    """One of the temporaries, if there are any."""


def finished_because(facts: Facts, settle: float, finish_idle: float | None) -> str:
    """Say why nothing more will be written.

    Parameters
    ----------
    facts : Facts
    settle : float
        Seconds of quiet after which a source with everything it promises counts as finished.
    finish_idle : float or None
        Seconds of quiet after which any source does; None for never.

    Returns
    -------
    str
        The reason, in words for a user; empty while the acquisition may go on.
    """
    if facts.told_to_finish:
        return "you said that the acquisition is finished"
    if facts.complete_file:
        return "a file named 'complete' says that the acquisition is finished"
    if facts.arrays and not (facts.absent or facts.missing_nodes or facts.temporaries) and facts.quiet >= settle:
        return f"every chunk file is there and nothing has changed for {settle:g} s"
    if finish_idle is not None and facts.quiet >= finish_idle:
        return f"nothing has changed for {finish_idle:g} s"
    return ""


def waiting_for(facts: Facts, settle: float, finish_idle: float | None) -> str:
    """Say what is waited for while everything that is there has been copied."""
    idle = "" if finish_idle is None else f", or after {finish_idle:g} s without a change"
    ends = f"ends when a file named 'complete' appears{', on' if idle else ' or on'} 'Finish now' in napari{idle}"
    if not facts.arrays:
        return "no zarr array yet"
    if facts.missing_nodes:
        return f"promised images or wells that have not come yet: {facts.missing_nodes:,}; {ends}"
    if facts.absent:
        return f"chunk files that have not come yet: {facts.absent:,}; {ends}"
    if facts.temporaries:
        return f"a writer still has files open or locked ({facts.temporary}); {ends}"
    return f"all chunk files are there; waiting for {settle:g} s of quiet"
