"""Frees a source: moves its files to the grace folder, each after its copy was read back and compared once more.

It may be ended by force at any moment: given again, it goes on. docs/freeing.md has the rules.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from softcopy_napari import __version__
from softcopy_napari.engine.freeing.file_proofs import FileProof, FileProver, is_same_file
from softcopy_napari.engine.freeing.free_rules import FreeOptions, FreePlan, FreeRules
from softcopy_napari.engine.freeing.grace_folder import GraceFolder, flush_folders
from softcopy_napari.engine.freeing.refusal import FreeRefused, refuse
from softcopy_napari.engine.freeing.sides import flush_copies, lock_destination, refuse_one_folder, timed_batches
from softcopy_napari.engine.fs.file_times import is_same_version
from softcopy_napari.engine.fs.relative_paths import parent
from softcopy_napari.engine.fs.root_folder import RootFolder
from softcopy_napari.engine.reasons import ReasonCode
from softcopy_napari.engine.receipt.checksum_file import ReceiptError, read_lines
from softcopy_napari.engine.receipt.freed_record import FreedRecord
from softcopy_napari.engine.receipt.receipt import SOFTWARE, Receipt
from softcopy_napari.engine.state_folder.activity import board_path
from softcopy_napari.engine.targets.build import make_target
from softcopy_napari.engine.targets.target import Settings
from softcopy_napari.engine.verify.verify import (
    Interrupted,
    Selection,
    VerifyError,
    VerifyOptions,
    VerifyReport,
    verify_receipt,
)
from softcopy_napari.engine.worker.content_checker import CheckOutcome
from softcopy_napari.engine.zarr_layout.file_names import METADATA_NAMES
from softcopy_napari.engine.zarr_layout.probe import identify_folder

_VERIFIED = "verified"
"""Event in the journal: the whole copy was read back and is as its receipt says."""


class FreeJob:
    """Frees one source.

    Parameters
    ----------
    source, destination : Path
        Absolute.
    options : FreeOptions
    """

    def __init__(self, source: Path, destination: Path, options: FreeOptions) -> None:
        self._rules = FreeRules(source, destination, options)
        self._source, self._destination, self._options = source, destination, options
        self._stopped = False

    def plan(self) -> FreePlan:
        """Ask all rules but those that need every byte to be read; changes nothing.

        Raises
        ------
        FreeRefused
            The source is not freed.
        """
        return self._rules.make_plan(*self._rules.examine(), self._check)

    def run(self, planned: bool = False) -> FreePlan:
        """Ask all rules, read the copy back, and move the files; returns what was done.

        Parameters
        ----------
        planned : bool
            Whether `plan` has just found nothing that speaks against it.

        Raises
        ------
        FreeRefused
            The source is not freed, or not any further; what was moved stays in the grace folder.
        Interrupted
            `progress` said so.
        """
        if not planned:
            self.plan()  # an engine that watches on must not be ended for nothing
        with lock_destination(self._destination), self._hold_grace_folder() as grace:
            sums, facts = self._rules.examine()
            plan = self._rules.make_plan(sums, facts, self._check)
            if not plan.files and grace.record is None:
                return plan
            refuse_one_folder(self._source, self._destination)
            receipt = facts.checksums_xxh128
            if not grace.journal.has_event(_VERIFIED, receipt=receipt):
                self._read_back(sums, facts)
                self._write_journal(grace, lambda: grace.journal.append_event(_VERIFIED, receipt=receipt))
            record = grace.record
            if record is None or record.deleted:
                record = self._make_record(sums, facts, plan)
                grace.write_record(record)
            moved = self._move_all(grace, sums, plan.files)
            files, size = grace.measure()
            if moved or not record.ended:
                ended = {"files": files, "bytes": size, "ended": time.time(), "keep_days": self._options.keep_days}
                record = record.model_copy(update=ended)
                grace.write_record(record)
            return replace(plan, files=moved, bytes=size, moved=files, until=record.until)

    def _check(self) -> None:
        if self._stopped:
            raise Interrupted

    def _report(self, what: ReasonCode, files: int, total: int) -> bool:
        self._stopped = self._stopped or not self._options.progress(what, files, total)
        return not self._stopped

    @contextlib.contextmanager
    def _hold_grace_folder(self) -> Iterator[GraceFolder]:
        with GraceFolder(self._rules.grace, self._source, make=True) as grace:
            if os.stat(grace.path).st_dev != os.stat(self._source).st_dev:
                refuse(ReasonCode.FREE_OTHER_DISK, path=str(self._source), grace=str(grace.path))
            yield grace

    def _make_record(self, sums: Path, facts: Receipt, plan: FreePlan) -> FreedRecord:
        user = ""
        with contextlib.suppress(OSError, KeyError, ImportError):  # a container's user may have no name
            user = getpass.getuser()
        return FreedRecord(
            software=f"{SOFTWARE} {__version__}",
            host=platform.node(),
            user=user,
            source=str(self._source),
            source_folder=identify_folder(str(self._source)),
            destination=str(self._destination),
            checksums=str(sums),
            checksums_xxh128=facts.checksums_xxh128,
            files=plan.files,
            bytes=plan.bytes,
            keep_days=self._options.keep_days,
            begun=time.time(),
        )

    def _read_back(self, sums: Path, facts: Receipt) -> None:
        """Compare the whole copy with its receipt, past the page cache; nothing has been moved yet."""
        faults: dict[bool, tuple[CheckOutcome, str]] = {}

        def note(kind: CheckOutcome, text: str) -> None:
            faults.setdefault(kind is CheckOutcome.EXTRA, (kind, text))

        report = VerifyReport(note)
        options = VerifyOptions(
            Selection(),
            self._options.nprocs,
            lambda: self._report(ReasonCode.READING_BACK_TO_FREE, report.files, facts.files),
        )
        try:
            verify_receipt(self._destination, sums, facts, options, report)
        except (ReceiptError, VerifyError) as error:
            refuse(ReasonCode.FREE_WITHOUT_RECEIPT, problem=str(error))
        if not report.good:
            kind, path = faults.get(False) or faults[True]
            problem = kind.name.lower()
            refuse(ReasonCode.FREE_COPY_DIFFERS, path=path, destination=str(self._destination), problem=problem)

    def _write_journal(self, grace: GraceFolder, append: Callable[[], None]) -> None:
        try:
            append()
        except OSError as error:
            refuse(ReasonCode.FREE_NO_GRACE_FOLDER, grace=str(grace.path), problem=error.strerror)

    # -- moving ---------------------------------------------------------------------------------------

    def _move_all(self, grace: GraceFolder, sums: Path, total: int) -> int:
        """Prove and move file after file; returns how many were moved."""
        here, there = RootFolder(str(self._source)), RootFolder(str(self._destination))
        moved = 0
        try:
            with FileProver(
                self._source, self._destination, self._options.nprocs, board_path(), lambda: self._stopped
            ) as prover:
                here.open(prover.identities[0])
                there.open(prover.identities[1])
                for batch in timed_batches(self._lines(sums)):
                    self._report(ReasonCode.FREEING_SOURCE, moved, total)
                    self._check()
                    flush_copies(there, [path for _, path in batch])
                    proofs = prover.prove(batch)
                    files = [proof.file for proof in proofs]
                    self._write_journal(grace, lambda files=files: grace.journal.append_files(files))  # type: ignore[misc]
                    for proof in proofs:
                        self._move(grace, proof, here, there, prover)
                        moved += 1
                    for place in (grace.files, here):
                        flush_folders(place, {parent(one.path) for one in files})
        except ReceiptError as error:
            refuse(ReasonCode.FREE_WITHOUT_RECEIPT, problem=str(error))
        except OSError as error:
            refuse(ReasonCode.FREE_UNREADABLE, path=str(error.filename or self._source), problem=error.strerror)
        finally:
            here.close()
            there.close()
        return moved

    def _lines(self, sums: Path) -> Iterator[tuple[bytes, str]]:
        """Yield what the receipt lists, zarr metadata first.

        What is half freed then does not open, and nobody takes the chunks that have been moved for empty ones.
        """
        for metadata in (True, False):
            for digest, path in read_lines(sums, self._destination):
                if (path.rpartition("/")[2] in METADATA_NAMES) is metadata:
                    yield digest, path

    def _move(
        self, grace: GraceFolder, proof: FileProof, here: RootFolder, there: RootFolder, prover: FileProver
    ) -> None:
        """Move a file, if both sides are as they were when it was proved, and back again if they are not afterwards."""
        path = proof.file.path
        proof = prover.renew_if_linked(proof)
        try:
            if not is_same_version(proof.here, here.stat(path)):
                refuse(ReasonCode.FREE_CHANGED, path=path, **self._rules.names)
            prover.refuse_changed_copy(proof, there)
            grace.move_in(path, here)
        except OSError as error:
            refuse(ReasonCode.FREE_MOVE_FAILED, path=path, grace=str(grace.path), problem=error.strerror)
        try:
            moved = grace.files.stat(path)
            is_it = is_same_file(proof.here, moved) or not moved.st_ino
            if not is_it or (moved.st_size, moved.st_mtime_ns) != (proof.file.size, proof.file.modified):
                refuse(ReasonCode.FREE_CHANGED, path=path, **self._rules.names)
            prover.refuse_changed_copy(proof, there)
        except (FreeRefused, OSError):
            with contextlib.suppress(OSError):
                grace.move_back(path, here)
            raise


def free(
    source: str | Path,
    destination: str | Path,
    keep_days: float = 7.0,
    dry_run: bool = False,
    accept_notes: bool = False,
    despite: Sequence[str] = (),
) -> FreePlan:
    """Free the source of a complete copy: move its files to a grace folder beside it.

    Every byte of the copy is read back first, which takes as long as that takes.

    Parameters
    ----------
    source, destination : str or Path
    keep_days : float
        Days for which the files are kept there.
    dry_run : bool
        Whether only to find out what would be moved.
    accept_notes : bool
        Whether notes in the receipt do not matter.
    despite : sequence of str
        Destinations or processes of other copies of the source that do not matter.

    Returns
    -------
    FreePlan
        What was moved, or would be.

    Raises
    ------
    FreeRefused
        The source is not freed, or not any further.
    TargetsError
        The paths cannot be used.
    """
    target = make_target(source, destination, Settings())
    job = FreeJob(target.source, target.folder, FreeOptions(keep_days, accept_notes, tuple(despite)))
    return job.plan() if dry_run else job.run()
