"""Datasets that are complete: `softcopy` beside what else copies files, in the same run, and once more ("again").

    python benchmarks/bulk.py [--only NAME,NAME] [--scale S] [--rounds N] [--write]

The tools take turns, each copies to a fresh destination, and a time is that of the whole process. Then those that can
find that there is nothing left to copy are started once more. softcopy hashes in flight, publishes atomically, keeps
times, compares both sides at the end, writes a receipt and flushes; the others do some of that or none. From disk to
disk the caches are cold, and what has been written must be on the disk before the clock is stopped, for all.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path

import peers
from common import Others, environment, spread, warm_up, workplace
from conditions import discard, drop_caches
from datasets import DATASETS, Dataset
from report import Report
from report import options as common_options


@dataclass
class Took:
    """What a tool took, a value for each round."""

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    """Of all its processes: what hardly depends on what else runs."""
    again: list[float] = field(default_factory=list)


def contents(path: Path) -> tuple[int, int]:
    """Files and their bytes."""
    sizes = [os.stat(os.path.join(folder, name)).st_size for folder, _, names in os.walk(path) for name in names]
    return len(sizes), sum(sizes)


def run(peer: peers.Peer, source: Path, destination: Path, folder: Path, disk: bool) -> tuple[float, float]:
    """Seconds, and those of processors."""
    started, used = time.perf_counter(), sum(os.times()[2:4])
    done = subprocess.run(
        peer.command(source, destination), env=environment(folder / "state"), capture_output=True, text=True
    )
    if disk:
        subprocess.run(["sync", "--file-system", destination], check=True)
    took = time.perf_counter() - started, sum(os.times()[2:4]) - used
    if done.returncode:
        sys.exit(f"{peer.name} failed ({done.returncode}):\n{done.stdout}{done.stderr}")
    return took


def copy(peer: peers.Peer, source: Path, wanted: tuple[int, int], folder: Path, disk: bool, took: Took) -> None:
    """Time a copy, see that it is all there, and time one that has nothing to do."""
    destination = folder / "copy" / source.name
    destination.parent.mkdir()
    (folder / "fpsync").mkdir()
    if disk:
        drop_caches()
    seconds, cpu = run(peer, source, destination, folder, disk)
    took.seconds.append(seconds)
    took.cpu.append(cpu)
    if contents(destination) != wanted:
        sys.exit(f"{peer.name} copied {contents(destination)} files and bytes of {wanted}")
    if peer.again:
        took.again.append(run(peer, source, destination, folder, disk)[0])
    discard(destination.parent, disk)
    shutil.rmtree(folder / "fpsync")


def measure(dataset: Dataset, rounds: int, nprocs: int, scale: float, folder: Path, report: Report) -> None:
    """Let all tools copy it in turns."""
    disk = dataset.where == "disk"
    source = folder / f"{dataset.name}.zarr"
    # Of those that no goal is about, one round must do.
    every = {peers.MINE, "cp -r", *dataset.goals}
    contenders = [replace(peer, once=peer.name not in every) for peer in peers.for_datasets(folder, nprocs)]
    contenders = [peer for peer in contenders if not peer.missing]
    dataset.scaled(scale).write(source)
    wanted = contents(source)
    if not disk:  # memory that a virtual machine has not touched for a while is slow at first: for nobody's account
        shutil.copytree(source, folder / "copy")
        discard(folder / "copy", disk)
    took: dict[str, Took] = defaultdict(Took)
    others = Others()
    for number in range(rounds):
        for peer in peers.in_turns(contenders, number):
            copy(peer, source, wanted, folder, disk, took[peer.name])
    discard(source, disk)
    report_results(dataset, wanted, {peer.name: took[peer.name] for peer in contenders}, others, report)


def report_results(
    dataset: Dataset, wanted: tuple[int, int], took: dict[str, Took], others: Others, report: Report
) -> None:
    """A table, and the goals."""
    (files, size), report.row = wanted, dataset.name
    where = "disk to disk, cold and synced" if dataset.where == "disk" else "tmpfs to tmpfs"
    title = f"{dataset.name}: {dataset.title}; {where}"
    medians = {name: statistics.median(one.seconds) for name, one in took.items()}
    cpu = {name: statistics.median(one.cpu) for name, one in took.items()}
    rows = [
        [
            f"**{name}**" if name == peers.MINE else name,
            spread(one.seconds),
            f"{medians['cp -r'] / medians[name]:.2f}",
            f"{cpu[name]:.2f}",
            f"{files / medians[name]:,.0f}",
            f"{size / medians[name] / 1e6:,.0f}",
            spread(one.again) if one.again else "",
        ]
        for name, one in took.items()
    ]
    columns = ["tool", "seconds: median (min to max)", "x `cp -r`", "CPU s", "files/s", "MB/s", "again, s"]
    rounds = len(took[peers.MINE].seconds)
    report.table(f"{title}: {files:,} files, {size / 1e9:.1f} GB, {rounds} rounds", columns, rows, others)
    mine, short = took[peers.MINE], f"{dataset.name}: {dataset.title}, {dataset.where}"
    for name, goal in dataset.goals.items():
        if name == "again":
            ratio = statistics.median(mine.again) / medians["cp -r"]
            report.goal(f"{short}: again", f"at most {goal:g} x cp -r's time", f"{ratio:.2f} x", ratio <= goal)
        elif name == "cpu":
            ratio = cpu[peers.MINE] / cpu["cp -r"]
            report.goal(f"{short}: CPU", f"at most {goal:g} x cp -r's", f"{ratio:.2f} x", ratio <= goal)
        elif name == "floor" and name in medians:
            ratio = medians[peers.MINE] / medians[name]
            report.goal(short, f"at most {1 / goal:.2g} x the floor's time", f"{ratio:.2f} x", ratio <= 1 / goal)
        elif name in medians:
            ratio = medians[name] / medians[peers.MINE]
            report.goal(short, f"{goal:.2g} x as fast as {name}", f"{ratio:.2f} x", ratio >= goal)


def main() -> int:
    """Run it; the exit code is 1 where a goal was missed."""
    parser = common_options(__doc__, rounds=2, nprocs=2, disk="/var/tmp", only=",".join(DATASETS))
    options = parser.parse_args()
    report = Report("bulk", options, list(DATASETS))
    with workplace(options.folder) as memory, workplace(options.disk) as disk:
        for folder in (memory, disk):
            warm_up(folder, folder / "state")
        peers.available(peers.for_datasets(memory, options.nprocs), report.write_line)
        for name in options.only.split(","):
            dataset = DATASETS[name]
            if dataset.where == "disk" and (problem := drop_caches()):
                report.write_line(f"Skipped: {dataset.title}: {problem}.")
                continue
            folder = disk if dataset.where == "disk" else memory
            measure(dataset, options.rounds, options.nprocs, options.scale, folder, report)
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
