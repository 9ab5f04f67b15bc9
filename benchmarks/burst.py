"""A burst: a stack of 10,000 chunk files as fast as tensorstore writes them, all at once.

    python benchmarks/burst.py [--files N] [--rounds N] [--quick] [--write]

Told are: how many arrive, how long after the writer's end the last one is there, and whether softcopy had to look
through all folders because the system dropped events.
"""

from __future__ import annotations

import filecmp
import os
import shutil
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import peers
import writer
from common import Others, count_files, spread, stop, turn, warm_up, workplace
from report import Report
from report import options as common_options

SIZE = 16 << 10
FOLDERS = 10
_PATIENCE = 12.0
_DROPPED = "dropped file events"


@dataclass
class Runs:
    """What a tool did, a value for each round."""

    wrote: list[float] = field(default_factory=list)
    behind: list[float] = field(default_factory=list)
    """Seconds from the end of the writing until all was there."""
    lost: int = 0
    walks: int = 0


def same(source: Path, destination: Path) -> int:
    """How many files are not there, or not equal."""
    differing = 0
    for folder, _, names in os.walk(source):
        other = destination / Path(folder).relative_to(source)
        for name in names:
            there = (other / name).exists()
            differing += not (there and filecmp.cmp(os.path.join(folder, name), other / name, shallow=False))
    return differing


def measure(peer: peers.Peer, files: int, folder: Path, runs: Runs) -> None:
    """Let a tool follow a burst."""
    work = folder / "run"
    source, destination = work / "source.zarr", work / "destination.zarr"
    # The array exists before, as it does when an acquisition has been set up.
    writer.create(str(source), [FOLDERS, files // FOLDERS * SIZE], [1, SIZE], "uint8")
    (work / "state").symlink_to(folder / "state")
    tool = peers.follow(peer, source, destination, work)
    try:
        deadline = time.monotonic() + _PATIENCE
        ready = destination / "zarr.json"
        while not ready.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(3.0)
        wrote = writer.run("burst", source)
        ended = time.time()
        deadline = time.monotonic() + _PATIENCE
        wanted = count_files(source)
        while count_files(destination) < wanted and time.monotonic() < deadline and tool.poll() is None:
            time.sleep(0.05)
        behind = time.time() - ended
        if tool.poll() is not None:
            sys.exit(f"{peer.name} ended ({tool.returncode}):\n{(work / 'log').read_text()}")
        time.sleep(0.5)
    finally:
        stop(tool)
    lost = same(source, destination)
    runs.wrote.append(wrote["seconds"])
    if not lost:
        runs.behind.append(behind)
    runs.lost += lost
    runs.walks += _DROPPED in (work / "log").read_text()
    shutil.rmtree(work)


def main() -> int:
    """Run it; the exit code is 1 where the goal was missed."""
    parser = common_options(__doc__, files=10_000, rounds=2, nprocs=2)
    options = parser.parse_args()
    rounds = 1 if options.quick else options.rounds
    report = Report("burst", options)
    with workplace(options.folder) as folder:
        warm_up(folder, folder / "state")
        contenders = peers.available(peers.for_acquisitions(folder / "run", options.nprocs), report.say)
        runs = {peer.name: Runs() for peer in contenders}
        others = Others()
        for number in range(rounds):
            with turn():
                others = others if number else Others()
                for peer in peers.in_turns(contenders, number):
                    measure(peer, options.files, folder, runs[peer.name])
    rows = []
    fastest = statistics.median(runs[peers.MINE].behind) if runs[peers.MINE].behind else float("nan")
    for name, one in runs.items():
        late = f"not in {_PATIENCE:.0f} s" if not one.behind else spread(one.behind)
        ratio = f"{statistics.median(one.behind) / fastest:.1f}" if one.behind else ""
        walks = f"{one.walks} of {rounds}" if name == peers.MINE else ""
        title = f"**{name}**" if name == peers.MINE else name
        rows.append([title, spread(one.wrote), late, ratio, one.lost, walks])
    columns = ["tool", "writing took, s", "all there, s after its end", "times softcopy's", "lost", "full walks"]
    report.table(f"{options.files:,} chunk files of {SIZE >> 10} KiB at once, {rounds} rounds", columns, rows, others)
    mine = runs[peers.MINE]
    report.goal(
        f"a burst of {options.files:,} chunk files",
        "all arrive, no full walk",
        f"{mine.lost} lost, {mine.walks} full walks, all there {fastest:.1f} s after the writer's end",
        not mine.lost and not mine.walks,
    )
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
