"""Judges whether a copy is whole at its end, and writes its receipt in a thread of its own.

Part of a target's job, and called from its one thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from softcopy_napari.engine.checksums.saved_digests import DigestJournal
from softcopy_napari.engine.destination.brought_files import BroughtFiles
from softcopy_napari.engine.destination.end_findings import EndVerdict, judge_end
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.receipt.receipt import Receipt
from softcopy_napari.engine.receipt.receipt_builder import ReceiptBuilder
from softcopy_napari.engine.source.source_tracker import SourceTracker
from softcopy_napari.engine.targets.target import Target
from softcopy_napari.engine.zarr_layout.probe import Folder

_REPLACE = "--overwrite replaces it"


class Signer:
    """Signs a copy: no receipt says that it is whole before that has been judged.

    Parameters
    ----------
    target : Target
    marker : str
        Name of the file by which the destination is known again.
    inventory : Inventory
    survey : SourceTracker
    keeper : DigestJournal
        Knows what earlier runs have brought.
    notice : callable
        Takes what the target's user should know.
    post : callable
        Has something called in the job's thread.
    """

    def __init__(
        self,
        target: Target,
        marker: str,
        inventory: Inventory,
        survey: SourceTracker,
        keeper: DigestJournal,
        notice: Callable[[str], None],
        post: Callable[[Callable[[], None]], None],
    ) -> None:
        self._brought: BroughtFiles
        """Which files copies have brought to the destination, as of the last walk."""
        self._target = target
        self._marker = marker
        self._inventory = inventory
        self._survey = survey
        self._keeper = keeper
        self._notice = notice
        self._post = post

    def judge(self) -> EndVerdict:
        """Judge whether all that is at the source is all there is, when everything of that has been copied."""
        for path, also in self._inventory.kept.items():
            if also:
                both = f"{path} was changed at the destination {also} since it was copied. The destination's was kept"
                return EndVerdict(f"{both}; {_REPLACE}", (), 0, 0)
            self._notice(f"{path} was changed at the destination since it was copied; kept. {_REPLACE}")
        self._inventory.writers.mark_open_at_the_end()
        for folder, reason in self._survey.metadata.unreadable().items():
            self._notice(f"metadata of {folder} {reason}; what lies there was copied as plain files")
        last = self._survey.last_full
        assert last is not None  # else it would have to be walked first
        earlier = self._keeper.earlier()
        self._brought = BroughtFiles(last, self._inventory, earlier, self._survey.metadata.missing_nodes())
        for run in earlier:
            run.close()
        return judge_end(self._brought.found())

    def begin(
        self,
        snapshot: TargetSnapshot,
        why_finished: str,
        folder: Folder | None,
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
        size = self._survey.last_full.size if self._survey.last_full else 0
        receipt = account.receipt(self._target, snapshot, why_finished, size, self._brought.missing_nodes)
        kept = tuple(self._inventory.kept)
        receipt = receipt.model_copy(update={"source_folder": folder, "kept_files": kept})
        threading.Thread(target=self._sign, args=(account, receipt, self._brought, done), daemon=True).start()

    def _sign(
        self, account: ReceiptBuilder, receipt: Receipt, brought: BroughtFiles, done: Callable[[str, EndVerdict], None]
    ) -> None:
        """In a thread of its own: ten million lines take a while, and the destination's disk may hang."""
        brought.look_into_receipt(self._target.destination)
        verdict = judge_end(brought.found())
        problem = ""
        if not verdict.failure:
            whole = receipt.model_copy(update={"notes": (*receipt.notes, *verdict.notes)})
            problem = account.sign(self._target.destination, self._marker, whole, self._target.permissions)
        self._post(lambda: done(problem, verdict))
