"""Run files, which tell front ends how to reach an engine, or how one ended; and which processes still run."""

from __future__ import annotations

import contextlib
import os
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import psutil
from pydantic import AfterValidator, Field

from softcopy_napari.engine.fs.atomic_write import write_atomically
from softcopy_napari.engine.protocol.connection import is_address
from softcopy_napari.engine.protocol.message import Message
from softcopy_napari.engine.protocol.messages import EngineSnapshot
from softcopy_napari.engine.state_folder.folder import read_regular_file, runs_folder

CLOCK_ERROR = 2.0
"""Seconds by which the start of one process may seem to differ: systems count it from when they were started."""
_MAX_SIZE = 1 << 28
"""Bytes of a run file at most; the last snapshot may be of several hundred thousand arrays."""


def _is_address(text: str) -> str:
    if not is_address(text):
        raise ValueError("is no address of an engine")
    return text


class RunFile(Message):
    """How to reach a running engine, or how an ended one ended."""

    pid: Annotated[int, Field(gt=0, lt=1 << 31)]
    process_started: Annotated[float, Field(ge=0, lt=1e11)]
    """Tells the engine's process from a later one with the same pid."""
    address: Annotated[str, AfterValidator(_is_address)]
    """The address of its local connection."""
    key: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """The secret, in hexadecimal, that a front end must know to be let in."""
    last: EngineSnapshot | None = None
    """The last snapshot, once the engine has ended."""

    def alive(self) -> bool:
        """Return whether the engine is still running."""
        return self.last is None and is_running(self.pid, self.process_started)

    def path(self) -> Path:
        """Return the path of the file."""
        return runs_folder() / self.name

    @property
    def name(self) -> str:
        """Name of the file."""
        return f"{self.pid}-{int(self.process_started)}.json"

    def write(self) -> None:
        """Write the file atomically, readable by its user only."""
        path = self.path()
        write_atomically(path, self.model_dump_json().encode(), path.with_suffix(".tmp"), flush=False, mode=0o600)


def is_running(pid: int, started: float) -> bool:
    """Return whether the process that began at this time (`psutil`'s `create_time`) is still running."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) < CLOCK_ERROR and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def own_start_time() -> float:
    """Return when this process began, as `is_running` takes it; asked once: later no descriptor may be left for it."""
    return _start_of(os.getpid())


@lru_cache
def _start_of(pid: int) -> float:
    return psutil.Process(pid).create_time()


def read_run(path: Path) -> RunFile:
    """Read a run file.

    Raises
    ------
    OSError, ValueError
        It cannot be read, or is no run file.
    """
    run = RunFile.model_validate_json(read_regular_file(path, _MAX_SIZE))
    if run.name != path.name:
        raise ValueError("it is another engine's")
    return run


def run_files() -> list[RunFile]:
    """Return all readable run files, of running and ended engines, oldest first."""
    found = []
    for path in sorted(runs_folder().glob("*.json")):
        with contextlib.suppress(OSError, ValueError):
            found.append(read_run(path))
    return sorted(found, key=lambda run: run.process_started)
