"""The messages between a worker pool and its copy processes: tasks one way, answers the other.

They are pickled, with their length in front, on pipes that only the engine that started the process can reach.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Sequence
from typing import IO, Any, NamedTuple

from softcopy_napari.engine.fs.destination_problem import DestinationProblem
from softcopy_napari.engine.fs.file_system_type import FileSystem
from softcopy_napari.engine.fs.free_space import FreeSpace
from softcopy_napari.engine.reasons import Reason
from softcopy_napari.engine.worker.folder_batch import FolderBatch
from softcopy_napari.engine.worker.folder_diff import FolderDiff
from softcopy_napari.engine.worker.publish_rules import PublishRules
from softcopy_napari.engine.zarr_layout.chunk_check import ChunkFormat
from softcopy_napari.engine.zarr_layout.file_names import MARKER
from softcopy_napari.engine.zarr_layout.probe import SourceProbe

Identity = tuple[int, int]
"""Device and inode of a folder."""


class Setup(NamedTuple):
    """The first message to a worker: which target it serves."""

    source: str
    destination: str
    run: str
    """What the names of all temporaries of this run of the target contain."""
    temporary: str
    """Name of this worker's temporary."""
    sleep_time: float
    read_only: bool = False
    """Whether nothing may be changed at the destination."""
    marker: str = ""
    """Name of the file at the destination's top that identifies it; empty if nothing is written there."""
    rate: float = math.inf
    """Most bytes a second that this worker may copy."""
    permissions: str = "folder"
    """The target's setting `permissions`."""
    group: int = -1
    """The group of new files and folders; -1 for the usual one."""
    by_content: bool = False
    """Whether comparisons read files of equal size whose times differ, because the destination keeps no times."""
    links: str = "keep"
    """The target's setting `links`."""
    finish_marker: str = MARKER
    """The target's setting `marker`."""
    any_files: bool = False
    """Whether the source is a folder of any files: no metadata are looked for."""
    board: str = ""
    """The file of the activity board; empty where there is none."""
    effort: float = 1.0
    """How much is done while a writer is at work, see pause_gate.py."""
    manifest: str = ""
    """Where it is noted what an object store holds, see object_manifest.py; empty where the destination is a folder."""
    overwrite: bool = False
    """The target's setting `overwrite`: objects of other writers are replaced."""
    verify: bool = False
    """Whether what is copied will be read back: then as much as may be known without that is found out."""


class SetPace(NamedTuple):
    """Sets a worker's pace. It is not a task: it takes effect at once, even during a file, and is not answered."""

    rate: float
    sleep_time: float
    effort: float = 1.0


class CopyTask(NamedTuple):
    """Bring files up to date. Answered by one CopyDone, after any number of Progress."""

    id: int
    paths: list[str]
    delete_if_gone: frozenset[str] = frozenset()
    """Those of the paths that their writer deleted under their locks."""
    source: Identity | None = None
    """What the source must be."""
    rules: PublishRules = PublishRules()
    unsettled: frozenset[str] = frozenset()
    """Those of the paths to which the rules' quiet time applies."""


class VerifyTask(NamedTuple):
    """Read files back from the destination. Answered by one VerifyDone, after any number of Progress."""

    id: int
    paths: list[str]
    digests: bytes
    """XXH3-128 of what was copied, 16 bytes a file; zeros where it is not known."""
    against_source: bool
    """Compare those without a digest with the source; else only find their digests."""
    source: Identity | None = None
    chunk_format: ChunkFormat | None = None
    known: Sequence[tuple[int, bytes]] = ()
    """Digests from earlier copies, each with the time (ns) since when they hold; zeros where there is none. A file that
    has not changed at the destination since then is not read."""


class InspectTask(NamedTuple):
    """Look for chunk files of the source that cannot be whole, without reading them. Answered by Inspected."""

    id: int
    paths: list[str]
    chunk_format: ChunkFormat
    source: Identity | None = None


class CompareTask(NamedTuple):
    """Compare folders. Answered by lists of FolderDiffs and FolderBatches, in the order of the folders."""

    id: int
    folders: list[tuple[str, int]]
    """The folders, each with the modification time (ns) at which its content is known already, 0, or ALL_BELOW. A
    folder that still has that time is not listed."""
    quiet: float
    """Files that differ and changed within this many seconds are `fresh`."""
    source: Identity | None = None
    fresh_attributes: bool = False
    """On the last walk, make a share's server send sizes and times again, which may be cached here."""
    flush: bool = False
    """Flush the destination's folders."""


class ListTask(NamedTuple):
    """Learn all that an object store holds of the destination. Answered by any number of Listed."""

    id: int


class ReadTask(NamedTuple):
    """Read small files of the source. Answered by ReadDone."""

    id: int
    paths: list[str]


class TailTask(NamedTuple):
    """Read what was appended to a file of the source. Answered by TailDone."""

    id: int
    path: str
    offset: int
    """Where to begin."""


class SweepTask(NamedTuple):
    """Remove the temporary that a dead worker may have left in these folders. Answered by Swept."""

    id: int
    folders: list[str]
    temporary: str


class SyncTask(NamedTuple):
    """Flush these files of the destination, which a flush of the file system does not reach. Answered by Synced."""

    id: int
    paths: list[str]
    folders_only: bool = False
    """Flush the folders that they lie in: they themselves have been flushed."""


class FlushTask(NamedTuple):
    """Flush everything at the destination to storage. Answered by Flushed."""

    id: int


class ReleaseFileSystem(NamedTuple):
    """Says that everything is flushed, so that the destination's file system need not stay open. Not answered."""


class ProbeTask(NamedTuple):
    """Look for zarr metadata at the source. Answered by a Probe."""

    id: int
    folders: tuple[str, ...] = ()
    """More folders whose metadata are read."""
    samples: tuple[str, ...] = ()
    """Files that are compared with the destination's."""


class ReachTask(NamedTuple):
    """Check whether the destination can be reached and is the right one. Answered by Reached."""

    id: int
    claim: bool
    """Make the destination, if need be, and the marker in it."""


class FreeSpaceTask(NamedTuple):
    """Measure the free space on both sides. Answered by FreeSpace."""

    id: int


Task = (
    ProbeTask
    | ReachTask
    | CopyTask
    | VerifyTask
    | InspectTask
    | CompareTask
    | ListTask
    | ReadTask
    | TailTask
    | SweepTask
    | SyncTask
    | FlushTask
    | FreeSpaceTask
)

BULK_TASKS = (CopyTask, VerifyTask, InspectTask)
"""Tasks that read data: what a cluster is for."""


class CopyDone(NamedTuple):
    """The outcome of a CopyTask for each of its files, in their order."""

    outcomes: bytes
    """One `CopyOutcome` a file."""
    digests: bytes
    """XXH3-128 of each regular file that was copied, 16 bytes a file; zeros for all others."""
    size: int
    """Total bytes of the copied files."""
    reasons: dict[int, Reason]
    """Why files are FAILED, TORN or DAMAGED, or KEPT although the source's was changed, by their place in the task."""
    seconds: float
    """Time that the task took."""
    obstacle: DestinationProblem | None = None
    """Why the destination takes no more files; those that are left are BLOCKED or STOPPED."""
    lost: bool = False
    """Whether the source is missing or is another folder than before; then all files are STOPPED."""
    versions: bytes = b""
    """The source's version of each copied file (see `file_times.pack_version`), 16 bytes a file; zeros for others."""
    remarks: int = 0
    """What the user should know about the destination, see `Remark`."""
    held_since: float = math.inf
    """See `HeldFileSystem.held_since`."""
    at_a_time: int = 1
    """How many small files are worth having under way at a time, by what calls of the destination take."""
    flushed: bool = False
    """Whether each file that was published had been flushed; the folders that name them have not."""


class VerifyDone(NamedTuple):
    """The outcome of a VerifyTask for each of its files, in their order."""

    outcomes: bytes
    """One `CheckOutcome` a file."""
    digests: bytes
    """XXH3-128 of each file at the destination, 16 bytes a file; zeros where it could not be read."""
    size: int
    """Total bytes read at the destination."""
    reasons: dict[int, Reason]
    """Why files are CHANGED, UNREADABLE or damaged, by their place in the task."""
    seconds: float = 0.0
    """Time that the task took."""
    obstacle: DestinationProblem | None = None
    """Why the destination could not be read."""
    lost: bool = False
    """Whether the source is missing or is another folder than before."""


class Reached(NamedTuple):
    """What a ReachTask found out about the destination."""

    obstacle: DestinationProblem | None
    """What is wrong with it; None if nothing is."""
    file_system: FileSystem = FileSystem()
    """The file system that it lies on."""
    clock: int = 0
    """Its own clock, see `RootFolder.read_clock`."""


class Listed(NamedTuple):
    """Says how far a ListTask is."""

    objects: int = 0
    """Objects listed so far."""
    final: bool = False
    """Whether it is done."""
    obstacle: DestinationProblem | None = None
    """Why it could not be done to the end."""


class Progress(NamedTuple):
    """Bytes of large files copied since the last message; these files may still fail."""

    size: int


class ReadDone(NamedTuple):
    """Contents of a ReadTask's files by path; None where a file could not be read."""

    contents: dict[str, bytes | None]


class Inspected(NamedTuple):
    """Which of an InspectTask's files are damaged, and why; files that cannot be read are left out."""

    damaged: dict[str, Reason]


class TailDone(NamedTuple):
    """What a file holds from the task's offset on, or the first part of that."""

    data: bytes = b""
    size: int = 0
    """The whole file's size."""
    modified: int = 0
    """When it was written last, ns."""
    identity: Identity | None = None
    """Its device and inode; None where it cannot be read."""


class Swept(NamedTuple):
    """Says that a SweepTask is done."""


class Synced(NamedTuple):
    """The outcome of a SyncTask."""

    files: int
    """How many of its files were handled."""
    failed: dict[str, str]
    """Those that may not be stored, and what the system says of them."""
    seconds: float
    """Time that the task took."""
    obstacle: DestinationProblem | None = None
    """What is wrong with the destination, if files failed."""


class Flushed(NamedTuple):
    """The outcome of a FlushTask."""

    error: str
    """What the system says of why it failed; empty if it did not."""
    obstacle: DestinationProblem | None = None
    """Why nothing is known: what was wrong with the destination before or after the flush."""
    held_since: float = -math.inf
    """Errors of what was written earlier may have been missed, see `HeldFileSystem.held_since`."""
    unsure: bool = False
    """Whether an error may have been missed; set by the engine's flush scheduler, not by workers."""


Answer = (
    SourceProbe
    | Reached
    | CopyDone
    | VerifyDone
    | Inspected
    | Progress
    | FolderDiff
    | FolderBatch
    | Listed
    | ReadDone
    | TailDone
    | Swept
    | Synced
    | Flushed
    | FreeSpace
)


def write_message(stream: IO[bytes], message: object) -> None:
    """Write one message and flush it."""
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    rest = memoryview(len(data).to_bytes(4, "little") + data)
    while rest:  # an unbuffered stream may take a part
        rest = rest[stream.write(rest) :]
    stream.flush()


def read_message(stream: IO[bytes]) -> Any:
    """Read one message.

    Raises
    ------
    EOFError
        The other side has gone.
    """
    head = stream.read(4)
    if len(head) < 4:
        raise EOFError
    size = int.from_bytes(head, "little")
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return pickle.loads(data)
