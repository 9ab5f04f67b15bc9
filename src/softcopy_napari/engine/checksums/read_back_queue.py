"""Which files at the destination are to be read back, to be verified or because their digest is not known?

Part of a target's job, and called from its thread alone.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from softcopy_napari.engine.checksums.digest_journal import DigestJournal
from softcopy_napari.engine.checksums.known_digests import KnownDigests, are_trusted
from softcopy_napari.engine.checksums.receipt_reader import ReceiptReader
from softcopy_napari.engine.fs.hashing import DIGEST_SIZE, LINK_DIGEST
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.inventory.tracked_files import Batch
from softcopy_napari.engine.reasons import Reason
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.worker.content_checker import TELLS_CHANGES, CheckOutcome
from softcopy_napari.engine.worker.folder_diff import NEVER
from softcopy_napari.engine.worker.tasks import VerifyDone

_PAUSE = 1.0
"""Seconds between rounds while copying goes on."""
_SHORT_PAUSE = 0.05
_LONG_PAUSE = 10.0
"""Seconds between rounds while what they find cannot be kept."""


@dataclass(frozen=True, slots=True)
class VerifyBatch:
    """Files for one worker to read back."""

    batch: Batch
    digests: bytes
    """Digests that they were copied with; zeros where they are not known."""
    known: list[tuple[int, bytes]]
    """Digests that are known from earlier runs, where they are only to be found: since when, ns, and the digests."""


class ReadBackQueue:
    """Goes round all files that have arrived, until all are read back that have to be.

    Attributes
    ----------
    finishing : bool
        Whether to go round without pauses, and find checksums that are not known.
    read : int
        Files read back so far, or known without that.
    newest_change : int
        Latest change time of a file at the destination, as of a walk after which nothing was copied, by the
        destination's clock, ns; NEVER where that is not known.
    """

    def __init__(self, inventory: Inventory, verify: bool) -> None:
        self.finishing = False
        self.read = 0
        self.newest_change = NEVER
        self.verify = verify
        self._receipt: ReceiptReader | None = None
        self._journal: DigestJournal | None = None
        self._known: list[KnownDigests] = []
        """What earlier runs left, the latest first, and what the last receipt lists."""
        self._clock = 0
        """What the destination's own clock said last, ns; 0 while that is not known."""
        self._inventory = inventory
        self._round: Iterator[Batch] | None = None
        self._block: Batch | None = None
        self._out = 0
        """Batches that workers have."""
        self._found = False
        """Whether this round has found files to read back."""
        self._clean = False
        """Whether the last round found none, and nothing has arrived since."""
        self._next_round = 0.0

    @property
    def done(self) -> bool:
        """Whether there is nothing left to be read back."""
        if self._out:
            return False
        if self.verify:
            return not self._inventory.count_in(ChunkState.COPIED)
        return self._clean

    @property
    def wanted(self) -> bool:
        """Whether anything is to be read back just now."""
        return self.verify or self.finishing

    def start_over(self) -> None:
        """Go round once more: something was copied, or found to be there."""
        self._clean = False

    def verify_all(self) -> None:
        """Read everything back from now on, and compare it: what has arrived may be something else by now."""
        self.verify = True
        self._clean = False

    def take_batch(self, limit: int, now: float) -> VerifyBatch | None:
        """Return up to `limit` files to read back, or None where there are none for now."""
        while True:
            if self._block is None:
                if self._round is None and not self._begin(now):
                    return None
                assert self._round is not None
                self._block = next(self._round, None)
                if self._block is None:
                    self._round = None
                    self._clean = not self._found
                    return None
            batch, self._block = self._block.split(limit)
            batch = self._still_copied(batch)
            if batch.paths:
                self._found = True
                self._out += 1
                return VerifyBatch(batch, self._digests(batch), [] if self.verify else self._known_digests(batch))

    def _begin(self, now: float) -> bool:
        """Begin a round, if it is time; what is out with workers must be back, or it would be taken twice."""
        if self._out or now < self._next_round:
            return False
        self._next_round = now + (_SHORT_PAUSE if self.finishing else _PAUSE)
        if self.done or self._reads_receipt():
            return False
        self._recall_all()
        self._found = False
        self._round = self._all()
        return True

    def _reads_receipt(self) -> bool:
        """Whether an earlier copy's receipt is being read, before anything is read back only to find its checksum."""
        if self.verify or self._receipt is None:
            return False
        if not self._receipt.begun and next(self._all(), None) is not None:
            self._known = [
                *(self._journal.read_earlier_runs() if self._journal is not None else []),
                self._receipt.known,
            ]
            self._receipt.begin()
        return self._receipt.reading

    def _recall_all(self) -> None:
        """Use what the last receipt lists for all files at once, if none has changed since; damage it would name."""
        if self._receipt is None or self.verify or not self._receipt.known.whole:
            return
        known = self._receipt.known
        if known not in self._trusted() or self.newest_change >= known.since:
            return
        for batch in self._all():
            found = np.frombuffer(known.digests(batch), np.uint8).reshape(-1, DIGEST_SIZE)
            listed = found.any(axis=1)
            recalled = Batch.of(batch.files, batch.ids[listed], with_paths=False)
            if len(recalled.ids) and self._inventory.note_digests(recalled, found[listed].tobytes()):
                self.read += len(recalled.ids)

    def use_known_digests(self, journal: DigestJournal, receipt: ReceiptReader) -> None:
        """Look for digests in what earlier runs left and in the last receipt, before files are read back."""
        if TELLS_CHANGES:
            self._journal, self._receipt = journal, receipt

    def note_clock(self, now: int) -> None:
        """Note what the destination's own clock says, see `DigestJournal.note_clock`."""
        self._clock = now or self._clock
        if self._journal is not None:
            self._journal.note_clock(now)

    def _known_digests(self, batch: Batch) -> list[tuple[int, bytes]]:
        """Return what earlier runs and the last receipt say, each with the time until which that is known to hold."""
        found = [(known.since, known.digests(batch)) for known in self._trusted()]
        return [(since, digests) for since, digests in found if digests.strip(b"\0")]

    def _trusted(self) -> list[KnownDigests]:
        """Return those of the known digests that can be believed of files that have not changed since."""
        trusted = are_trusted(self._clock, [(known.begun, known.since) for known in self._known])
        return list(itertools.compress(self._known, trusted))

    def _all(self) -> Iterator[Batch]:
        inventory = self._inventory
        for files in inventory.all_files:
            epoch = files.epoch
            for ids in files.blocks_in(ChunkState.COPIED):
                if files.epoch != epoch:
                    break  # an array was resized: the next round will see
                if not self.verify:
                    ids = ids[~files.digests(inventory.digests, ids).any(axis=1)]
                if len(ids):
                    yield Batch.of(files, ids, with_paths=False)

    def _still_copied(self, batch: Batch) -> Batch:
        """Return the files of a batch that have not changed since the round came by, with their paths."""
        ids = batch.ids if batch.files.epoch == batch.epoch else batch.ids[:0]
        return Batch.of(batch.files, ids[batch.files.states(ids) == ChunkState.COPIED])

    def _digests(self, batch: Batch) -> bytes:
        return batch.files.digests(self._inventory.digests, batch.ids).tobytes()

    def close(self) -> None:
        """Stop reading the receipt, and let go of what is known from earlier runs."""
        if self._receipt is not None:
            self._receipt.close()
        for known in self._known:
            known.store.close()

    def return_batch(self) -> None:
        """Note that a worker died with a batch: a later round will find its files."""
        self._out -= 1
        self._found = True

    def add_results(self, handed_out: VerifyBatch, done: VerifyDone) -> list[tuple[str, CheckOutcome, Reason | None]]:
        """Note what reading back showed.

        Returns
        -------
        list of tuple of str, CheckOutcome and Reason or None
            Files with which something is wrong, by path, with what checking them showed and the reason.
        """
        self._out -= 1
        batch = handed_out.batch
        paths = batch.paths
        now = self._digests(batch)
        odd: list[tuple[str, CheckOutcome, Reason | None]] = []
        kept = True
        if self._all_hashed(handed_out, done, now):
            self.read += len(paths)
            kept = self._inventory.note_digests(batch, done.digests)
            paths = []
        for number, path in enumerate(paths):
            outcome = CheckOutcome(done.outcomes[number])
            part = slice(number * DIGEST_SIZE, (number + 1) * DIGEST_SIZE)
            changed = now[part] != handed_out.digests[part] or self._inventory.state(path) is not ChunkState.COPIED
            if changed or outcome is CheckOutcome.STOPPED:
                continue
            self.read += 1
            reason = done.reasons.get(number)
            right = outcome in (CheckOutcome.EQUAL, CheckOutcome.HASHED, CheckOutcome.LINK)
            if right:
                verified = self.verify and outcome is not CheckOutcome.HASHED  # it may have been asked for since
                digest = LINK_DIGEST if outcome is CheckOutcome.LINK else done.digests[part]
                kept = self._inventory.note_checked(path, digest, verified) and kept
            if reason or not right:
                odd.append((path, outcome, reason))
        if not kept:  # nor will be what else this round finds
            self._round = self._block = None
            self._next_round = time.monotonic() + _LONG_PAUSE
        return odd

    def _all_hashed(self, handed_out: VerifyBatch, done: VerifyDone, now: bytes) -> bool:
        """Whether of all files of a batch, none of which has changed, the checksum was found and no more."""
        batch = handed_out.batch
        return (
            batch.is_current
            and done.outcomes.count(CheckOutcome.HASHED) == len(done.outcomes)
            and not done.reasons
            and now == handed_out.digests
            and bool((batch.files.states(batch.ids) == ChunkState.COPIED).all())
        )
