"""What the benchmarks share: the command as it is run here, arrays to copy, what processes use, the machine."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"  # rclone of PyPI
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
    write_zarray(source, [3, 100], [1, 100], ".")
    for number in range(3):
        (source / f"{number}.0").write_bytes(bytes([number + 1] * 100))
    age(source)
    command = [*COMMAND, str(source), str(destination), "--finish-idle", "0"]
    done = subprocess.run(command, env=environment(state), capture_output=True, text=True, timeout=60)
    if done.returncode:
        sys.exit(f"softcopy fails here ({done.returncode}):\n{done.stdout}{done.stderr}")
    shutil.rmtree(source)
    shutil.rmtree(destination)


@contextmanager
def workplace(folder: str | None) -> Iterator[Path]:
    """A folder of its own, in memory where there is such a place; gone afterwards, also if this process is ended."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    if folder is None and os.path.isdir("/dev/shm"):
        folder = "/dev/shm"
    path = Path(tempfile.mkdtemp(prefix="softcopy-benchmark-", dir=folder))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def write_zarray(path: Path, shape: list[int], chunks: list[int], separator: str) -> None:
    """Make an uncompressed zarr v2 array of bytes, without chunk files."""
    path.mkdir(parents=True)
    attributes = {
        "zarr_format": 2, "shape": shape, "chunks": chunks, "dtype": "|u1",
        "compressor": None, "filters": None, "fill_value": 0, "order": "C", "dimension_separator": separator,
    }  # fmt: skip
    (path / ".zarray").write_text(json.dumps(attributes))


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


def machine() -> str:
    """Where figures come from."""
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    model = platform.machine()
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as info:
        model = next((line.split(":")[1].strip() for line in info if line.startswith("model name")), model)
    memory = psutil.virtual_memory().total / 1e9
    return f"{platform.system()} {platform.release()}, {os.cpu_count()} cores of {model}, {memory:.0f} GB{load}"


def versions() -> str:
    """Of what is compared."""
    found = [f"softcopy-napari {metadata.version('softcopy-napari')}", f"Python {platform.python_version()}"]
    with contextlib.suppress(metadata.PackageNotFoundError):
        found.append(f"tensorstore {metadata.version('tensorstore')}")
    for name, flag in (("cp", "--version"), ("rsync", "--version"), ("rclone", "version")):
        if shutil.which(name):
            said = subprocess.run([name, flag], capture_output=True, text=True).stdout
            number = re.search(r"\d+(\.\d+)+", said)
            found.append(f"{name} {number[0] if number else '?'}")
    return ", ".join(found)


class Others:
    """How much of the machine other processes used while something was measured."""

    def __init__(self) -> None:
        self._started, self._busy, self._own = time.perf_counter(), _busy_seconds(), _own_seconds()

    def __str__(self) -> str:
        busy = _busy_seconds() - self._busy - (_own_seconds() - self._own)
        cores = max(0.0, busy) / max(1e-9, self.elapsed)
        note = ", too much to judge by these figures" if cores > 0.1 else ""
        return f"other processes used {cores:.2f} cores meanwhile{note}"

    @property
    def elapsed(self) -> float:
        """Seconds."""
        return time.perf_counter() - self._started


def _busy_seconds() -> float:
    times = psutil.cpu_times()
    return sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)


def _own_seconds() -> float:
    """Of this process and all that it has started and waited for."""
    return sum(os.times()[:4])


def tree(pid: int) -> list[psutil.Process]:
    """A process and all below it that live."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []


def tree_cpu(pid: int) -> float:
    """Seconds used so far by a process and all below it, those that have ended and were waited for included."""
    total = 0.0
    for process in tree(pid):
        with contextlib.suppress(psutil.Error):
            total += sum(process.cpu_times()[:4])
    return total


def stop(process: subprocess.Popen[Any], patience: float = 5.0) -> None:
    """End a process that was started in a session of its own, and all that it started."""
    if process.poll() is None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(patience)
                break
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def spread(values: list[float], digits: int = 2) -> str:
    """Median, and what was between the extremes."""
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"{middle:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"


def percentile(values: list[float], percent: float) -> float:
    """The smallest value that so many percent do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
