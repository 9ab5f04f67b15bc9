"""Waits until a copy can begin: for its source, for a look at what lies at its destination, and for that to be there.

Part of a target's job, and called from its one thread.
"""

from __future__ import annotations

from collections.abc import Callable

from softcopy_napari.engine.destination.takeover import Takeover
from softcopy_napari.engine.dispatch.dispatcher import Dispatcher
from softcopy_napari.engine.dispatch.worker_pool import WorkerPool
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.source.source_identity import Arrival, SourceFingerprint
from softcopy_napari.engine.source.source_tracker import SourceTracker
from softcopy_napari.engine.worker.tasks import ProbeTask, Reached, ReachTask, Swept
from softcopy_napari.engine.zarr_layout.probe import Folder, Probe

_PROBE_INTERVAL = 0.5
"""Seconds between looks whether the source is there."""


class Readiness:
    """Finds out, one after the other, whether source and destination are ready.

    Parameters
    ----------
    inventory : Inventory
    survey : SourceTracker
    dispatcher : Dispatcher
    pool : WorkerPool
    takeover : Takeover
        Looks at what lies at the destination.
    waits : callable
        Tells whether the job still waits.
    say : callable
        Takes what is waited for, in words for users.
    fail : callable
        Takes why it is waited for in vain.

    Attributes
    ----------
    arrival : Arrival
        Of the source.
    folder : Folder or None
        The source's folder.
    awaited : type or None
        The answer that decides how it goes on while there is nothing to copy.
    """

    def __init__(
        self,
        inventory: Inventory,
        survey: SourceTracker,
        dispatcher: Dispatcher,
        pool: WorkerPool,
        takeover: Takeover,
        waits: Callable[[], bool],
        say: Callable[[str], None],
        fail: Callable[[str], None],
    ) -> None:
        self.arrival = Arrival(survey.source)
        self.folder: Folder | None = None
        self.awaited: type[Probe | Takeover | Reached | Swept] | None = None
        self._inventory = inventory
        self._survey = survey
        self._dispatcher = dispatcher
        self._pool = pool
        self._takeover = takeover
        self._waits = waits
        self._say = say
        self._fail = fail
        self._next_probe = 0.0

    def probe_if_due(self, now: float) -> None:
        """Now and then, see whether the source is there, unless an answer is awaited."""
        if now < self._next_probe or self.awaited:
            return
        self._next_probe = now + _PROBE_INTERVAL
        self.awaited = Probe
        before = self.arrival.before
        folders, samples = (before.folders, before.samples) if before else ((), ())
        self._dispatcher.request(ProbeTask(self._pool.new_id(), folders, samples))

    def take_probe(self, probe: Probe, told_to_finish: bool, now: float) -> bool:
        """Take in a look at the source, and look at the destination if that can be copied.

        Returns
        -------
        bool
            Whether it was deleted and made anew: then nothing that is known holds for what lies there.
        """
        self.awaited = None
        reason = self.arrival.why_not(probe, now)
        self._say(reason or "")
        if reason == "" and self.arrival.made_anew:
            return self._dispatcher.at_rest  # else at the next look
        if reason == "":
            self._dispatcher.source, self.folder = probe.identity, probe.folder
            if self._takeover.occupant is None:
                self.awaited = Takeover
                self._say(f"looking at what lies at {self._takeover.target.destination}")
                self._takeover.look(self._take_occupant)
            else:
                self._reach()
        if reason and (told_to_finish or self.arrival.hopeless):
            told = ", and you said that the acquisition is finished" if told_to_finish else ""
            self._fail(f"{reason}{told}")
        return False

    def _take_occupant(self, conflict: str) -> None:
        """Go on once it is known that what lies at the destination may be written to."""
        if not self._waits():
            return  # it was stopped
        occupant = self._takeover.occupant
        if occupant is None:
            self._fail(conflict)
            return
        if self._pool.lock is None or self._pool.lock.all_was_noted:  # else more may have been copied than is known
            self._inventory.copied_metadata.update(occupant.metadata)
        self._dispatcher.replaces_metadata = self._takeover.target.overwrite
        self._say("")
        self._reach()

    def _reach(self) -> None:
        self.awaited = Reached
        self._dispatcher.request(ReachTask(self._pool.new_id(), claim=not self._dispatcher.destination.claimed))

    def begin(self, wake: Callable[[], None], now: float) -> bool:
        """Watch and walk the source, which is there, as is the destination; returns whether it can be copied now."""
        if self.awaited is not Reached:
            return False
        self.awaited = None
        if self.arrival.was_unusable:
            self._survey.evidence.excuse_late_metadata()
        try:
            self._survey.begin(wake, now)
        except OSError as error:
            self._say(f"{self._survey.source} cannot be watched: {error.strerror}")
            return False
        return True

    def forget_source(self, has_receipt: bool, why: str, now: float) -> None:
        """Watch the source no longer, say why, and remember by what it is known again."""
        occupant = self._takeover.occupant
        complete = has_receipt or bool(occupant and occupant.receipt)
        self.arrival.lost(SourceFingerprint.of(self._inventory, self.folder), self._survey.deletion, complete, now)
        self._survey.end()
        self._inventory.writers.forget()
        self._say(why)

    def hand_over(self, following: Readiness) -> None:
        """Let another job know what is known of the destination, and what this one leaves there."""
        following._takeover.occupant = self._takeover.occupant
        following._takeover.leftovers = self.arrival.leftovers(self._inventory.arrays.values())
        following._dispatcher.replaces_metadata = self._dispatcher.replaces_metadata
        following._dispatcher.destination.claimed = self._dispatcher.destination.claimed
