"""Which files at the destination are to be read back: to be verified, or because their checksum is not known.

Part of a target's job, and called from its thread alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from softcopy_napari.engine.checksums.receipt_digests import ReceiptDigests
from softcopy_napari.engine.checksums.saved_digests import DigestJournal, SavedDigests, are_trusted
from softcopy_napari.engine.fs.hashing import DIGEST_SIZE, LINK_DIGEST
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.inventory.tracked_files import Batch
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.worker.file_verifier import TELLS_CHANGES, VerifyOutcome
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
    """That they were copied with; zeros where it is not known."""
    remembered: list[tuple[int, bytes]]
    """Those that earlier copies left, where they are only to be found: since when, ns, and the digests."""


class ReadBackQueue:
    """Goes round all files that have arrived, until nothing is left to be proven.

    Parameters
    ----------
    inventory : Inventory
    verify : bool
        Read back every file that was copied, and compare; else only find checksums that are not known.

    Attributes
    ----------
    finishing : bool
        Whether to go round without pauses, and find checksums that are not known.
    read : int
        Files read back so far, or known without that.
    """

    def __init__(self, inventory: Inventory, verify: bool) -> None:
        self.finishing = False
        self.read = 0
        self.verify = verify
        self._receipt: ReceiptDigests | None = None
        self._keeper: DigestJournal | None = None
        self._earlier: list[SavedDigests] = []
        self._clock = 0
        """What the destination's own clock said last, ns; 0 while that is not known."""
        self._inventory = inventory
        self._round: Iterator[Batch] | None = None
        self._block: Batch | None = None
        self._out = 0
        self._found = False
        self._clean = False
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

    def start_anew(self) -> None:
        """Something was copied, or found to be there: the last round counts no longer."""
        self._clean = False

    def doubt(self) -> None:
        """What has arrived may be something else by now: from now on everything is read back and compared."""
        self.verify = True
        self._clean = False

    def take(self, limit: int, now: float) -> VerifyBatch | None:
        """Up to `limit` files to be read back; None where there are none for now."""
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
                return VerifyBatch(batch, self._digests(batch), [] if self.verify else self._remembered(batch))

    def _begin(self, now: float) -> bool:
        """Begin a round, if it is time; what is out with workers must be back, or it would be taken twice."""
        if self._out or now < self._next_round:
            return False
        self._next_round = now + (_SHORT_PAUSE if self.finishing else _PAUSE)
        if self.done or self._reads_receipt():
            return False
        self._found = False
        self._round = self._all()
        return True

    def _reads_receipt(self) -> bool:
        """Whether an earlier copy's receipt is being read, before anything is read back only to find its checksum."""
        if self.verify or self._receipt is None:
            return False
        if not self._receipt.begun and next(self._all(), None) is not None:
            self._earlier = self._keeper.earlier() if self._keeper is not None else []
            self._receipt.begin()
        return self._receipt.reading

    def remember(self, receipt: ReceiptDigests, keeper: DigestJournal) -> None:
        """Look for checksums here first: in what earlier runs left, the latest first, and in the last receipt."""
        if TELLS_CHANGES:
            self._receipt, self._keeper = receipt, keeper

    def note_clock(self, now: int) -> None:
        """Note what the destination's own clock says, see `DigestJournal.note_clock`."""
        self._clock = now or self._clock
        if self._keeper is not None:
            self._keeper.note_clock(now)

    def _remembered(self, batch: Batch) -> list[tuple[int, bytes]]:
        """What earlier runs and the last receipt say, each with the time since when it holds."""
        places: list[SavedDigests | ReceiptDigests] = [
            *self._earlier,
            *([] if self._receipt is None else [self._receipt]),
        ]
        begun = [*(run.begun for run in self._earlier), 0]
        trusted = are_trusted(self._clock, [(start, place.since) for start, place in zip(begun, places, strict=False)])
        found = [(place.since, place.digests(batch)) for place, true in zip(places, trusted, strict=True) if true]
        return [(since, digests) for since, digests in found if digests.strip(b"\0")]

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
        """Those files of a batch that have not changed since the round came by, with their paths."""
        ids = batch.ids if batch.files.epoch == batch.epoch else batch.ids[:0]
        return Batch.of(batch.files, ids[batch.files.states(ids) == ChunkState.COPIED])

    def _digests(self, batch: Batch) -> bytes:
        return batch.files.digests(self._inventory.digests, batch.ids).tobytes()

    def close(self) -> None:
        """Nothing will be proven any more."""
        if self._receipt is not None:
            self._receipt.close()
        for run in self._earlier:
            run.close()

    def give_back(self) -> None:
        """A worker died with a batch: a later round will find it."""
        self._out -= 1
        self._found = True

    def take_in(self, proof: VerifyBatch, done: VerifyDone) -> list[tuple[str, VerifyOutcome, str]]:
        """Note what reading back showed.

        Returns
        -------
        list of tuple of str, Finding and str
            Files with which something is wrong, by path, with the finding and its reason.
        """
        self._out -= 1
        batch = proof.batch
        paths = batch.paths
        now = self._digests(batch)
        odd: list[tuple[str, VerifyOutcome, str]] = []
        kept = True
        if self._all_hashed(proof, done, now):
            self.read += len(paths)
            kept = self._inventory.arrived(batch, done.digests)
            paths = []
        for number, path in enumerate(paths):
            finding = VerifyOutcome(done.findings[number])
            part = slice(number * DIGEST_SIZE, (number + 1) * DIGEST_SIZE)
            changed = now[part] != proof.digests[part] or self._inventory.state(path) is not ChunkState.COPIED
            if changed or finding is VerifyOutcome.STOPPED:
                continue
            self.read += 1
            reason = done.reasons.get(number, "")
            right = finding in (VerifyOutcome.EQUAL, VerifyOutcome.HASHED, VerifyOutcome.LINK)
            if right:
                verified = self.verify and finding is not VerifyOutcome.HASHED  # it may have been asked for since
                digest = LINK_DIGEST if finding is VerifyOutcome.LINK else done.digests[part]
                kept = self._inventory.proven(path, digest, verified) and kept
            if reason or not right:
                odd.append((path, finding, reason))
        if not kept:  # nor will be what else this round finds
            self._round = self._block = None
            self._next_round = time.monotonic() + _LONG_PAUSE
        return odd

    def _all_hashed(self, proof: VerifyBatch, done: VerifyDone, now: bytes) -> bool:
        """Whether of all files of a batch, none of which has changed, the checksum was found and no more."""
        batch = proof.batch
        return (
            batch.is_current
            and done.findings.count(VerifyOutcome.HASHED) == len(done.findings)
            and not done.reasons
            and now == proof.digests
            and bool((batch.files.states(batch.ids) == ChunkState.COPIED).all())
        )
