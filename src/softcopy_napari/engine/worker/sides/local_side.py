"""A local folder as a destination: on a disk or on a share, with the C library or without."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from softcopy_napari.engine.fs.destination_problem import DestinationProblem, ProblemKind, diagnose_problem
from softcopy_napari.engine.fs.file_system_type import FileSystem
from softcopy_napari.engine.fs.free_space import FreeSpace, measure_both_sides
from softcopy_napari.engine.fs.held_file_system import HeldFileSystem, flush_files
from softcopy_napari.engine.fs.permissions import heeds_umask
from softcopy_napari.engine.fs.root_folder import UTIME_ON_FD, RootFolder
from softcopy_napari.engine.worker.content_checker import ContentChecker
from softcopy_napari.engine.worker.copy_outcome import CopyResult
from softcopy_napari.engine.worker.file_copier import FileCopier
from softcopy_napari.engine.worker.folder_batch import FolderBatch
from softcopy_napari.engine.worker.folder_comparer import FolderComparer
from softcopy_napari.engine.worker.folder_diff import FolderDiff
from softcopy_napari.engine.worker.native import change_times, files_at_a_time, flush_together
from softcopy_napari.engine.worker.read_back import read_back
from softcopy_napari.engine.worker.sides.destination_side import WorkerControl
from softcopy_napari.engine.worker.tasks import CompareTask, CopyTask, Listed, Setup, VerifyDone, VerifyTask
from softcopy_napari.engine.zarr_layout.probe import SourceProbe, add_evidence


class LocalSide:
    """A `DestinationSide` that is a folder.

    Parameters
    ----------
    setup : Setup
    source : RootFolder
        The source, which the caller opens and closes.
    control : WorkerControl
    """

    def __init__(self, setup: Setup, source: RootFolder, control: WorkerControl) -> None:
        self._setup, self._control = setup, control
        self._comparer = FolderComparer(
            setup.source, setup.destination, setup.run, setup.read_only, setup.temporary, setup.links, setup.by_content,
            setup.finish_marker,
        )  # fmt: skip
        self._destination = RootFolder(setup.destination, setup.permissions, setup.group, source)
        if not heeds_umask(setup.permissions):
            os.umask(0)
        self._file_system = HeldFileSystem()
        self._copier = FileCopier(
            source, self._destination, setup.temporary, control.should_stop, control.note_copied_block
        )
        self._checker = ContentChecker(source, self._destination, self._copier.buffer, control.note_read_block)

    @property
    def file_system(self) -> FileSystem:
        return self._file_system.file_system

    @property
    def held_since(self) -> float:
        return self._file_system.held_since

    @property
    def remarks(self) -> int:
        return self._copier.remarks

    @property
    def at_a_time(self) -> int:
        return files_at_a_time(self._copier.native, self._copier.at_a_time)

    @property
    def left_unflushed(self) -> bool:
        return self._copier.left_unflushed

    def open(self, claim: bool = False, to_write: bool = False) -> DestinationProblem | None:
        marker = self._setup.marker
        try:
            if claim:
                self._destination.claim(marker)
            self._destination.open(marker=marker)
            if self._file_system.detect_replacement(self._destination):
                return DestinationProblem(ProblemKind.GONE, "it was taken away and is back", away=True)
            if to_write:
                self._file_system.keep_open(self._destination)
        except OSError as error:
            obstacle = diagnose_problem(error, self._destination.root)
            if obstacle.away:
                self._file_system.release()  # so that its user can unmount it
            return obstacle
        return None

    def close(self) -> None:
        self._destination.close()

    def read_clock(self) -> int:
        return self._destination.read_clock(self._setup.marker)

    def diagnose(self, error: OSError) -> DestinationProblem:
        return diagnose_problem(error, self._setup.destination)

    def list_everything(self) -> Iterator[Listed]:
        yield Listed(final=True)  # folders are listed as they are compared

    def compare_folders(self, task: CompareTask) -> Iterator[FolderDiff | FolderBatch]:
        return self._comparer.compare_folders(
            task.folders, task.quiet, task.source, self._setup.marker, task.fresh_attributes, task.flush
        )

    def add_evidence(self, found: SourceProbe, folders: Iterable[str], samples: Iterable[str]) -> None:
        add_evidence(found, self._setup.source, self._setup.destination, folders, samples)

    def copy_files(self, task: CopyTask, together: bool) -> Iterator[CopyResult]:
        lies_on = self.file_system
        self._copier.begin_batch(lies_on.is_share, flush=lies_on.is_share and not lies_on.flushed_whole and UTIME_ON_FD)
        return self._copier.copy_files(task.paths, task.delete_if_gone, task.rules, task.unsettled, together)

    def read_back(self, task: VerifyTask) -> VerifyDone:
        self._checker.capabilities = self._destination.get_capabilities(self._setup.temporary)
        times = partial(change_times, self._copier.native, self._destination.fd)
        control = self._control
        return read_back(self._checker, task, lambda: control.should_stop() or control.is_overdue(), times)

    def remove_temporaries(self, folders: Sequence[str], temporary: str) -> None:
        for folder in folders:
            self._copier.remove_temporaries(folder, temporary)

    def flush_files(
        self, paths: Sequence[str], go_on: Callable[[], bool], folders_only: bool = False
    ) -> tuple[int, dict[str, str]]:
        together = flush_together(self._copier.native, self._destination.fd, self._copier.at_a_time)
        return flush_files(self._destination, paths, go_on, together, folders_only)

    def flush(self) -> str:
        return self._file_system.flush(self._destination)

    def release(self) -> None:
        self._file_system.release()

    def measure_free_space(self) -> FreeSpace:
        return measure_both_sides(self._setup.source, self._setup.destination)
