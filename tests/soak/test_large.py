"""Datasets as large as they come: all arrives, and the engine and its workers stay small."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from softcopy_napari.engine.client import start
from softcopy_napari.engine.states import ChunkState, TargetState
from tests.engine.support import make_layout, zarray

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs a file system in memory, and /proc")

MEMORY = Path("/dev/shm")
LARGEST = 100 * 10**6, 4, 250
"""Bytes of an engine, and in addition for each chunk file (docs/dev/benchmarks.md: 10 million are under 140 MB) and for
each folder, whose path, watch and time of the last listing are kept."""
LARGEST_WORKER = 25 * 10**6


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory, where files are made fast."""
    with tempfile.TemporaryDirectory(dir=MEMORY, prefix="softcopy-soak-") as name:
        yield Path(name)


def make(source: Path, grid: tuple[int, int]) -> int:
    """An array whose chunk files are links to a few files of one byte: they cost little time and memory."""
    source.mkdir()
    (source / ".zarray").write_bytes(zarray(grid, "/"))
    layout = make_layout(grid, separator="/")
    for row in range(grid[0]):
        os.mkdir(source / str(row))
        first = str(source / layout.key(row * grid[1]))
        with open(first, "wb") as file:
            file.write(b"x")
        for column in range(1, grid[1]):
            os.link(first, f"{source}/{row}/{column}")
    return layout.n_chunk_files


def largest(pid: int) -> int:
    """The most memory that a process has had, bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("a Linux without VmHWM")


def largest_worker(engine: psutil.Process) -> int:
    """The most memory that any worker has had that there is now, bytes."""
    found = [0]
    for worker in engine.children():
        with contextlib.suppress(psutil.Error, OSError, AssertionError):  # it may end just now
            if "softcopy_napari.engine.worker.process" in worker.cmdline():  # else it has the engine's memory yet
                found.append(largest(worker.pid))
    return max(found)


@pytest.mark.usefixtures("nothing_preloaded")
@pytest.mark.parametrize(
    "grid",
    [
        pytest.param((30, 30), id="short"),
        pytest.param((1000, 1000), id="a million chunk files", marks=[pytest.mark.soak, pytest.mark.timeout(700)]),
        pytest.param((100_000, 1), id="100,000 folders", marks=[pytest.mark.soak, pytest.mark.timeout(400)]),
    ],
)
def test_all_that_is_there_at_the_start_arrives_and_the_processes_stay_small(
    folder: Path, grid: tuple[int, int]
) -> None:
    n = make(folder / "source.zarr", grid)
    if psutil.virtual_memory().available < 8_000 * n:
        pytest.skip("too little memory for the copy")
    copy = start(folder / "source.zarr", folder / "destination", nprocs=2, finish_idle=1.0, linger=0)
    process = psutil.Process(copy.engine.run.pid)
    memory = of_worker = 0
    while not (end := copy.wait(0.5)).state.ended:
        memory = max(memory, largest(process.pid))
        of_worker = max(of_worker, largest_worker(process))
    assert end.state is TargetState.COMPLETE, end.reason
    assert end.counts[ChunkState.COPIED] == n
    process.wait(20)
    assert memory < LARGEST[0] + LARGEST[1] * n + LARGEST[2] * grid[0], f"{memory / 1e6:.0f} MB"
    assert 0 < of_worker < LARGEST_WORKER, f"{of_worker / 1e6:.1f} MB"
    rows = [len(os.listdir(folder / "destination" / str(row))) for row in range(grid[0])]
    assert rows == [grid[1]] * grid[0]
