"""Checks that nothing is on one side only, and then writes the receipt of a copy, in a thread of its own.

Part of a target's job, and called from its thread alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from softcopy_napari.engine.checksums.digest_journal import DigestJournal
from softcopy_napari.engine.destination.final_verdict import FinalVerdict, judge_findings
from softcopy_napari.engine.destination.orphaned_files import OrphanedFiles
from softcopy_napari.engine.fs.permissions import mode_beside
from softcopy_napari.engine.job.job_parts import JobParts
from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.receipt.files_beside_store import FilesBesideStore
from softcopy_napari.engine.receipt.receipt import Receipt
from softcopy_napari.engine.receipt.receipt_builder import ReceiptBuilder
from softcopy_napari.engine.targets.store_url import StoreUrl
from softcopy_napari.engine.wording import describe
from softcopy_napari.engine.zarr_layout.probe import FolderIdentity


class Signer:
    """Writes the receipt of a copy whose files have been checked."""

    def __init__(self, parts: JobParts, journal: DigestJournal) -> None:
        self._orphaned: OrphanedFiles
        """Which files copies have brought to the destination, as of the last walk."""
        self._parts, self._journal = parts, journal
        self._inventory, self._tracker, self._notice = parts.inventory, parts.tracker, parts.reporter.notice

    def check_end(self) -> FinalVerdict:
        """Return whether the copy may end now that all files of the source are at the destination, or why it fails."""
        for path, failure in self._inventory.kept.items():
            if failure is not None:
                return FinalVerdict(failure, (), 0, 0)
            self._notice(make_reason(ReasonCode.EDITED_AT_DESTINATION, path=path))
        self._inventory.writers.mark_open_at_the_end()
        for folder, reason in self._tracker.metadata.unreadable().items():
            self._notice(make_reason(ReasonCode.COPIED_AS_PLAIN_FILES, folder=folder, problem=reason))
        last = self._tracker.last_full
        assert last is not None  # else it would have to be walked first
        runs = self._journal.read_earlier_runs()
        self._orphaned = OrphanedFiles(
            last,
            self._inventory,
            runs,
            self._tracker.metadata.missing_nodes(),
            self._parts.target.is_folder,
            self._tracker.held_back.manifest.names,
        )
        for run in runs:
            run.store.close()
        return judge_findings(self._orphaned.findings())

    def start_writing(
        self,
        snapshot: TargetSnapshot,
        why_finished: str,
        folder: FolderIdentity | None,
        done: Callable[[Reason | None, FinalVerdict], None],
    ) -> None:
        """Write the receipt in a thread of its own.

        Parameters
        ----------
        snapshot : TargetSnapshot
            The state of the copy.
        why_finished : str
            Why the acquisition is finished.
        folder : FolderIdentity or None
            The source's folder.
        done : callable
            Called in the job's thread with the reason why the receipt could not be written, or None, and
            with what was found at the end.
        """
        builder = ReceiptBuilder(self._inventory)
        size = self._tracker.last_full.size if self._tracker.last_full else 0
        receipt = builder.describe(self._parts.target, snapshot, why_finished, size, self._orphaned.missing_nodes)
        kept = tuple(self._inventory.kept)
        receipt = receipt.model_copy(update={"source_folder": folder, "kept_files": kept})
        threading.Thread(target=self._sign, args=(builder, receipt, self._orphaned, done), daemon=True).start()

    def _sign(
        self,
        builder: ReceiptBuilder,
        receipt: Receipt,
        orphaned: OrphanedFiles,
        done: Callable[[Reason | None, FinalVerdict], None],
    ) -> None:
        """Run in the thread: ten million lines take a while, and the destination's disk may hang."""
        target = self._parts.target
        problem, files = None, None
        destination = target.destination
        if isinstance(destination, StoreUrl):
            files = FilesBesideStore(destination)
            destination = files.destination
            try:
                files.fetch_receipts()
            except OSError as error:
                problem = make_reason(
                    ReasonCode.RECEIPT_FAILED, destination=str(target.destination), problem=error.strerror
                )
        orphaned.search_receipt(destination)
        verdict = judge_findings(orphaned.findings())
        if verdict.failure is None and problem is None:
            whole = receipt.model_copy(update={"notes": (*receipt.notes, *map(describe, verdict.notes))})
            if files is not None:
                problem = builder.write_to_store(files, self._parts.marker, whole)
            else:
                mode = mode_beside(target.permissions, target.source, destination)
                problem = builder.write(destination, self._parts.marker, whole, mode, target.group_id)
        self._parts.post(lambda: done(problem, verdict))
