"""What softcopy takes: memory of the engine and of its workers, and time until it copies.

    python benchmarks/memory.py [--scale S] [--write]

The engine is measured with arrays that promise 10 and 100 million chunk files, of which few have come, and many.
Private is what only this process has; of the ledger, a file that is mapped, the system can take back what lies in
memory at any time. Then the time from the start of the command to its first copied file.
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
from common import COMMAND, Others, age, spread, stop, tree, warm_up, workplace
from growth import goal_mb, peak, promise, start, until_copied, write_all
from report import Report
from report import options as common_options

MILLION = 1_000_000
CASES = [(100 * MILLION, 1000), (10 * MILLION, 1000), (10 * MILLION, 100_000)]
"""Chunk files promised, and present."""
WORKER_MB = 25.0
START_S = 1.0


@dataclass(frozen=True)
class Memory:
    """Of one process, in MB."""

    private: float
    pss: float
    ledger: float
    """In memory now, of the ledgers that are mapped."""


def read_memory(pid: int) -> Memory:
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
    promise(source, promised)
    write_all(source, present)
    age(source)
    process = start([*COMMAND, str(source), str(destination), "--nprocs", str(nprocs), "--settle", "3600"], state)
    try:
        until_copied(present, state, process)
        time.sleep(1.0)
        found = read_memory(process.pid), peak(process.pid), max(peak(one.pid) for one in tree(process.pid)[1:])
    finally:
        stop(process)
    subprocess.run(["rm", "-rf", *map(str, folder.glob("*.zarr*"))], check=True)
    return found


def peers_peaks(present: int, folder: Path) -> str:
    """Peaks of what else copies so many files."""
    source = folder / "source.zarr"
    promise(source, present)
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
    promise(source, 10)
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
    with workplace(options.folder) as folder:
        warm_up(folder, folder / "state")
        rows, workers, engines, others = [], [], [], Others()
        cases = [(promised, max(1000, round(options.scale * present))) for promised, present in CASES]
        for promised, present in cases:
            now, most, worker = measure(promised, present, options.nprocs, folder)
            engines.append(most)
            workers.append(worker)
            rows.append(
                [
                    f"{promised:,}", f"{present:,}", f"{now.private:.0f}", f"{now.ledger:.1f}", f"{now.pss:.0f}",
                    f"{most:.0f}", f"{worker:.0f}",
                ]
            )  # fmt: skip
        columns = [
            "promised", "present", "private MB", "ledger in memory, MB", "PSS MB", "peak RSS MB",
            "largest worker's peak MB",
        ]  # fmt: skip
        report.table("Memory of the engine", columns, rows, others)
        peaks = peers_peaks(present, folder)
        report.write_line(f"Peaks with {present:,} present: softcopy {engines[-1]:.0f} MB, {peaks}.")
        seconds = [start_up(options.nprocs, folder) for _ in range(options.rounds)]
        report.write_line(f"Start of the command to the first copied file: {spread(seconds)} s.")
    for (promised, present), most in zip(cases, engines, strict=True):
        limit, what = goal_mb(promised), f"{promised // MILLION} million chunk files promised, {present:,} present"
        report.goal(f"memory, {what}", f"{limit:.0f} MB", f"{most:.0f} MB", most <= limit)
    report.goal("memory of a worker", f"{WORKER_MB:.0f} MB", f"{max(workers):.0f} MB", max(workers) <= WORKER_MB)
    middle = statistics.median(seconds)
    report.goal("start to the first copied file", f"{START_S:.0f} s", f"{middle:.2f} s", middle <= START_S)
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
