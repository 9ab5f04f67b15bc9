"""Has all objects of a store listed before a walk over every folder: the walk itself makes no request for a folder."""

from __future__ import annotations

from softcopy_napari.engine.worker.tasks import Listed, ListTask


class DestinationListing:
    """When a destination is to be listed, and whether it has been.

    Parameters
    ----------
    needed : bool
        Whether it is to be listed at all: a folder is listed as it is compared.

    Attributes
    ----------
    objects : int
        Objects that the listing under way, or the last one, has found so far.
    """

    def __init__(self, needed: bool) -> None:
        self.objects = 0
        self._needed = needed
        self._under_way = False
        self._begun_for = 0
        self._done_for = -1

    @property
    def is_wanted(self) -> bool:
        """Whether a worker is to be asked for one."""
        return not self._under_way

    def is_done_for(self, walk: int) -> bool:
        """Whether everything was listed since the walk of this number over every folder began."""
        return not self._needed or self._done_for == walk

    def begin(self, task: int, walk: int) -> ListTask:
        """Return the task for a worker, for the walk of this number."""
        self._under_way, self._begun_for = True, walk
        return ListTask(task)

    def note_answer(self, answer: Listed) -> None:
        """Note how far it is."""
        self.objects = answer.objects
        if answer.final:
            self._under_way = False
            if answer.obstacle is None:
                self._done_for = self._begun_for
