"""What the benchmarks share: the command as it is run here, arrays to copy, the machine in one line."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

COMMAND = [sys.executable, "-m", "softcopy_napari"]
AN_HOUR = 3_600_000_000_000


def environment(state: Path) -> dict[str, str]:
    """The environment of the command: this checkout, a state folder of its own, plain output."""
    source = str(Path(__file__).parents[1] / "src")
    path = os.pathsep.join(filter(None, (source, os.environ.get("PYTHONPATH"))))
    own = {"PYTHONPATH": path, "SOFTCOPY_STATE_DIR": str(state), "NO_COLOR": "1"}
    # Compiled modules, as an installed package has them; `warm_up` makes them.
    own["PYTHONPYCACHEPREFIX"] = str(state / "pycache")
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | own


def warm_up(folder: Path, state: Path) -> None:
    """Copy next to nothing, so that what comes is not timed with Python's compiler."""
    source, destination = folder / "warm-up", folder / "warm-up-copy"
    write_array(source, 1, 3, 100)
    command = [*COMMAND, str(source), str(destination), "--settle", "0"]
    done = subprocess.run(command, env=environment(state), capture_output=True, text=True, timeout=60)
    if done.returncode:
        sys.exit(f"softcopy fails here ({done.returncode}):\n{done.stdout}{done.stderr}")
    shutil.rmtree(source)
    shutil.rmtree(destination)


@contextmanager
def workplace(folder: str | None) -> Iterator[Path]:
    """A folder of its own, in memory where there is such a place, that is gone afterwards."""
    if folder is None and os.path.isdir("/dev/shm"):
        folder = "/dev/shm"
    path = Path(tempfile.mkdtemp(prefix="softcopy-benchmark-", dir=folder))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def write_metadata(path: Path, folders: int, files: int, size: int, separator: str = "/") -> None:
    """Make an uncompressed zarr v2 array of `folders` x `files` chunk files, of `size` bytes each."""
    path.mkdir(parents=True)
    metadata = {
        "zarr_format": 2, "shape": [folders, files * size], "chunks": [1, size], "dtype": "|u1",
        "compressor": None, "filters": None, "fill_value": 0, "order": "C", "dimension_separator": separator,
    }  # fmt: skip
    (path / ".zarray").write_text(json.dumps(metadata))


def write_array(path: Path, folders: int, files: int, size: int) -> None:
    """Make such an array with random chunks, all of them an hour old, so that nothing waits for them."""
    write_metadata(path, folders, files, size)
    pool = os.urandom(size + folders * files)  # each chunk is another window of it: no two are equal
    for folder in range(folders):
        below = path / str(folder)
        below.mkdir()
        for file in range(files):
            start = folder * files + file
            (below / str(file)).write_bytes(pool[start : start + size])
    age(path)


def age(path: Path) -> None:
    """Put everything below a folder an hour back."""
    for folder, _, names in os.walk(path, topdown=False):
        for name in [*names, "."]:
            entry = os.path.join(folder, name)
            then = os.stat(entry).st_mtime_ns - AN_HOUR
            os.utime(entry, ns=(then, then))


def count_files(path: Path | str) -> int:
    """Files below a folder, unfinished copies left out."""
    return sum(not name.startswith(".softcopy-") for _, _, names in os.walk(path) for name in names)


def machine(folder: Path) -> str:
    """Where figures come from."""
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return (
        f"{platform.system()} {platform.release()}, {os.cpu_count()} cores{load}, "
        f"Python {platform.python_version()}, in {folder.parent}"
    )


class Others:
    """How much of the machine other processes used while something was measured."""

    def __init__(self) -> None:
        self._started, self._busy, self._own = time.perf_counter(), _busy_seconds(), _own_seconds()

    def __str__(self) -> str:
        elapsed = time.perf_counter() - self._started
        cores = max(0.0, _busy_seconds() - self._busy - (_own_seconds() - self._own)) / elapsed
        note = ": too much to judge by these figures" if cores > 0.1 else ""
        return f"other processes used {cores:.2f} cores meanwhile{note}"


def _busy_seconds() -> float:
    times = psutil.cpu_times()
    return sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)


def _own_seconds() -> float:
    """Of this process and all that it has started and waited for."""
    return sum(os.times()[:4])


def percentile(values: list[float], percent: float) -> float:
    """The smallest value that so many percent do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
