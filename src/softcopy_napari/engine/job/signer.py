"""Judges whether a copy is whole at its end, and writes its receipt in a thread of its own.

Part of a target's job, and called from its one thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from softcopy_napari.engine.checksums.saved_digests import DigestJournal
from softcopy_napari.engine.destination.brought_files import BroughtFiles
from softcopy_napari.engine.destination.end_findings import EndVerdict, judge_end
from softcopy_napari.engine.job.job_parts import JobParts
from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.receipt.receipt import Receipt
from softcopy_napari.engine.receipt.receipt_builder import ReceiptBuilder
from softcopy_napari.engine.zarr_layout.probe import FolderIdentity

_REPLACE = "--overwrite replaces it"


class Signer:
    """Signs a copy: no receipt says that it is whole before that has been judged.

    Parameters
    ----------
    parts : JobParts
    journal : DigestJournal
        Knows what earlier runs have copied.
    """

    def __init__(self, parts: JobParts, journal: DigestJournal) -> None:
        self._brought: BroughtFiles
        """Which files copies have brought to the destination, as of the last walk."""
        self._parts, self._journal = parts, journal
        self._inventory, self._tracker, self._notice = parts.inventory, parts.tracker, parts.reporter.notice

    def judge(self) -> EndVerdict:
        """Judge whether all that is at the source is all there is, when everything of that has been copied."""
        for path, also in self._inventory.kept.items():
            if also:
                both = f"{path} was changed at the destination {also} since it was copied. The destination's was kept"
                return EndVerdict(f"{both}; {_REPLACE}", (), 0, 0)
            self._notice(f"{path} was changed at the destination since it was copied; kept. {_REPLACE}")
        self._inventory.writers.mark_open_at_the_end()
        for folder, reason in self._tracker.metadata.unreadable().items():
            self._notice(f"metadata of {folder} {reason}; what lies there was copied as plain files")
        last = self._tracker.last_full
        assert last is not None  # else it would have to be walked first
        earlier = self._journal.earlier()
        self._brought = BroughtFiles(last, self._inventory, earlier, self._tracker.metadata.missing_nodes())
        for run in earlier:
            run.close()
        return judge_end(self._brought.found())

    def begin(
        self,
        snapshot: TargetSnapshot,
        why_finished: str,
        folder: FolderIdentity | None,
        done: Callable[[str, EndVerdict], None],
    ) -> None:
        """Begin to write the receipt.

        Parameters
        ----------
        snapshot : TargetSnapshot
            What the copy has come to.
        why_finished : str
        folder : Folder or None
            The source's.
        done : callable
            Told why the receipt could not be written, else an empty text; and how the copy ends after all.
        """
        account = ReceiptBuilder(self._inventory)
        size = self._tracker.last_full.size if self._tracker.last_full else 0
        receipt = account.receipt(self._parts.target, snapshot, why_finished, size, self._brought.missing_nodes)
        kept = tuple(self._inventory.kept)
        receipt = receipt.model_copy(update={"source_folder": folder, "kept_files": kept})
        threading.Thread(target=self._sign, args=(account, receipt, self._brought, done), daemon=True).start()

    def _sign(
        self, account: ReceiptBuilder, receipt: Receipt, brought: BroughtFiles, done: Callable[[str, EndVerdict], None]
    ) -> None:
        """In a thread of its own: ten million lines take a while, and the destination's disk may hang."""
        target = self._parts.target
        brought.look_into_receipt(target.destination)
        verdict = judge_end(brought.found())
        problem = ""
        if not verdict.failure:
            whole = receipt.model_copy(update={"notes": (*receipt.notes, *verdict.notes)})
            problem = account.sign(target.destination, self._parts.marker, whole, target.permissions)
        self._parts.post(lambda: done(problem, verdict))
