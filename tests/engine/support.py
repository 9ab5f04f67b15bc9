"""What several tests of the engine need: waiting with a deadline, and small zarr arrays made by hand."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from softcopy_napari.engine.activity_board import ActivityBoard
from softcopy_napari.engine.fs.own_files import PROGRESS
from softcopy_napari.engine.worker.native import load_board_setter
from softcopy_napari.engine.zarr_layout.array_layout import ArrayLayout

OLD = 1_600_000_000
"""A modification time, in s, of a file that nobody is writing any more."""


def until(condition: Callable[[], object], timeout: float = 30.0) -> object:
    """Wait until a condition holds; returns its last value, true or not.

    So long only where it never holds: the machine may be busy with other tests.
    """
    deadline = time.monotonic() + timeout
    while not (value := condition()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return value


def make_layout(
    grid: tuple[int, ...], path: str = "", separator: str = ".", chunk: int = 2, dtype: str = "<u2"
) -> ArrayLayout:
    """An array of zarr format 2 with this many chunk files."""
    shape = tuple(n * chunk for n in grid)
    return ArrayLayout(path, 2, shape, (chunk,) * len(grid), None, dtype, "v2", separator, None)  # type: ignore[arg-type]


def zarray(grid: tuple[int, ...], separator: str = ".", chunk: int = 2) -> bytes:
    """Content of `.zarray` for such an array; what its chunk files hold proves nothing."""
    return json.dumps(
        {
            "zarr_format": 2,
            "shape": [n * chunk for n in grid],
            "chunks": [chunk] * len(grid),
            "dtype": "<u2",
            "compressor": {"id": "of a test"},
            "fill_value": 0,
            "order": "C",
            "filters": None,
            "dimension_separator": separator,
        }
    ).encode()


def make_array(folder: Path, grid: tuple[int, ...], chunks: bool = True, old: bool = True) -> Path:
    """Write an array with small chunk files (keys like `0.1`), long ago or just now."""
    folder.mkdir(parents=True, exist_ok=True)
    layout = make_layout(grid)
    write(folder / ".zarray", zarray(grid), old)
    for cell in range(layout.n_chunk_files if chunks else 0):
        write(folder / layout.key(cell), f"chunk {cell}".encode() * 50, old)
    if old:
        os.utime(folder, (OLD, OLD))
    return folder


def write(path: Path, content: bytes, old: bool = False) -> Path:
    """Write a file, long ago or just now."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    if old:
        os.utime(path, (OLD, OLD))
    return path


def replace(path: Path, content: bytes) -> None:
    """Replace a file as tensorstore does: whole, through its lock, which is renamed before it is closed."""
    lock = path.with_name(path.name + ".__lock")
    with open(lock, "wb") as file:
        file.write(content)
        file.flush()
        os.rename(lock, path)


def make_old(folder: Path) -> None:
    """Have nothing changed in a folder, nor in the folders in it, for long."""
    for path in (*folder.rglob("*"), folder):
        if not path.is_symlink():
            os.utime(path, (OLD, OLD))


@contextlib.contextmanager
def writer_at_work() -> Iterator[None]:
    """Have the C library believe that a writer is at work all the time."""
    board, over = ActivityBoard(""), threading.Event()
    board.note_used(1)
    heed = load_board_setter()

    def work() -> None:
        while True:
            board.slots()[0].set_busy(time.monotonic_ns() + 1_900_000_000, 0)
            if over.wait(0.1):
                return

    thread = threading.Thread(target=work)
    thread.start()
    assert until(lambda: any(board.held_until()))
    heed(board.address)
    try:
        yield
    finally:
        heed(0)
        over.set()
        thread.join()


def tree(folder: Path) -> dict[str, bytes]:
    """All files below a folder and their contents, but for the mark and the progress file of a copy."""
    while True:
        with contextlib.suppress(FileNotFoundError):  # a temporary went while it was looked at: what is there now?
            return {
                str(path.relative_to(folder)): path.read_bytes()
                for path in folder.rglob("*")
                if path.is_file()
                and not path.is_symlink()
                and not fnmatch(path.name, ".softcopy-*-here.tmp")
                and path != folder / PROGRESS
            }


def temporaries(folder: Path) -> list[Path]:
    """Unfinished copies of ours."""
    return [path for path in folder.rglob(".softcopy-*") if not fnmatch(path.name, ".softcopy-*-here.tmp")]


def copies_under_way(folder: Path) -> list[Path]:
    """Unfinished copies that hold data by now: a worker that tries what a disk can do makes files with next to none."""
    with contextlib.suppress(FileNotFoundError):  # one of them has become whole
        return [path for path in temporaries(folder) if path.stat().st_size >= 1000]
    return []


def make_torn_shards(folder: Path, count: int) -> None:
    """An array of shards, all of them without a whole index: their writer crashed."""
    codec = {"name": "sharding_indexed", "configuration": {"chunk_shape": [1], "codecs": [{"name": "bytes"}]}}
    grid = {"name": "regular", "configuration": {"chunk_shape": [2]}}
    meta: dict[str, Any] = {"zarr_format": 3, "node_type": "array", "shape": [2 * count], "data_type": "uint8"}
    meta |= {"chunk_grid": grid, "chunk_key_encoding": {"name": "default"}, "fill_value": 0, "codecs": [codec]}
    write(folder / "zarr.json", json.dumps(meta).encode())
    for number in range(count):
        write(folder / "c" / str(number), b"half a shard %d" % number)
    make_old(folder)
