"""Copies of datasets that are complete: `softcopy` beside what else copies files, in the same run.

    python benchmarks/bulk.py [--rounds N] [--only NAME] [--quick] [--write]

tensorstore writes the datasets. The tools take turns, each copies to a fresh destination, and a time is that of the
whole process. softcopy hashes in flight, publishes atomically, keeps times, compares both sides at the end, writes a
receipt and flushes; the others do some of that or none. From disk to disk the caches are cold, and what has been
written must be on the disk before the clock is stopped, for all.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import peers
import writer
from common import Others, age, count_files, environment, spread, turn, warm_up, workplace
from conditions import discard, drop_caches
from report import Report
from report import options as common_options


@dataclass(frozen=True)
class Dataset:
    """What to copy, and how fast softcopy is to be beside others (where it is to be faster)."""

    name: str
    folders: int
    files: int
    size: int
    disk: bool
    goals: dict[str, float]

    @property
    def title(self) -> str:
        size = f"{self.size >> 10} KiB" if self.size < 1 << 20 else f"{self.size >> 20} MiB"
        kind = "shards" if self.size > 1 << 24 else "chunk files"
        where = "disk to disk, cold caches" if self.disk else "tmpfs to tmpfs"
        return f"{self.folders * self.files:,} {kind} of {size}, {where}"

    def write(self, path: Path) -> None:
        if self.size > 1 << 24:
            writer.run("shards", path, self.folders * self.files, self.size)
        else:
            writer.run("chunks", path, self.folders, self.files, self.size)
        age(path)


SMALL = {"cp -r": 1.5, "rsync -a": 3.0, "rclone copy --transfers 8": 3.0, peers.FLOOR: 1 / 1.6}
EVERY = dict.fromkeys(("cp -r", "rsync -a", "rclone copy --transfers 8", "fpsync -n 2", peers.OLDER), 1.0)
DATASETS = [
    Dataset("16k", 50, 1000, 16 << 10, False, SMALL),
    Dataset("256k", 20, 200, 256 << 10, False, EVERY),
    Dataset("1m", 20, 100, 1 << 20, False, EVERY),
    Dataset("256m", 1, 8, 256 << 20, False, EVERY),
    Dataset("disk-16k", 5, 1000, 16 << 10, True, EVERY),
    Dataset("disk-1m", 3, 100, 1 << 20, True, EVERY),
    Dataset("disk-256m", 1, 2, 256 << 20, True, EVERY),
]


@dataclass
class Took:
    """What a tool took, a value for each round."""

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    """Of all its processes: what hardly depends on what else runs."""
    arrived: list[float] = field(default_factory=list)
    """Until all was there, where a tool does not end by itself at once."""


class Arrival(threading.Thread):
    """Notes when a destination is as large as its source."""

    def __init__(self, destination: Path, files: int, size: int) -> None:
        super().__init__(daemon=True)
        self.at = 0.0
        self.stopped = threading.Event()
        self._what = destination, files, size

    def run(self) -> None:
        destination, files, size = self._what
        while not self.stopped.wait(0.1):
            before = time.perf_counter()
            if count_files(destination) >= files and total_size(destination) >= size:
                self.at = before
                return
            self.stopped.wait(10 * (time.perf_counter() - before))  # it must not hold up what it looks at


def total_size(path: Path) -> int:
    return sum(os.stat(os.path.join(folder, name)).st_size for folder, _, names in os.walk(path) for name in names)


def copy(peer: peers.Peer, source: Path, folder: Path, disk: bool, took: Took) -> None:
    """Time one copy, and see that it is all there."""
    destination = folder / "copy" / source.name
    destination.parent.mkdir()
    (folder / "fpsync").mkdir(exist_ok=True)
    files, size = count_files(source), total_size(source)
    if disk:
        drop_caches()
    watch = Arrival(destination, files, size) if peer.name == peers.OLDER else None
    started, used = time.perf_counter(), sum(os.times()[2:4])
    if watch:
        watch.start()
    done = subprocess.run(
        peer.command(source, destination),
        env=environment(folder / "state"),
        capture_output=True,
        text=True,
        timeout=180,
    )
    if disk:
        subprocess.run(["sync", "--file-system", destination], check=True)
    took.seconds.append(time.perf_counter() - started)
    took.cpu.append(sum(os.times()[2:4]) - used)
    if watch:
        watch.stopped.set()
        watch.join()
        took.arrived.append(watch.at - started if watch.at else took.seconds[-1])
    if done.returncode or count_files(destination) != files or total_size(destination) != size:
        sys.exit(f"{peer.name} failed ({done.returncode}):\n{done.stdout}{done.stderr}")
    discard(destination.parent, disk)
    shutil.rmtree(folder / "fpsync")


def measure(dataset: Dataset, rounds: int, nprocs: int, folder: Path, report: Report) -> None:
    """Let all tools copy it in turns."""
    source = folder / f"{dataset.name}.zarr"
    contenders = [peer for peer in peers.for_datasets(folder, nprocs) if not peer.missing]
    took = {peer.name: Took() for peer in contenders}
    with turn():
        dataset.write(source)
        # Memory that a virtual machine has not touched for a while is slow the first time: for nobody's account.
        shutil.copytree(source, folder / "copy")
        discard(folder / "copy", dataset.disk)
    others = Others()
    for number in range(rounds):
        with turn():
            if number == 0:
                others = Others()
            for peer in peers.in_turns(contenders, number):
                copy(peer, source, folder, dataset.disk, took[peer.name])
    discard(source, dataset.disk)
    tell(dataset, took, others, report)


def tell(dataset: Dataset, took: dict[str, Took], others: Others, report: Report) -> None:
    """A table, and the goals."""
    count = dataset.folders * dataset.files
    medians = {name: statistics.median(one.arrived or one.seconds) for name, one in took.items()}
    rows = []
    for name, one in took.items():
        middle = medians[name]
        ended = f", ends after {statistics.median(one.seconds):.1f} s" if one.arrived else ""
        rows.append(
            [
                f"**{name}**" if name == peers.MINE else f"{name}{ended}",
                spread(one.arrived or one.seconds),
                f"{statistics.median(one.cpu):.2f}",
                f"{count / middle:,.0f}",
                f"{count * dataset.size / middle / 1e6:,.0f}",
                f"{medians['cp -r'] / middle:.2f}",
            ]
        )
    columns = ["tool", "seconds: median (min to max)", "CPU s", "files/s", "MB/s", "times as fast as `cp -r`"]
    rounds = len(took[peers.MINE].seconds)
    report.table(f"{dataset.title}, {rounds} rounds", columns, rows, others)
    ratios = {name: medians[name] / medians[peers.MINE] for name in dataset.goals if name in medians}
    if dataset.goals is EVERY:
        worst = min(ratios, key=ratios.__getitem__)
        report.goal(dataset.title, "as fast as each peer", f"{ratios[worst]:.2f} x {worst}", ratios[worst] >= 1.0)
        return
    for name, ratio in ratios.items():
        if name == peers.FLOOR:
            report.goal(dataset.title, "within 1.6 x of the floor", f"{1 / ratio:.2f} x", ratio >= dataset.goals[name])
        else:
            wanted = dataset.goals[name]
            report.goal(dataset.title, f"{wanted:g} x {name}", f"{ratio:.2f} x", ratio >= wanted)


def main() -> int:
    """Run it; the exit code is 1 where a goal was missed."""
    parser = common_options(__doc__, rounds=2, nprocs=2, disk="/var/tmp")
    parser.add_argument("--only", choices=[dataset.name for dataset in DATASETS], help="one of the datasets")
    options = parser.parse_args()
    report = Report("bulk", options)
    with workplace(options.folder) as memory, workplace(options.disk) as disk:
        warm_up(memory, memory / "state")
        warm_up(disk, disk / "state")
        peers.available(peers.for_datasets(memory, options.nprocs), report.say)
        for dataset in DATASETS:
            if options.only not in (None, dataset.name):
                continue
            if dataset.disk and (problem := drop_caches()):
                report.say(f"Skipped: {dataset.title}: {problem}.")
                continue
            rounds = 1 if options.quick else options.rounds
            measure(dataset, rounds, options.nprocs, disk if dataset.disk else memory, report)
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
