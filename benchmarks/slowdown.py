"""What a copy costs the acquisition: frames a second and write times of a tensorstore writer, with and without it.

    python benchmarks/slowdown.py [--seconds S] [--rounds N] [--quick] [--write]

The writer is given 70 % of the frames a second that it reaches here when nothing else runs. Then the tools take turns
with nobody; all run as they come (softcopy with its default settings). A frame that is late does not move the next.

Among them are two programs of the lowest priority that only count and touch nothing. What they cost the writer,
anything costs that uses processors which are free.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import peers
import writer
from common import Others, count_files, percentile, spread, stop, turn, warm_up, workplace
from conditions import Ballast, discard
from report import Report
from report import options as common_options

SHARE = 0.7
LIMIT = 0.03
NOBODY = "nobody"
_PATIENCE = 20.0
_MEMORY = 7 << 29
"""Bytes that writer and copy use in a run, about."""
_COUNT = "import os; os.fork(); os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\nwhile True: pass"
COUNTING = peers.Peer("nobody; two programs that only count", lambda s, d: [sys.executable, "-c", _COUNT])


@dataclass
class Runs:
    """What the writer did, a value for each round."""

    rate: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    """ms"""
    p99: list[float] = field(default_factory=list)
    copied: list[float] = field(default_factory=list)
    """Share of the files that were at the destination when the writer had ended."""


@dataclass(frozen=True)
class Place:
    """Where it is measured."""

    folder: Path
    disk: bool
    ballast: Ballast

    def clear(self, path: Path) -> None:
        """Make what comes next begin as everything else does."""
        discard(path, self.disk)
        if self.disk:
            os.sync()
        self.ballast.hold()


def measure(peer: peers.Peer | None, rate: float, seconds: float, place: Place, runs: Runs) -> None:
    """Write frames, with a tool at work or without."""
    folder = place.folder
    work = folder / "run"
    source, destination = work / "source.zarr", work / "destination.zarr"
    writer.create_frames(str(source))
    (work / "state").symlink_to(folder / "state")
    tool = peers.follow(peer, source, destination, work) if peer else None
    try:
        deadline = time.monotonic() + _PATIENCE
        copies = tool is not None and peer is not COUNTING
        while copies and not (destination / "zarr.json").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(2.0)
        place.ballast.drop()
        said = writer.run("frames", source, rate, seconds)
        if tool is not None and tool.poll() is not None:
            sys.exit(f"{peer and peer.name} ended ({tool.returncode}):\n{(work / 'log').read_text()}")
        if copies:
            runs.copied.append(100 * count_files(destination) / count_files(source))
    finally:
        if tool is not None:
            stop(tool)
    times = [1e3 * one for one in said["took"]]
    runs.rate.append(said["frames"] / said["seconds"])
    runs.p50.append(percentile(times, 50))
    runs.p99.append(percentile(times, 99))
    place.clear(work)


def calibrate(seconds: float, place: Place) -> float:
    """Frames a second that the writer reaches alone: the median of three."""
    reached = []
    for _ in range(3):
        place.ballast.drop()
        said = writer.run("frames", place.folder / "alone", 0, seconds)
        reached.append(said["frames"] / said["seconds"])
        place.clear(place.folder / "alone")
    return statistics.median(reached)


def compare(seconds: float, rounds: int, place: Place, report: Report) -> None:
    """All tools in turns, in one place."""
    where = "disk" if place.disk else "tmpfs"
    contenders: list[peers.Peer | None] = [None, COUNTING]
    contenders += [peer for peer in peers.for_acquisitions(place.folder / "run") if not peer.missing]
    runs = {peer.name if peer else NOBODY: Runs() for peer in contenders}
    with turn():
        most = calibrate(seconds, place)
    others = Others()
    for number in range(rounds):
        with turn():
            others = others if number else Others()
            for peer in peers.in_turns(contenders, number):
                measure(peer, SHARE * most, seconds, place, runs[peer.name if peer else NOBODY])
    alone = statistics.median(runs[NOBODY].rate)
    alone_p99 = statistics.median(runs[NOBODY].p99)
    rows = []
    for name, one in runs.items():
        rate = statistics.median(one.rate)
        rows.append(
            [
                f"**{name}**" if name == peers.MINE else name,
                spread(one.rate, 1),
                f"{100 * (rate / alone - 1):+.1f} %",
                spread(one.p50, 1),
                spread(one.p99, 1),
                f"{statistics.median(one.p99) / alone_p99:.2f}",
                f"{statistics.median(one.copied):.0f} %" if one.copied else "",
            ]
        )
    columns = [
        "who copies", "frames/s", "against nobody", "write time p50, ms", "p99, ms", "p99, times nobody's",
        "copied at its end",
    ]  # fmt: skip
    title = f"{where}: {SHARE * most:.0f} frames of 4 MiB (16 chunk files) a second, of {most:.0f} reached alone, "
    title += f"{seconds:.0f} s, {rounds} rounds"
    report.table(title, columns, rows, others)
    slower = 1 - statistics.median(runs[peers.MINE].rate) / alone
    longer = statistics.median(runs[peers.MINE].p99) / alone_p99 - 1
    report.goal(
        f"writer slowdown, {where}",
        "frames/s and p99 at most 3 % worse",
        f"frames/s {-100 * slower:+.1f} %, p99 {100 * longer:+.0f} %",
        slower <= LIMIT and longer <= LIMIT,
    )


def main() -> int:
    """Run it; the exit code is 1 where a goal was missed."""
    parser = common_options(__doc__, seconds=2.0, rounds=2, disk="/var/tmp")
    options = parser.parse_args()
    rounds, seconds = (1, 2.0) if options.quick else (options.rounds, options.seconds)
    report = Report("slowdown", options)
    for disk in (False, True):
        with workplace(options.disk if disk else options.folder) as folder, Ballast(_MEMORY) as ballast:
            warm_up(folder, folder / "state")
            if not disk:
                peers.available(peers.for_acquisitions(folder), report.say)
            compare(seconds, rounds, Place(folder, disk, ballast), report)
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
