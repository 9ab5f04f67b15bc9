"""What is done with both sides before anything is moved or deleted: locked, told apart, flushed, taken in batches."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from softcopy_napari.engine.client import end_watch
from softcopy_napari.engine.freeing.file_proofs import is_same_file
from softcopy_napari.engine.freeing.refusal import refuse
from softcopy_napari.engine.freeing.source_scan import PROBE
from softcopy_napari.engine.fs.held_file_system import flush_files
from softcopy_napari.engine.fs.own_files import TEMPORARY_SUFFIX
from softcopy_napari.engine.fs.root_folder import RootFolder
from softcopy_napari.engine.fs.statx import refresh_attributes
from softcopy_napari.engine.reasons import ReasonCode
from softcopy_napari.engine.state_folder.destination_lock import DestinationBusy, DestinationLock

_LARGEST = 256
"""Files in a batch at most."""
_LONGEST = 0.5
"""Seconds after which the next batch is smaller: no file is moved or deleted long after it was read."""
_Item = TypeVar("_Item")


@contextlib.contextmanager
def lock_destination(destination: Path) -> Iterator[None]:
    """Keep engines off a destination; one that only watches on, its copy complete, gives way.

    Raises
    ------
    FreeRefused
        An engine, or another `softcopy free`, is at work there.
    """
    try:
        lock = DestinationLock(destination, "freed", lambda pid: end_watch(pid, destination))
    except DestinationBusy as error:
        refuse(ReasonCode.TEXT, text=str(error))
    try:
        yield
    finally:
        lock.release()


def refuse_one_folder(folder: Path, destination: Path) -> None:
    """Put a file into a folder, and see whether the destination has it: then both are one, whatever mounts say.

    Raises
    ------
    FreeRefused
    """
    names = {"source": str(folder), "destination": str(destination)}
    here, there = os.stat(folder), os.stat(destination)
    if is_same_file(here, there):
        refuse(ReasonCode.FREE_SAME_FOLDER, **names)
    for left in os.listdir(folder):
        if left.startswith(PROBE):
            (folder / left).unlink(missing_ok=True)
    name = f"{PROBE}{os.urandom(8).hex()}{TEMPORARY_SUFFIX}"
    probe = folder / name
    try:
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        refresh_attributes(str(destination / name))
        seen = os.path.lexists(destination / name)
    except OSError as error:
        refuse(ReasonCode.FREE_MOVE_FAILED, path=str(folder), grace=str(destination), problem=error.strerror)
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)
            os.utime(folder, ns=(here.st_atime_ns, here.st_mtime_ns))
    if seen:
        refuse(ReasonCode.FREE_SAME_FOLDER, **names)


def flush_copies(there: RootFolder, paths: Sequence[str]) -> None:
    """Have copies stored before they are read back: what is only in memory proves nothing.

    Raises
    ------
    FreeRefused
    """
    _, failed = flush_files(there, paths, lambda: True)
    for path, problem in failed.items():
        refuse(ReasonCode.FREE_NOT_FLUSHED, path=path, destination=there.root, problem=problem)


def timed_batches(items: Iterator[_Item]) -> Iterator[list[_Item]]:
    """Yield items together, as many as take half a second."""
    size = 1
    while batch := list(itertools.islice(items, size)):
        began = time.monotonic()
        yield batch
        size = min(size * 2, _LARGEST) if time.monotonic() - began < _LONGEST else max(1, size // 2)
