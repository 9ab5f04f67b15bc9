"""May the first file be copied to a destination? Examines what lies there, and removes what another dataset left.

Part of a target's job. What may take minutes, or hang with the destination's disk, runs in threads of its own.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial

from softcopy_napari.engine.checksums.digest_journal import DigestJournal
from softcopy_napari.engine.destination.existing_data import (
    ExistingData,
    examine_destination,
    take_over_destination,
)
from softcopy_napari.engine.destination.old_file_remover import KnownFiles, OldFileRemover
from softcopy_napari.engine.destination.old_object_remover import OldObjectRemover
from softcopy_napari.engine.fs.destination_problem import DestinationProblem
from softcopy_napari.engine.fs.root_folder import WrongFolder
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.inventory.tracked_array import OldArray
from softcopy_napari.engine.object_store.store_errors import StoreError
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.targets.store_url import StoreUrl
from softcopy_napari.engine.targets.target import Target
from softcopy_napari.engine.worker.tasks import Identity

_AGAIN = 1.0
"""Seconds after which removal is tried again where one of the sides was not there."""
_STORE_AGAIN = 3.0
"""Seconds after which a store is asked again that could not be asked."""

log = logging.getLogger(__name__)


class DestinationPreparation:
    """Does what is to be done at a destination before it is filled.

    Parameters
    ----------
    target : Target
    inventory : Inventory
    journal : DigestJournal
        Has what earlier runs have left.
    marker : str
        Name of the file by which the destination is known again.
    post : callable
        Has something called in the job's thread.
    over : callable
        Tells whether the job has ended.

    Attributes
    ----------
    target : Target
    existing : ExistingData or None
        What lay at the destination at first; None before that was looked at.
    old_arrays : list of OldArray
        Arrays of a dataset before whose files may be left at the destination, and are not being removed yet.
    old_metadata : set of str
        Metadata of a dataset before that may be left there, too.
    """

    def __init__(
        self,
        target: Target,
        inventory: Inventory,
        journal: DigestJournal,
        marker: str,
        post: Callable[[Callable[[], None]], None],
        over: Callable[[], bool],
    ) -> None:
        self.existing: ExistingData | None = None
        self.old_arrays: list[OldArray] = []
        self.old_metadata: set[str] = set()
        self._due: list[OldArray] = []
        """Those whose files are being removed."""
        self._replacing = self._removing = False
        """Whether another dataset is to be removed from the destination; and whether something is being removed."""
        self._next_removal = 0.0
        self.target = target
        self._inventory = inventory
        self._journal = journal
        self._marker = marker
        self._post = post
        self._over = over

    @property
    def unfinished(self) -> bool:
        """Whether something is still to be removed."""
        return bool(self._removing or self._replacing or self.old_metadata or any(map(self._is_due, self.old_arrays)))

    def _is_due(self, old: OldArray) -> bool:
        """Whether what is left of an array can be removed."""
        return not old.awaited_until or old.layout.path in self._inventory.arrays

    @property
    def replaces(self) -> bool:
        """Whether another dataset lies at the destination, and is to be replaced."""
        return self._replacing

    def hand_over_to(self, following: DestinationPreparation, left: list[OldArray], metadata: Iterable[str]) -> None:
        """Pass on what is known of the destination, and what is still to be removed there.

        Parameters
        ----------
        following : DestinationPreparation
            That of the job which takes over.
        left : list of OldArray
            What the dataset that has just gone leaves, in addition to those before it.
        metadata : iterable of str
            Metadata files that it leaves.
        """
        following.existing = self.existing
        following.old_arrays = [*self.old_arrays, *self._due, *left]
        following.old_metadata = self.old_metadata.union(metadata)
        following._replacing = self._replacing

    def examine(self, done: Callable[[Reason | None], None], wait: Callable[[DestinationProblem], None]) -> None:
        """Look at the destination; `done` is told why nothing may be copied there, or None.

        While a store cannot be asked, `wait` is told why.
        """
        threading.Thread(target=self._examine, args=(done, wait), daemon=True).start()

    def _examine(self, done: Callable[[Reason | None], None], wait: Callable[[DestinationProblem], None]) -> None:
        try:
            target = self.target
            while True:
                try:
                    found = examine_destination(target.source, target.destination, target.is_folder)
                    break
                except StoreError as error:
                    if error.problem is None:
                        raise
                    self._post(partial(wait, error.problem))
                time.sleep(_STORE_AGAIN)
                if self._over():
                    return
            for earlier in reversed(self._journal.read_earlier_runs()):
                found.metadata.update(earlier.metadata())
                earlier.store.close()
        except Exception as error:
            log.exception("unexpected error while looking at %s", self.target.destination)
            sides = {"destination": str(self.target.destination), "problem": repr(error)}
            found = ExistingData(make_reason(ReasonCode.LOOK_FAILED, **sides), None, {})
        self._post(lambda: self._accept(found, done))

    def _accept(self, found: ExistingData, done: Callable[[Reason | None], None]) -> None:
        """Copy into a destination that is empty or holds a copy of this source; into any, if its user said so."""
        if self._over():
            return
        if found.conflict and not self.target.overwrite:
            done(found.conflict)
            return
        self.existing = found._replace(receipt=None) if found.conflict else found
        self._replacing = found.conflict is not None
        done(None)

    def remove_old_files_if_due(self, source: Identity | None, done: Callable[[list[Reason]], None]) -> None:
        """Remove what is to be removed, unless that is under way; `done` is told what the user should know."""
        now = time.monotonic()
        if self._removing or now < self._next_removal:
            return
        self._due = [old for old in self.old_arrays if self._is_due(old)]
        self.old_arrays = [old for old in self.old_arrays if not self._is_due(old) and now < old.awaited_until]
        if not (self._due or self._replacing or self.old_metadata):
            return
        self._removing = True
        known, here, there = KnownFiles.of(self._inventory), str(self.target.source), self.target.destination
        remover = (
            OldObjectRemover(known, here, source, there, self._over)
            if isinstance(there, StoreUrl)
            else OldFileRemover(known, here, source, str(there), self._marker, self._over)
        )
        threading.Thread(target=self._remove, args=(remover, done), daemon=True).start()

    def _remove(self, remover: OldFileRemover, done: Callable[[list[Reason]], None]) -> None:
        destination = self.target.destination
        notices, all_there = [], True
        try:
            remover.remove(self._due)
            remover.remove_metadata(list(self.old_metadata))
            if self._replacing and self.existing is not None:
                metadata = [] if self.target.is_folder else list(self.existing.metadata)
                remover.remove(map(OldArray, take_over_destination(self.target, metadata)))
                remover.remove_metadata(metadata)
                self._journal.forget_earlier_runs()
        except OSError as error:
            all_there = error.kind is None if isinstance(error, StoreError) else not isinstance(error, WrongFolder)
            if all_there:
                notices = [make_reason(ReasonCode.OLD_FILES_LEFT, destination=str(destination), problem=error.strerror)]
        except Exception:
            log.exception("unexpected error while removing files from %s", destination)
            notices = [make_reason(ReasonCode.OLD_FILES_LEFT, destination=str(destination), problem="see the log")]
        if remover.removed:
            where = str(destination)
            notices.insert(0, make_reason(ReasonCode.OLD_FILES_REMOVED, files=remover.removed, destination=where))
        self._post(lambda: self._finish_removal(all_there, notices, done))

    def _finish_removal(self, all_there: bool, notices: list[Reason], done: Callable[[list[Reason]], None]) -> None:
        self._removing = False
        if all_there:
            self._replacing = False
            self.old_metadata.clear()
        else:  # it goes on when the sides are back, or in the job of the next dataset
            self.old_arrays += self._due
            self._next_removal = time.monotonic() + _AGAIN
        self._due = []
        if all_there or notices:
            done(notices)
