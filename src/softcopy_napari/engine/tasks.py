"""What a pool and its copy processes say to each other: tasks one way, answers the other.

Pickled with their length before them, on pipes that only the engine which started the process can reach.
Imported by the copy processes: nothing heavy.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any, BinaryIO

from softcopy_napari.engine.compare import FolderPart
from softcopy_napari.engine.probe import Probe


@dataclass(frozen=True, slots=True)
class Setup:
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


@dataclass(frozen=True, slots=True)
class CopyTask:
    """Bring files up to date. Answered by one CopyDone, after any number of Progress."""

    id: int
    paths: list[str]
    delete_if_gone: frozenset[str] = frozenset()
    """Those of the paths whose writer deleted them under their locks."""


@dataclass(frozen=True, slots=True)
class CompareTask:
    """Compare folders. Answered by FolderParts, in the order of the folders."""

    id: int
    folders: list[tuple[str, int]]
    """Each with the modification time (ns) at which its content is known already, 0 where it is not:
    a folder that still has that time is not listed."""
    quiet: float
    """Seconds; files that differ and changed more recently than that are `fresh`."""


@dataclass(frozen=True, slots=True)
class ReadTask:
    """Read small files of the source. Answered by ReadDone."""

    id: int
    paths: list[str]


@dataclass(frozen=True, slots=True)
class SweepTask:
    """Remove the temporary that a worker which died may have left in these folders. Answered by Swept."""

    id: int
    folders: list[str]
    temporary: str


@dataclass(frozen=True, slots=True)
class FlushTask:
    """Bring everything at the destination to the disk. Answered by Flushed."""

    id: int


@dataclass(frozen=True, slots=True)
class ProbeTask:
    """Look for zarr metadata at the source. Answered by a Probe."""

    id: int


Task = ProbeTask | CopyTask | CompareTask | ReadTask | SweepTask | FlushTask


@dataclass(frozen=True, slots=True)
class CopyDone:
    """What became of a CopyTask's files, in their order."""

    outcomes: bytes
    """One `Outcome` each."""
    digests: bytes
    """XXH3-128 of the COPIED regular files, 16 bytes each; 16 zero bytes for every other path."""
    size: int
    """Bytes of the COPIED files."""
    reasons: dict[int, str]
    """Why FAILED ones failed, by their place in the task."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Progress:
    """Bytes of large files copied since the last message; the files may still come to nothing."""

    size: int


@dataclass(frozen=True, slots=True)
class ReadDone:
    """Contents by path; None where a file could not be read."""

    contents: dict[str, bytes | None]


@dataclass(frozen=True, slots=True)
class Swept:
    """A SweepTask is done."""


@dataclass(frozen=True, slots=True)
class Flushed:
    """A FlushTask is done; the error says why it failed, empty where it did not."""

    error: str


Answer = Probe | CopyDone | Progress | FolderPart | ReadDone | Swept | Flushed


def write_message(stream: BinaryIO, message: object) -> None:
    """Write one message and flush it."""
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    stream.write(len(data).to_bytes(4, "little") + data)
    stream.flush()


def read_message(stream: BinaryIO) -> Any:
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
