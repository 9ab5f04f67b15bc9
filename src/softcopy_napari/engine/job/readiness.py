"""Waits until a copy can begin: until its source is ready, then until its destination is.

Part of a target's job, and called from its thread alone.
"""

from __future__ import annotations

from collections.abc import Callable

from softcopy_napari.engine.destination.old_file_remover import list_metadata
from softcopy_napari.engine.destination.preparation import DestinationPreparation
from softcopy_napari.engine.fs.destination_problem import DestinationProblem, describe_problem
from softcopy_napari.engine.job.job_parts import JobParts
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.source.source_identity import Arrival, SourceFingerprint
from softcopy_napari.engine.worker.tasks import ProbeTask, Reached, ReachTask, Swept
from softcopy_napari.engine.zarr_layout.probe import FolderIdentity, SourceProbe

_PROBE_INTERVAL = 0.5
"""Seconds between two probes of the source."""


class Readiness:
    """Finds out whether a copy can begin: first whether the source is ready, then whether the destination is.

    Attributes
    ----------
    arrival : Arrival
        What is known of the source's arrival, or return.
    folder : Folder or None
        The source's folder.
    awaited : type or None
        The kind of answer without which nothing goes on; None where none is awaited.
    reason : Reason or None
        What is waited for; None where nothing is.
    failure : Reason or None
        Why the copy cannot begin, however long it waits; None while it may.
    """

    def __init__(self, parts: JobParts, preparation: DestinationPreparation) -> None:
        self.arrival = Arrival(parts.target.source, parts.target.is_folder)
        self.folder: FolderIdentity | None = None
        self.awaited: type[SourceProbe | DestinationPreparation | Reached | Swept] | None = None
        self.reason: Reason | None = None
        self.failure: Reason | None = None
        self._inventory, self._tracker = parts.inventory, parts.tracker
        self._dispatcher, self._pool = parts.dispatcher, parts.pool
        self._preparation = preparation
        self._next_probe = 0.0

    def probe_if_due(self, now: float) -> None:
        """Have the source probed every half second, unless an answer is awaited."""
        if now < self._next_probe or self.awaited:
            return
        self._next_probe = now + _PROBE_INTERVAL
        self.awaited = SourceProbe
        before = self.arrival.before
        folders, samples = (before.folders, before.samples) if before else ((), ())
        self._dispatcher.request(ProbeTask(self._pool.new_id(), folders, samples))

    def handle_probe(self, probe: SourceProbe, told_to_finish: bool, now: float) -> bool:
        """Note what a probe of the source has found; look at the destination if the source can be copied.

        Returns
        -------
        bool
            Whether the source was deleted and made anew, so that nothing that is known of it holds any longer.
        """
        self.awaited = None
        ready, why = self.arrival.why_not(probe, now)
        self.reason = why
        if ready and self.arrival.made_anew:
            return self._dispatcher.at_rest  # else after the next probe
        if ready:
            self._dispatcher.source, self.folder = probe.identity, probe.folder
            if self._preparation.existing is None:
                self.awaited = DestinationPreparation
                destination = str(self._preparation.target.destination)
                self.reason = make_reason(ReasonCode.CHECKING_DESTINATION, destination=destination)
                self._preparation.examine(self._handle_existing_data, self._note_problem)
            else:
                self._request_reach()
        if why is not None and (told_to_finish or self.arrival.hopeless):
            self.failure = make_reason(ReasonCode.USER_ENDED_WAITING, why=why) if told_to_finish else why
        return False

    def _handle_existing_data(self, conflict: Reason | None) -> None:
        """Have the destination reached, unless what lies there is in conflict with the source."""
        existing = self._preparation.existing
        if existing is None:
            self.failure = conflict
            return
        if self._pool.lock is None or self._pool.lock.ended_cleanly:  # else more may have been copied than is known
            self._inventory.copied_metadata.update(existing.metadata)
        self._dispatcher.replaces_metadata = self._preparation.target.overwrite
        self.reason = None
        self._request_reach()

    def _note_problem(self, problem: DestinationProblem) -> None:
        """Say why the destination cannot be looked at; that is tried again."""
        self.reason = describe_problem(problem, str(self._preparation.target.destination), 0, 0)

    def _request_reach(self) -> None:
        self.awaited = Reached
        self._dispatcher.request(ReachTask(self._pool.new_id(), claim=not self._dispatcher.destination.claimed))

    def start_copy(self, wake: Callable[[], None], now: float) -> bool:
        """Watch and walk the source, now that both sides are ready; return whether that could be started."""
        if self.awaited is not Reached:
            return False
        self.awaited = None
        if self.arrival.was_unusable:
            self._tracker.evidence.excuse_late_metadata()
        try:
            self._tracker.begin(wake, now)
        except OSError as error:
            source = str(self._tracker.source)
            self.reason = make_reason(ReasonCode.SOURCE_NOT_WATCHABLE, source=source, problem=error.strerror)
            return False
        self.reason = None
        return True

    def forget_source(self, has_receipt: bool, why: Reason, now: float) -> None:
        """Stop watching the source, give the reason, and remember how to recognise it when it comes back."""
        existing = self._preparation.existing
        complete = has_receipt or bool(existing and existing.receipt)
        self.arrival.lost(SourceFingerprint.of(self._inventory, self.folder), self._tracker.deletion, complete, now)
        self._tracker.end()
        self._inventory.writers.forget_writers()
        self.reason = why

    def hand_over_to(self, following: Readiness) -> None:
        """Pass on to the next job what is known of the destination, and which files this job leaves there."""
        left = self.arrival.leftovers(self._inventory.arrays.values())
        # What others have edited there is not known to have been the first dataset's.
        metadata = list_metadata(self._inventory).difference(self._inventory.kept) if left else ()
        self._preparation.hand_over_to(following._preparation, left, metadata)
        following._dispatcher.replaces_metadata = self._dispatcher.replaces_metadata
        following._dispatcher.destination.claimed = self._dispatcher.destination.claimed
