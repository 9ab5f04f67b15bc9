"""Copies of datasets that are complete: `softcopy` beside cp, rsync and rclone, in the same run.

    python benchmarks/bulk.py [--rounds N] [--quick]

The tools take turns, each copy goes to a fresh destination, and a time is that of the whole process. softcopy
hashes in flight, publishes atomically, keeps times and checks every file at the end; cp does none of that.
"plain loop" is what Python can do at best, see plain_loop.py.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from common import COMMAND, Others, count_files, environment, machine, warm_up, workplace, write_array

LOOP = Path(__file__).with_name("plain_loop.py")


@dataclass(frozen=True)
class Dataset:
    """An array to copy, and how fast softcopy is to be beside `cp -r`."""

    name: str
    folders: int
    files: int
    size: int
    goal: float

    @property
    def title(self) -> str:
        size = f"{self.size >> 10} KiB" if self.size < 1 << 20 else f"{self.size >> 20} MiB"
        return f"{self.folders * self.files:,} files of {size} in {self.folders} folders"


DATASETS = [Dataset("small", 50, 1000, 16 << 10, 1.3), Dataset("large", 20, 100, 1 << 20, 1.0)]
QUICK = [Dataset("small", 10, 500, 16 << 10, 1.3), Dataset("large", 10, 20, 1 << 20, 1.0)]


@dataclass
class Tool:
    """One way to copy, and what it took."""

    name: str
    command: list[str]
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    """Seconds of all its processes: what hardly depends on what else runs."""


def tools(nprocs: int) -> list[Tool]:
    """Those that are installed; SOURCE and DESTINATION stand for the paths."""
    mine = [*COMMAND, "SOURCE", "DESTINATION", "--nprocs", str(nprocs), "--settle", "0"]
    found = [
        Tool("cp -r", ["cp", "-r", "SOURCE", "DESTINATION"]),
        Tool("rsync -a", ["rsync", "-a", "SOURCE/", "DESTINATION/"]),
        Tool("rclone copy", ["rclone", "copy", "SOURCE", "DESTINATION"]),
        Tool("plain loop", [sys.executable, str(LOOP), "SOURCE", "DESTINATION", str(nprocs)]),
        Tool("softcopy", mine),
    ]
    return [tool for tool in found if shutil.which(tool.command[0])]


def copy(tool: Tool, source: Path, destination: Path, state: Path) -> None:
    """Time one copy, and see that it is all there."""
    paths = {"SOURCE": str(source), "DESTINATION": str(destination)}
    command = [paths.get(part.rstrip("/"), part) + "/" * part.endswith("/") for part in tool.command]
    started, used = time.perf_counter(), sum(os.times()[2:4])
    done = subprocess.run(command, env=environment(state), capture_output=True, text=True)
    seconds, used = time.perf_counter() - started, sum(os.times()[2:4]) - used
    if done.returncode or count_files(destination) != count_files(source):
        sys.exit(f"{tool.name} failed ({done.returncode}):\n{done.stdout}{done.stderr}")
    tool.seconds.append(seconds)
    tool.cpu.append(used)
    shutil.rmtree(destination)


def measure(dataset: Dataset, rounds: int, nprocs: int, folder: Path) -> float:
    """Run all tools and print a table; returns how many times as fast as `cp -r` softcopy was."""
    source = folder / f"{dataset.name}.zarr"
    write_array(source, dataset.folders, dataset.files, dataset.size)
    contenders = tools(nprocs)
    others = Others()
    # Memory that a virtual machine has not touched for a while is slow the first time: for nobody's account.
    shutil.copytree(source, folder / "destination")
    shutil.rmtree(folder / "destination")
    for number in range(rounds):
        # Another one begins each time, so that none always follows the same one.
        turn = number % len(contenders)
        for tool in contenders[turn:] + contenders[:turn]:
            copy(tool, source, folder / "destination", folder / "state")
    shutil.rmtree(source)
    files = dataset.folders * dataset.files
    medians = {tool.name: statistics.median(tool.seconds) for tool in contenders}
    print(f"\n{dataset.title}, {rounds} rounds")
    titles = ("median s", 9), ("min - max s", 14), ("CPU s", 7), ("files/s", 9), ("MB/s", 7), ("times cp -r", 12)
    print(" " * 11, *(f"{title:>{width}}" for title, width in titles))
    for tool in contenders:
        middle = medians[tool.name]
        spread = f"{min(tool.seconds):.2f} - {max(tool.seconds):.2f}"
        rate = files / middle
        print(
            f"{tool.name:11} {middle:9.2f} {spread:>14} {statistics.median(tool.cpu):7.2f} {rate:9,.0f} "
            f"{rate * dataset.size / 1e6:7,.0f} {medians['cp -r'] / middle:12.2f}"
        )
    print(others)
    return medians["cp -r"] / medians["softcopy"]


def main() -> int:
    """Run it; the exit code is 1 where a goal was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, help="copies with each tool  [5; 2 if quick]")
    parser.add_argument("--quick", action="store_true", help="a tenth of the files; too few to judge by")
    parser.add_argument("--nprocs", type=int, default=2, help="copy processes of softcopy  [2]")
    parser.add_argument("--only", choices=["small", "large"], help="one of the two datasets")
    parser.add_argument("--folder", help="where to work  [/dev/shm]")
    options = parser.parse_args()
    if shutil.which("cp") is None:
        sys.exit("there is no cp on this machine to compare with")
    missed = False
    with workplace(options.folder) as folder:
        print(machine(folder))
        warm_up(folder, folder / "state")
        for dataset in QUICK if options.quick else DATASETS:
            if options.only not in (None, dataset.name):
                continue
            ratio = measure(dataset, options.rounds or (2 if options.quick else 5), options.nprocs, folder)
            if options.quick:
                print("too few files to judge: starting up counts most")
                continue
            missed |= ratio < dataset.goal
            word = "reached" if ratio >= dataset.goal else "MISSED"
            print(f"goal: {dataset.goal:g} times as fast as cp -r or faster: {word} ({ratio:.2f})")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
