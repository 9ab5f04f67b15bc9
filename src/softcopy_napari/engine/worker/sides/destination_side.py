"""What a copy worker asks of a destination, whatever that is: a local folder, or a prefix in an object store.

Each method that touches the destination raises nothing for what the world does: it returns, or yields, what came of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from softcopy_napari.engine.fs.destination_problem import DestinationProblem
from softcopy_napari.engine.fs.file_system_type import FileSystem
from softcopy_napari.engine.fs.free_space import FreeSpace
from softcopy_napari.engine.worker.copy_outcome import CopyResult
from softcopy_napari.engine.worker.folder_batch import FolderBatch
from softcopy_napari.engine.worker.folder_diff import FolderDiff

if TYPE_CHECKING:
    from softcopy_napari.engine.worker.tasks import CompareTask, CopyTask, Listed, VerifyDone, VerifyTask
    from softcopy_napari.engine.zarr_layout.probe import SourceProbe


class WorkerControl(NamedTuple):
    """What a side tells its worker, and asks it, while it is at work."""

    should_stop: Callable[[], bool]
    """Whether to end at once."""
    note_copied_block: Callable[[int], None]
    """Called with the bytes of each block of a large file that was read to be copied; waits for the pace."""
    note_read_block: Callable[[int], bool]
    """Called with the bytes of each block that was read back; waits for the pace, and returns whether to go on."""
    is_overdue: Callable[[], bool]
    """Whether the rest of a task should go back to the engine."""


class DestinationSide(Protocol):
    """One target's destination, as a copy worker sees it."""

    @property
    def file_system(self) -> FileSystem:
        """What it lies on."""

    @property
    def held_since(self) -> float:
        """Since when its errors are told to this worker, see `HeldFileSystem.held_since`."""

    @property
    def remarks(self) -> int:
        """What the user should know of it, see `Remark`; of the last batch of files."""

    @property
    def at_a_time(self) -> int:
        """How many small files are worth having under way at a time."""

    @property
    def left_unflushed(self) -> bool:
        """Whether a file of the last batch was published that has not been flushed."""

    def open(self, claim: bool = False, to_write: bool = False) -> DestinationProblem | None:
        """Open it before a task, or make and mark it (`claim`); return what is wrong with it."""

    def close(self) -> None:
        """Let go of it after a task."""

    def read_clock(self) -> int:
        """Read its own clock, see `RootFolder.read_clock`; 0 where it has none."""

    def diagnose(self, error: OSError) -> DestinationProblem:
        """Find out what an error of it means for all files."""

    def list_everything(self) -> Iterator[Listed]:
        """Learn all that it holds, before a walk over every folder; needs no `open`."""

    def compare_folders(self, task: CompareTask) -> Iterator[FolderDiff | FolderBatch]:
        """Compare folders of the source with it, see `FolderComparer.compare_folders`; opens both sides itself."""

    def add_evidence(self, found: SourceProbe, folders: Iterable[str], samples: Iterable[str]) -> None:
        """Add to a probe of the source what `probe.add_evidence` does."""

    def copy_files(self, task: CopyTask, together: bool) -> Iterator[CopyResult]:
        """Bring files up to date: the outcome for each path, in their order.

        Each is published at once or not at all, and only what was whole at the source (see file_copier.py). `together`
        says whether several may be under way at a time.
        """

    def read_back(self, task: VerifyTask) -> VerifyDone:
        """Read files back, see `read_back`."""

    def remove_temporaries(self, folders: Sequence[str], temporary: str) -> None:
        """Remove what a worker that died may have left in these folders."""

    def flush_files(
        self, paths: Sequence[str], go_on: Callable[[], bool], folders_only: bool = False
    ) -> tuple[int, dict[str, str]]:
        """Flush files one by one, or only the folders that they lie in.

        Returns how many were handled, and those that may not be stored.
        """

    def flush(self) -> str:
        """Flush everything; return what the system says of why that failed, or an empty text."""

    def release(self) -> None:
        """Let go of what was held open for the sake of a flush."""

    def measure_free_space(self) -> FreeSpace:
        """Measure the free space on both sides."""
