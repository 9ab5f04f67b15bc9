"""Whether a source may be freed, and what that would move: all rules but those that need every byte to be read."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.formatting import CountedNames
from softcopy_napari.engine.freeing.other_targets import refuse_if_needed
from softcopy_napari.engine.freeing.refusal import refuse
from softcopy_napari.engine.freeing.source_scan import (
    SourceScanner,
    read_listed,
    refuse_if_names_clash,
)
from softcopy_napari.engine.fs.file_system_type import identify_file_system
from softcopy_napari.engine.fs.root_folder import RootFolder
from softcopy_napari.engine.reasons import ReasonCode
from softcopy_napari.engine.receipt.checksum_file import ReceiptError
from softcopy_napari.engine.receipt.freed_record import DAY, grace_folder_of, is_folder_of, read_record
from softcopy_napari.engine.receipt.receipt import Receipt, find_unchanged_receipt
from softcopy_napari.engine.targets.build import make_target
from softcopy_napari.engine.targets.target import Settings
from softcopy_napari.engine.zarr_layout.probe import identify_folder

_NAMED = 5
"""Doubts and notes of a receipt that are named at most."""


@dataclass(frozen=True, slots=True)
class FreeOptions:
    """How a source is freed.

    Parameters
    ----------
    keep_days : float
        Days for which its files are kept in the grace folder once all have been moved.
    accept_notes : bool
        Whether notes in the receipt, and chunk files that are damaged at the source, do not matter.
    despite : tuple of str
        Processes and destinations of other copies that do not matter.
    nprocs : int
        How many files are read at a time.
    progress : callable
        Called with what is done, how many files it is done with and how many there are; returns false to stop.
    """

    keep_days: float = 7.0
    accept_notes: bool = False
    despite: tuple[str, ...] = ()
    nprocs: int = 4
    progress: Callable[[ReasonCode, int, int], bool] = lambda what, files, total: True


@dataclass(frozen=True, slots=True)
class FreePlan:
    """What freeing a source would do, or has done.

    Attributes
    ----------
    grace : Path
        The grace folder.
    files, bytes : int
        What is to be moved, or was moved by this run.
    left : CountedNames
        What stays at the source: links, and what a system made.
    moved : int
        Files that are in the grace folder already, or now.
    until : float
        Unix time until which they are kept, if all were moved now.
    checksums : Path
        The checksum file of the receipt.
    """

    source: Path
    destination: Path
    grace: Path
    checksums: Path
    files: int
    bytes: int
    left: CountedNames
    moved: int
    until: float


class FreeRules:
    """The rules by which one source is freed.

    Parameters
    ----------
    source, destination : Path
        Absolute.
    options : FreeOptions

    Attributes
    ----------
    grace : Path
        The grace folder, which may not be there yet.
    names : dict of str to str
        `source`, `destination` and `grace`, for messages.
    """

    def __init__(self, source: Path, destination: Path, options: FreeOptions) -> None:
        self.source, self.destination, self.options = source, destination, options
        self.grace = grace_folder_of(source)
        self.names = {"source": str(source), "destination": str(destination), "grace": str(self.grace)}

    def examine(self) -> tuple[Path, Receipt]:
        """Return the checksum file and the receipt, if nothing that is known without a long look speaks against it.

        Raises
        ------
        FreeRefused
        """
        try:
            make_target(self.source, self.destination, Settings())
        except TargetsError as error:
            refuse(ReasonCode.TEXT, text=str(error))
        for side, folder in (("source", self.source), ("destination", self.destination)):
            if not folder.is_dir():
                refuse(ReasonCode.TEXT, text=f"{side} {folder} is not a folder: check the path")
        if self.destination.resolve().is_relative_to(self.grace):
            refuse(ReasonCode.FREE_SAME_FOLDER, source=str(self.grace), destination=str(self.destination))
        record = read_record(self.grace)
        if record is not None and not record.deleted:
            if not is_folder_of(record, self.source):
                refuse(ReasonCode.FREE_GRACE_TAKEN, grace=str(self.grace), source=str(self.source))
            if record.destination != str(self.destination):
                refuse(ReasonCode.FREE_OTHER_DESTINATION, source=str(self.source), other=record.destination)
        if program := identify_file_system(str(self.destination)).uploader:
            refuse(ReasonCode.FREE_UPLOADS_LATER, destination=str(self.destination), program=program)
        sums, facts = self._read_receipt()
        refuse_if_needed(self.source, self.destination, self.options.despite)
        return sums, facts

    def _read_receipt(self) -> tuple[Path, Receipt]:
        try:
            sums, facts = find_unchanged_receipt(self.destination)
        except ReceiptError as error:
            refuse(ReasonCode.FREE_WITHOUT_RECEIPT, problem=str(error))
        if facts is None or not facts.checksums_xxh128:
            refuse(
                ReasonCode.FREE_WITHOUT_RECEIPT,
                problem=f"nothing beside {sums} shows whether it has been changed",
            )
        folder = identify_folder(str(self.source))
        if folder is not None and facts.source_folder is not None:
            is_ours = folder == facts.source_folder
        else:
            is_ours = os.path.realpath(facts.source) == os.path.realpath(self.source)
        if not is_ours:
            refuse(ReasonCode.FREE_OTHER_SOURCE, other=facts.source, **self.names)
        doubts = [*facts.failures, *(f"{path} was open or locked at the end" for path in facts.open_files.first)]
        doubts += [f"{path} was edited at the destination" for path in facts.kept_files]
        if doubts:
            refuse(ReasonCode.FREE_DOUBTS, problem="; ".join(doubts[:_NAMED]), **self.names)
        notes = [
            *facts.damaged_files.first,
            *(f"{path} never came" for path in facts.missing_images.first),
            *facts.notes,
        ]
        if notes and not self.options.accept_notes:
            refuse(ReasonCode.FREE_NOTES, problem="; ".join(notes[:_NAMED]), **self.names)
        return sums, facts

    def make_plan(self, sums: Path, facts: Receipt, check: Callable[[], None]) -> FreePlan:
        """Look through the source, and return what would be moved; `check` raises where this is to stop.

        Raises
        ------
        FreeRefused
        """
        try:
            refuse_if_names_clash(sums, self.destination)
            listed = read_listed(sums, self.destination, check)
            record = read_record(self.grace)
            resumed = record is not None and not record.deleted
            place = RootFolder(str(self.source))
            place.open()
            try:
                device = os.stat(self.grace if resumed else self.grace.parent).st_dev
                if os.stat(self.source).st_dev != device:
                    refuse(ReasonCode.FREE_OTHER_DISK, path=str(self.source), grace=str(self.grace))
                found = SourceScanner(place, listed, device, resumed, check).scan(self.names)
            finally:
                place.close()
        except OSError as error:
            refuse(ReasonCode.FREE_UNREADABLE, path=str(error.filename or self.source), problem=error.strerror)
        except ReceiptError as error:
            refuse(ReasonCode.FREE_WITHOUT_RECEIPT, problem=str(error))
        moved = max(0, facts.files - found.files) if resumed else 0
        until = time.time() + self.options.keep_days * DAY
        return FreePlan(
            self.source, self.destination, self.grace, sums, found.files, found.bytes, found.left, moved, until
        )
