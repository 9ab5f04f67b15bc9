"""What softcopy takes: memory of the engine and of its workers, and time until it copies.

    python benchmarks/memory.py [--quick] [--write]

The engine is measured with arrays that promise 1, 10 and 100 million chunk files, of which few have come, and with
more and more that have come. Private is what only this process has; of the ledger, a file that is mapped, the system
can take back what lies in memory at any time. Then the time from the start of the command to its first copied file.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import peers
from common import COMMAND, Others, age, spread, stop, tree, turn, warm_up, workplace, write_metadata
from growth import CHUNK, FOLDER_FILES, peak, start, until_copied, write_all
from report import Report
from report import options as common_options

MILLION = 1_000_000
PROMISED = [(MILLION, 1000), (10 * MILLION, 1000), (100 * MILLION, 1000)]
PRESENT = [(10 * MILLION, 50_000), (10 * MILLION, 150_000), (10 * MILLION, 300_000)]
WORKER_MB = 25.0
START_S = 1.0


def goal_mb(chunk_files: int) -> float:
    """100 MB, and 2 bytes a chunk file."""
    return 100 + 2 * chunk_files / 1e6


@dataclass(frozen=True)
class Memory:
    """Of one process, in MB."""

    private: float
    pss: float
    ledger: float
    """In memory now, of the ledgers that are mapped."""


def look(pid: int) -> Memory:
    """What the system says of a process's mappings."""
    private = pss = ledger = 0
    mapped = False
    with open(f"/proc/{pid}/smaps") as lines:
        for line in lines:
            word, _, rest = line.partition(":")
            if "-" in line.split(" ", 1)[0] and line[0] in "0123456789abcdef":
                mapped = line.rstrip().endswith(".npy")
            elif mapped and word == "Rss":
                ledger += int(rest.split()[0])
            elif word == "Pss":
                pss += int(rest.split()[0])
            elif word in ("Private_Clean", "Private_Dirty") and not mapped:
                private += int(rest.split()[0])
    return Memory(private * 1.024e-3, pss * 1.024e-3, ledger * 1.024e-3)


def measure(promised: int, present: int, nprocs: int, folder: Path) -> tuple[Memory, float, float]:
    """Copy what is present of what is promised; returns memory then, and the peaks of engine and worker."""
    source, destination, state = folder / "source.zarr", folder / "destination.zarr", folder / "state"
    write_all(source, present + 1)
    shutil.rmtree(source / str(present // FOLDER_FILES), ignore_errors=True)
    (source / ".zarray").unlink()
    write_metadata(folder / "all", -(-promised // FOLDER_FILES), FOLDER_FILES, CHUNK)
    (folder / "all" / ".zarray").rename(source / ".zarray")
    (folder / "all").rmdir()
    age(source)
    process = start([*COMMAND, str(source), str(destination), "--nprocs", str(nprocs), "--settle", "3600"], state)
    try:
        until_copied(present, state, process)
        time.sleep(1.0)
        found = look(process.pid), peak(process.pid), max(peak(one.pid) for one in tree(process.pid)[1:])
    finally:
        stop(process)
    subprocess.run(["rm", "-rf", *map(str, folder.glob("*.zarr*"))], check=True)
    return found


def peers_peaks(present: int, folder: Path, report: Report) -> str:
    """Peaks of what else copies so many files."""
    source = folder / "source.zarr"
    write_all(source, present)
    said = []
    for peer in peers.for_datasets(folder, 2):
        if peer.missing or peer.name.split()[0] not in ("cp", "rsync", "rclone"):
            continue
        process = subprocess.Popen(peer.command(source, folder / "copy"), stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.append(f"{peer.name} {used.ru_maxrss / 1e3:.0f} MB")
        subprocess.run(["rm", "-rf", str(folder / "copy")], check=True)
    subprocess.run(["rm", "-rf", str(source)], check=True)
    return ", ".join(said)


def start_up(nprocs: int, folder: Path) -> float:
    """Seconds from the start of the command until its first file is there."""
    source, destination = folder / "source", folder / "destination"
    write_all(source, 10)
    began = time.perf_counter()
    process = start([*COMMAND, str(source), str(destination), "--nprocs", str(nprocs)], folder / "state")
    try:
        while not any(not name.startswith(".softcopy") for _, _, names in os.walk(destination) for name in names):
            if time.perf_counter() > began + 60 or process.poll() is not None:
                sys.exit("softcopy copied nothing")
            time.sleep(0.002)
        return time.perf_counter() - began
    finally:
        stop(process)
        shutil.rmtree(source)
        shutil.rmtree(destination, ignore_errors=True)


def main() -> int:
    """Run it; the exit code is 1 where a goal was missed."""
    parser = common_options(__doc__, nprocs=2, rounds=3)
    options = parser.parse_args()
    report = Report("memory", options)
    cases = PROMISED[:2] if options.quick else PROMISED + PRESENT
    with workplace(options.folder) as folder:
        warm_up(folder, folder / "state")
        rows, workers, engines, others = [], [], {}, Others()
        for promised, present in cases:
            with turn():
                now, most, worker = measure(promised, present, options.nprocs, folder)
            engines[promised, present] = most
            workers.append(worker)
            rows.append(
                [
                    f"{promised:,}", f"{present:,}", f"{now.private:.0f}", f"{now.ledger:.1f}", f"{now.pss:.0f}",
                    f"{most:.0f}", f"{goal_mb(promised):.0f}", f"{worker:.0f}",
                ]
            )  # fmt: skip
        columns = [
            "promised", "present", "private MB", "ledger in memory, MB", "PSS MB", "peak RSS MB", "goal MB",
            "largest worker's peak MB",
        ]  # fmt: skip
        report.table("Memory of the engine", columns, rows, others)
        first, last = cases[0], cases[len(PROMISED) - 1 if not options.quick else 1]
        grown = (engines[last] - engines[first]) * 1e6 / (last[0] - first[0])
        growth = f"A chunk file that is promised takes {grown:.2f} bytes more"
        if not options.quick:
            few, many = PRESENT[0], PRESENT[-1]
            grown = (engines[many] - engines[few]) * 1e6 / (many[1] - few[1])
            with turn():
                growth += (
                    f", one that is present {grown:.0f} bytes more at the peak (the ledger's part counted, too). "
                    f"Peaks with {many[1]:,} present: softcopy {engines[many]:.0f} MB, "
                    f"{peers_peaks(many[1], folder, report)}"
                )
        report.say(growth + ".")
        with turn():
            seconds = [start_up(options.nprocs, folder) for _ in range(options.rounds)]
        report.say(f"Start of the command to the first copied file: {spread(seconds)} s.")
    for promised, present in cases:
        most, limit = engines[promised, present], goal_mb(promised)
        what = f"memory, {promised // MILLION} million chunk files promised, {present:,} present"
        report.goal(what, f"{limit:.0f} MB", f"{most:.0f} MB", most <= limit)
    report.goal("memory of a worker", f"{WORKER_MB:.0f} MB", f"{max(workers):.0f} MB", max(workers) <= WORKER_MB)
    middle = statistics.median(seconds)
    report.goal("start to the first copied file", f"{START_S:.0f} s", f"{middle:.2f} s", middle <= START_S)
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
