"""What a pool and its copy processes say to each other: tasks one way, answers the other.

Pickled with their length before them, on pipes that only the engine which started the process can reach.
Imported by the copy processes: nothing heavy.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Sequence
from typing import IO, Any, NamedTuple

from softcopy_napari.engine.fs.destination_problem import DestinationProblem
from softcopy_napari.engine.fs.file_system_type import FileSystem
from softcopy_napari.engine.fs.free_space import FreeSpace
from softcopy_napari.engine.worker.folder_diff import FolderDiff
from softcopy_napari.engine.worker.publish_rules import PublishRules
from softcopy_napari.engine.zarr_layout.chunk_check import ChunkFormat
from softcopy_napari.engine.zarr_layout.probe import SourceProbe

Identity = tuple[int, int]
"""Device and inode of a folder."""


class Setup(NamedTuple):
    """The first message to a worker: which target it serves."""

    source: str
    destination: str
    run: str
    """Part of the names of the temporaries of all workers of this engine's run of the target."""
    temporary: str
    """Name of this worker's temporary."""
    sleep_time: float
    read_only: bool = False
    """Whether nothing at all may be changed at the destination."""
    marker: str = ""
    """Name of the file at the destination's top by which it is known; empty where nothing is written."""
    rate: float = math.inf
    """Bytes a second that this worker may copy."""
    permissions: str = "source"
    """Which ones files and folders get, as in a target's settings."""
    by_content: bool = False
    """Whether comparisons read files of equal size whose times differ: the destination keeps no times."""
    links: str = "keep"
    """Whether links out of the source are followed, as in a target's settings."""


class SetPace(NamedTuple):
    """How fast a worker may go from now on. No task: heeded at once, amid a file, and not answered."""

    rate: float
    sleep_time: float


class CopyTask(NamedTuple):
    """Bring files up to date. Answered by one CopyDone, after any number of Progress."""

    id: int
    paths: list[str]
    delete_if_gone: frozenset[str] = frozenset()
    """Those of the paths whose writer deleted them under their locks."""
    source: Identity | None = None
    """What the source is known by."""
    rules: PublishRules = PublishRules()
    unsettled: frozenset[str] = frozenset()
    """Those of the paths for which the rules' quiet time counts."""


class VerifyTask(NamedTuple):
    """Read files back from the destination. Answered by one ProofDone, after any number of Progress."""

    id: int
    paths: list[str]
    digests: bytes
    """XXH3-128 that they were copied with, 16 bytes each; zeros where it is not known."""
    against_source: bool
    """Compare those without a digest with the source; else only find their digests."""
    source: Identity | None = None
    chunk_format: ChunkFormat | None = None
    remembered: Sequence[tuple[int, bytes]] = ()
    """What earlier copies left: since when (ns), and digests, zeros where there is none. A file that has not changed
    at the destination since then is not read."""


class InspectTask(NamedTuple):
    """Look for chunk files of the source that cannot be whole, without reading them. Answered by Inspected."""

    id: int
    paths: list[str]
    chunk_format: ChunkFormat
    source: Identity | None = None


class CompareTask(NamedTuple):
    """Compare folders. Answered by lists of FolderParts, in the order of the folders."""

    id: int
    folders: list[tuple[str, int]]
    """Each with the modification time (ns) at which its content is known already, 0 where it is not:
    a folder that still has that time is not listed."""
    quiet: float
    """Seconds; files that differ and changed more recently than that are `fresh`."""
    source: Identity | None = None
    fresh_attributes: bool = False
    """Ask the server of a source on a share for what may be cached here: for the last walk."""


class ReadTask(NamedTuple):
    """Read small files of the source. Answered by ReadDone."""

    id: int
    paths: list[str]


class SweepTask(NamedTuple):
    """Remove the temporary that a worker which died may have left in these folders. Answered by Swept."""

    id: int
    folders: list[str]
    temporary: str


class SyncTask(NamedTuple):
    """Flush these files of the destination, where a flush of the whole does not reach them. Answered by Synced."""

    id: int
    paths: list[str]


class FlushTask(NamedTuple):
    """Bring everything at the destination to the disk. Answered by Flushed."""

    id: int


class ReleaseFileSystem(NamedTuple):
    """All has been flushed: do not keep the destination's file system open. No task, and not answered."""


class ProbeTask(NamedTuple):
    """Look for zarr metadata at the source. Answered by a Probe."""

    id: int
    folders: tuple[str, ...] = ()
    """Folders whose metadata are to be read besides."""
    samples: tuple[str, ...] = ()
    """Files to be compared with the destination's."""


class ReachTask(NamedTuple):
    """See whether the destination can be reached and is the right one. Answered by Reached."""

    id: int
    claim: bool
    """Make it, if need be, and mark it as the one that is filled."""


class FreeSpaceTask(NamedTuple):
    """See how much room there is on both sides. Answered by Room."""

    id: int


Task = (
    ProbeTask
    | ReachTask
    | CopyTask
    | VerifyTask
    | InspectTask
    | CompareTask
    | ReadTask
    | SweepTask
    | SyncTask
    | FlushTask
    | FreeSpaceTask
)


class CopyDone(NamedTuple):
    """What became of a CopyTask's files, in their order."""

    outcomes: bytes
    """One `Outcome` each."""
    digests: bytes
    """XXH3-128 of the regular files that arrived, 16 bytes each; 16 zero bytes for every other path."""
    size: int
    """Bytes of these files."""
    reasons: dict[int, str]
    """Why FAILED ones failed, and why TORN and DAMAGED ones cannot be whole, by their place in the task."""
    seconds: float
    obstacle: DestinationProblem | None = None
    """Why the destination took no more; the files that it did not take are BLOCKED or STOPPED."""
    lost: bool = False
    """The source is not there, or is another folder than before: all files are STOPPED."""
    versions: bytes = b""
    """Which version of the source each of them is, see `files.version_of`, 16 bytes each; zeros likewise."""
    remarks: int = 0
    """What the user should know of the destination, see `Remark`."""
    held_since: float = math.inf
    """See `HeldFileSystem.held_since`."""


class VerifyDone(NamedTuple):
    """What reading back showed of a ProofTask's files, in their order."""

    findings: bytes
    """One `Finding` each."""
    digests: bytes
    """XXH3-128 of what lies at the destination, 16 bytes each; zeros where it could not be read."""
    size: int
    """Bytes read at the destination."""
    reasons: dict[int, str]
    seconds: float
    obstacle: DestinationProblem | None = None
    lost: bool = False


class Reached(NamedTuple):
    """What is the matter with the destination; None if nothing is."""

    obstacle: DestinationProblem | None
    file_system: FileSystem = FileSystem()
    """What it lies on."""
    clock: int = 0
    """What its own clock says, see `RootFolder.read_clock`."""


class Progress(NamedTuple):
    """Bytes of large files copied since the last message; the files may still come to nothing."""

    size: int


class ReadDone(NamedTuple):
    """Contents by path; None where a file could not be read."""

    contents: dict[str, bytes | None]


class Inspected(NamedTuple):
    """Which of an InspectTask's files cannot be whole, and why; those that cannot be read are not told."""

    damaged: dict[str, str]


class Swept(NamedTuple):
    """A SweepTask is done."""


class Synced(NamedTuple):
    """A SyncTask is done: so many of its files were dealt with."""

    files: int
    failed: dict[str, str]
    """Those of which it is not known whether they are stored, and why."""
    seconds: float
    obstacle: DestinationProblem | None = None


class Flushed(NamedTuple):
    """A FlushTask is done; the error says why it failed, empty where it did not."""

    error: str
    obstacle: DestinationProblem | None = None
    """Why nothing is known: the destination was not there, before or after."""
    held_since: float = -math.inf
    """Only of what was written later an error is told for certain, see `HeldFileSystem.held_since`."""
    unsure: bool = False
    """No error was told, but one may have been missed: said by `Flushing`, not by workers."""


Answer = (
    SourceProbe
    | Reached
    | CopyDone
    | VerifyDone
    | Inspected
    | Progress
    | FolderDiff
    | ReadDone
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
