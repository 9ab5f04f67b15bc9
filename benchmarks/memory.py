"""What softcopy takes: memory of the engine and of its workers, and time until it copies.

    python benchmarks/memory.py [--promised N] [--present N] [--quick]

The engine is measured with arrays of many chunk files, of which few have come, and with one of which all are
there; peaks are those of the whole run. That ten million of them have come is not measured: it would take too
much room. Then the time from the start of the command to its first copied file.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from common import COMMAND, age, count_files, environment, machine, warm_up, workplace, write_metadata

FOLDER_FILES = 1000
CHUNK = 64
WORKER_MB = 25.0
START_S = 1.0
_PATIENCE = 300.0


def engine_goal_mb(chunk_files: int) -> float:
    """100 MB, and 4 bytes a chunk file."""
    return 100 + 4 * chunk_files / 1e6


@dataclass
class Peaks:
    """Largest resident memory seen, in bytes."""

    engine: int = 0
    workers: dict[int, int] = field(default_factory=dict)

    def look(self, process: psutil.Process) -> None:
        """Take the memory of a command and of the processes below it into account."""
        with contextlib.suppress(psutil.Error):  # it may just have ended
            self.engine = max(self.engine, _peak(process))
            for worker in process.children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    self.workers[worker.pid] = max(self.workers.get(worker.pid, 0), _peak(worker))


def _peak(process: psutil.Process) -> int:
    """Peak resident memory where the system keeps it (Linux: since exec), else the present one."""
    try:
        with open(f"/proc/{process.pid}/status") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return int(process.memory_info().rss)


def write_chunks(path: Path, count: int) -> None:
    """Make the first chunk files of an array, an hour old."""
    data = bytes(range(1, CHUNK + 1))
    for start in range(0, count, FOLDER_FILES):
        below = path / str(start // FOLDER_FILES)
        below.mkdir()
        for file in range(min(FOLDER_FILES, count - start)):
            (below / str(file)).write_bytes(data)
    age(path)


def end(process: subprocess.Popen[bytes]) -> None:
    """End the command as Ctrl-C does, or harder where that does not help."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT if os.name == "posix" else signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def start(source: Path, destination: Path, state: Path, nprocs: int) -> subprocess.Popen[bytes]:
    """Start the command; it stays for as long as chunk files are missing."""
    command = [*COMMAND, str(source), str(destination), "--nprocs", str(nprocs), "--settle", "3600"]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, env=environment(state), stdout=quiet, stderr=quiet)


def measure(promised: int, present: int, nprocs: int, folder: Path) -> bool:
    """Copy what is present of what is promised and print the peaks; returns whether goals were reached."""
    source, destination = folder / "source", folder / "destination"
    write_metadata(source, -(-promised // FOLDER_FILES), FOLDER_FILES, CHUNK)
    write_chunks(source, present)
    wanted = count_files(source)
    peaks = Peaks()
    process = start(source, destination, folder / "state", nprocs)
    started = time.monotonic()
    arrived = 0
    try:
        tree = psutil.Process(process.pid)
        while arrived < wanted and process.poll() is None and time.monotonic() < started + _PATIENCE:
            peaks.look(tree)
            time.sleep(0.2)
            arrived = count_files(destination)
        seconds = time.monotonic() - started
        resting = time.monotonic() + 3.0
        while time.monotonic() < resting and process.poll() is None:
            peaks.look(tree)
            time.sleep(0.1)
        rest = f", {tree.memory_info().rss / 1e6:.0f} MB at rest" if process.poll() is None else ""
    finally:
        end(process)
    shutil.rmtree(source)
    shutil.rmtree(destination, ignore_errors=True)
    print(f"\n{promised:,} chunk files promised, {present:,} present")
    print(f"{arrived:,} files copied in {seconds:.1f} s")
    if arrived < wanted:
        print(f"MISSED: {wanted - arrived:,} files did not arrive (exit code {process.returncode})")
        return False
    engine, goal = peaks.engine / 1e6, engine_goal_mb(promised)
    worker = max(peaks.workers.values(), default=0) / 1e6
    print(f"engine: peak {engine:.0f} MB{rest}; goal at most {goal:.0f} MB: {_word(engine <= goal)}")
    print(f"worker: peak {worker:.1f} MB; goal at most {WORKER_MB:.0f} MB: {_word(0 < worker <= WORKER_MB)}")
    return engine <= goal and 0 < worker <= WORKER_MB


def _word(reached: bool) -> str:
    return "reached" if reached else "MISSED"


def measure_start(rounds: int, nprocs: int, folder: Path) -> bool:
    """Time from the start of the command to its first file and first chunk file at the destination."""
    source = folder / "source"
    write_metadata(source, 1, 100, CHUNK, separator=".")  # one folder only: quick to look at
    for file in range(50):
        (source / f"0.{file}").write_bytes(bytes(range(1, CHUNK + 1)))
    age(source)
    files, chunks = [], []
    for number in range(rounds):
        destination = folder / f"destination-{number}"
        began = time.perf_counter()
        process = start(source, destination, folder / "state", nprocs)
        first = first_chunk = 0.0
        try:
            while not first_chunk and process.poll() is None and time.perf_counter() < began + 30:
                names = os.listdir(destination) if destination.exists() else []
                moment = time.perf_counter() - began
                if not first and any(not name.startswith(".softcopy-") for name in names):
                    first = moment
                if any(name.startswith("0.") for name in names):
                    first_chunk = moment
                time.sleep(0.002)
        finally:
            end(process)
        shutil.rmtree(destination, ignore_errors=True)
        if not first_chunk:
            print(f"MISSED: no chunk file was copied (exit code {process.returncode})")
            return False
        files.append(first)
        chunks.append(first_chunk)
    shutil.rmtree(source)
    reached = statistics.median(files) < START_S
    print(
        f"\nstart to first copied file: {_spread(files)}; to first chunk file: {_spread(chunks)}; "
        f"goal under {START_S:g} s: {_word(reached)}"
    )
    return reached


def _spread(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.2f} s ({min(seconds):.2f} - {max(seconds):.2f})"


def main() -> int:
    """Run it; the exit code is 1 where a goal was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--promised", type=int, help="chunk files in the metadata  [10 million]")
    parser.add_argument("--present", type=int, help="chunk files that are there  [50,000; 5,000 if quick]")
    parser.add_argument("--rounds", type=int, default=5, help="starts to time  [5]")
    parser.add_argument("--nprocs", type=int, default=2, help="copy processes of softcopy  [2]")
    parser.add_argument("--quick", action="store_true", help="fewer files, fewer starts")
    parser.add_argument("--folder", help="where to work  [/dev/shm]")
    options = parser.parse_args()
    promised = options.promised or 10_000_000
    present = options.present or (5_000 if options.quick else 50_000)
    with workplace(options.folder) as folder:
        print(machine(folder))
        warm_up(folder, folder / "state")
        reached = [
            measure(promised, 1_000, options.nprocs, folder),
            measure(promised, present, options.nprocs, folder),
            measure(present, present, options.nprocs, folder),
            measure_start(2 if options.quick else options.rounds, options.nprocs, folder),
        ]
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
