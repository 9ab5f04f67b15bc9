"""A prefix in an object store as a destination."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence

from softcopy_napari.engine.fs.capabilities import Remark
from softcopy_napari.engine.fs.destination_problem import DestinationProblem, ProblemKind
from softcopy_napari.engine.fs.file_system_type import FileSystem
from softcopy_napari.engine.fs.free_space import FreeSpace, measure_both_sides
from softcopy_napari.engine.fs.root_folder import RootFolder
from softcopy_napari.engine.object_store.manifest_object import read_manifest
from softcopy_napari.engine.object_store.object_manifest import ObjectManifest
from softcopy_napari.engine.object_store.store_connection import StoreConnection
from softcopy_napari.engine.object_store.store_errors import StoreError
from softcopy_napari.engine.targets.store_url import StoreUrl
from softcopy_napari.engine.worker.content_checker import ContentChecker
from softcopy_napari.engine.worker.copy_outcome import CopyResult
from softcopy_napari.engine.worker.file_streams import BUFFER_SIZE
from softcopy_napari.engine.worker.folder_batch import FolderBatch
from softcopy_napari.engine.worker.folder_diff import FolderDiff
from softcopy_napari.engine.worker.sides.destination_side import WorkerControl
from softcopy_napari.engine.worker.sides.store_checker import StoreChecker
from softcopy_napari.engine.worker.sides.store_comparer import StoreComparer
from softcopy_napari.engine.worker.sides.store_copier import StoreCopier
from softcopy_napari.engine.worker.tasks import CompareTask, CopyTask, Listed, Setup, VerifyDone, VerifyTask
from softcopy_napari.engine.zarr_layout.probe import SourceProbe, read_metadata


class StoreSide:
    """A `DestinationSide` that is an object store.

    Parameters
    ----------
    setup : Setup
    source : RootFolder
        The source, which the caller opens and closes.
    control : WorkerControl
    """

    file_system = FileSystem("object store", stored_at_once=True)
    held_since = -1.0e18
    """Errors are told with each request."""

    def __init__(self, setup: Setup, source: RootFolder, control: WorkerControl) -> None:
        self._setup, self._source, self._control = setup, source, control
        self._url = StoreUrl.parse(setup.destination)
        self._store = StoreConnection(self._url)
        self._manifest = ObjectManifest(setup.manifest)
        self._comparer = StoreComparer(setup, self._manifest)
        self._copier = StoreCopier(
            source, self._store, self._manifest, control.should_stop, control.note_copied_block, setup.overwrite,
            setup.verify,
        )  # fmt: skip
        self._checker = StoreChecker(self._store, self._manifest, control.note_read_block)
        buffer = memoryview(bytearray(BUFFER_SIZE))
        self._source_checker = ContentChecker(None, source, buffer, control.note_read_block)
        self._refused: DestinationProblem | None = None

    @property
    def remarks(self) -> int:
        return self._copier.remarks | Remark.NO_TIMES

    @property
    def at_a_time(self) -> int:
        return self._copier.at_a_time

    @property
    def left_unflushed(self) -> bool:
        return False  # what was answered is stored

    def open(self, claim: bool = False, to_write: bool = False) -> DestinationProblem | None:
        if not claim and self._refused is None:
            return None  # each request tells
        try:
            self._store.check_access(
                f".softcopy-{self._setup.run}{os.getpid()}.tmp", write=claim and not self._setup.read_only
            )
        except OSError as error:
            self._refused = self.diagnose(error)
            return self._refused
        self._refused = None
        return None

    def close(self) -> None:
        pass

    def read_clock(self) -> int:
        return 0

    def diagnose(self, error: OSError) -> DestinationProblem:
        problem = error.problem if isinstance(error, StoreError) else None
        self._refused = problem or DestinationProblem(ProblemKind.GONE, error.strerror or str(error))
        return self._refused

    def list_everything(self) -> Iterator[Listed]:
        count = 0
        try:
            if not self._manifest.is_listed:  # never on this computer: another one may have filled it
                read_manifest(self._store, self._manifest)
            number = self._manifest.begin_listing()
            for page in self._store.list():
                self._manifest.note_listed(number, page)
                count += len(page)
                yield Listed(count)
                if self._control.should_stop():
                    return
        except OSError as error:
            yield Listed(count, final=True, obstacle=self.diagnose(error))
            return
        self._manifest.end_listing(number)
        yield Listed(count, final=True)

    def compare_folders(self, task: CompareTask) -> Iterator[FolderDiff | FolderBatch]:
        return self._comparer.compare_folders(
            task.folders, task.quiet, task.source, fresh_attributes=task.fresh_attributes
        )

    def add_evidence(self, found: SourceProbe, folders: Iterable[str], samples: Iterable[str]) -> None:
        root = self._source.root
        for folder in folders:
            if folder not in found.nodes and (metadata := read_metadata(root, folder)):
                found.nodes[folder] = metadata
        paths = list(samples)
        known = self._manifest.find_paths(paths)
        for path in paths:
            try:
                here = os.stat(self._source.path(path), follow_symlinks=False)
            except OSError:
                continue
            found.samples += 1
            copy = known.get(path)
            found.equal += copy is not None and copy.is_copy_of(here.st_size, here.st_mtime_ns)

    def copy_files(self, task: CopyTask, together: bool) -> Iterator[CopyResult]:
        return self._copier.copy_files(task)

    def read_back(self, task: VerifyTask) -> VerifyDone:
        control = self._control
        done, problem = self._checker.read_back(
            task, self._source_checker, lambda: control.should_stop() or control.is_overdue()
        )
        self._refused = problem or self._refused
        return done._replace(obstacle=problem)

    def remove_temporaries(self, folders: Sequence[str], temporary: str) -> None:
        pass  # a request that ends early leaves nothing

    def flush_files(
        self, paths: Sequence[str], go_on: Callable[[], bool], folders_only: bool = False
    ) -> tuple[int, dict[str, str]]:
        return len(paths), {}

    def flush(self) -> str:
        return ""

    def release(self) -> None:
        pass

    def measure_free_space(self) -> FreeSpace:
        return measure_both_sides(self._setup.source, "")._replace(destination_free=-1, destination_device=0)
