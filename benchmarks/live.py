"""A live copy of nested planes: from each chunk file's rename at the source to its arrival at the destination.

    python benchmarks/live.py [--only ROW,ROW] [--scale S] [--rounds N] [--write]

Real tensorstore writes planes of 16 KiB, each into folders of its own, at a steady rate. When a chunk file came is its
change time, on both sides: renaming sets it, and reading does not. So nothing else runs than writer and tool.
"""

from __future__ import annotations

import filecmp
import os
import shutil
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import datasets
import peers
from common import Others, percentile, spread, stop, tree_cpu, warm_up, workplace
from report import Report
from report import options as common_options

ROWS = {"v2-200": (2, 200), "v2-500": (2, 500), "v3-200": (3, 200), "v3-500": (3, 500)}
"""Zarr format, and planes a second."""
P50_MS, P99_MS, CPU_US = 30.0, 250.0, 400.0
LATE_MS = 1000.0
_TIMEOUT = 20.0
_LOST_AFTER = 10.0


@dataclass
class Run:
    """What one tool did with one acquisition."""

    lags: list[float]
    """In ms, of those chunk files that arrived."""
    lost: int
    """Not at the destination, or not equal, ten seconds after the last was written."""
    cpu_us: float
    """Of all the tool's processes, a chunk file."""
    rate: float
    """What the writer reached."""
    seconds: float
    """From the first chunk file at the source to the last at the destination."""


def until(ready: Callable[[], bool], seconds: float) -> bool:
    """Wait for something."""
    deadline = time.monotonic() + seconds
    while not ready() and time.monotonic() < deadline:
        time.sleep(0.02)
    return ready()


def chunk_files(source: Path) -> list[str]:
    """Relative to the array."""
    found = (
        os.path.relpath(os.path.join(folder, name), source) for folder, _, names in os.walk(source) for name in names
    )
    return [path for path in found if path not in (".zarray", "zarr.json")]


def measure(peer: peers.Peer, rate: float, seconds: float, folder: Path, zarr_format: int = 3) -> Run:
    """Let a tool follow an acquisition."""
    work = folder / "run"
    source, destination = work / "source.zarr", work / "destination.zarr"
    work.mkdir()
    datasets.create_live(zarr_format, source, round(rate * seconds))
    (work / "state").symlink_to(folder / "state")
    tool = peers.follow(peer, source, destination, work)
    try:
        until((destination / (".zarray" if zarr_format == 2 else "zarr.json")).exists, _TIMEOUT)
        time.sleep(2.5)
        before = tree_cpu(tool.pid)
        reached = datasets.write_live(zarr_format, source, rate, seconds)
        written = chunk_files(source)
        until(lambda: all((destination / path).exists() for path in written[-100:]), _LOST_AFTER)
        time.sleep(1.0)
        used = tree_cpu(tool.pid) - before
        until(lambda: all((destination / path).exists() for path in written), _LOST_AFTER)
        if tool.poll() is not None:
            sys.exit(f"{peer.name} ended ({tool.returncode}):\n{(work / 'log').read_text()}")
    finally:
        stop(tool)
    came = {path: os.stat(source / path).st_ctime_ns for path in written}
    arrived = {path: os.stat(destination / path).st_ctime_ns for path in written if (destination / path).exists()}
    lags = [(arrived[path] - came[path]) / 1e6 for path in arrived]
    took = (max(arrived.values(), default=0) - min(came.values())) / 1e9
    lost = len(came) - len(arrived)
    lost += sum(not filecmp.cmp(source / path, destination / path, shallow=False) for path in arrived)
    shutil.rmtree(work)
    return Run(lags, lost, used / len(came) * 1e6, reached, took)


def report_results(row: str, runs: dict[str, list[Run]], others: Others, report: Report) -> None:
    """A table, and the goals."""
    report.row = row
    zarr_format, rate = ROWS[row]
    rows = []
    figures: dict[str, tuple[float, float, int, float]] = {}
    for name, each in runs.items():
        # Of rounds, the median of their percentiles, and all that was lost.
        p50s = [percentile(run.lags, 50) if run.lags else float("inf") for run in each]
        p99s = [percentile(run.lags, 99) if run.lags else float("inf") for run in each]
        lost, cpu = sum(run.lost for run in each), statistics.median(run.cpu_us for run in each)
        figures[name] = statistics.median(p50s), statistics.median(p99s), lost, cpu
        late = sum(lag > LATE_MS for run in each for lag in run.lags)
        longest = max((max(run.lags) for run in each if run.lags), default=float("inf"))
        title = f"**{name}**" if name == peers.MINE else name
        rows.append([title, spread(p50s, 1), spread(p99s, 1), f"{longest:,.0f}", late, lost, f"{cpu:,.0f}"])
    mine = runs[peers.MINE]
    title = f"zarr v{zarr_format}, {rate} planes a second"
    columns = ["tool", "p50 ms", "p99 ms", "longest ms", "later than 1 s", "lost", "CPU us a chunk file"]
    many = f"{len(mine[0].lags):,} in each of {len(mine)} rounds, {mine[0].rate:.0f} a second reached"
    report.table(f"{title} ({many})", columns, rows, others)
    p50, p99, lost, cpu = figures[peers.MINE]
    report.goal(
        f"live, {title}",
        f"p50 {P50_MS:.0f} ms, p99 {P99_MS:.0f} ms, none lost",
        f"p50 {p50:,.1f} ms, p99 {p99:,.1f} ms, {lost} lost",
        p50 < P50_MS and p99 < P99_MS and not lost,
    )
    report.goal(f"live, {title}: CPU", f"{CPU_US:.0f} us a chunk file", f"{cpu:,.0f} us", cpu <= CPU_US)


def main() -> int:
    """Run it; the exit code is 1 where a goal was missed."""
    parser = common_options(__doc__, rounds=2, seconds=6.0, nprocs=2, only=",".join(ROWS))
    options = parser.parse_args()
    if sys.platform != "linux":
        sys.exit("needs Linux: elsewhere change times do not tell when a file was renamed")
    report = Report("live", options, list(ROWS))
    with workplace(options.folder) as folder:
        warm_up(folder, folder / "state")
        found = peers.available(peers.for_acquisitions(folder / "run", options.nprocs), report.write_line)
        contenders = [replace(peer, once=peer.name != peers.MINE) for peer in found]
        for row in options.only.split(","):
            runs: dict[str, list[Run]] = defaultdict(list)
            others = Others()
            zarr_format, rate = ROWS[row]
            for number in range(options.rounds):
                for peer in peers.in_turns(contenders, number):
                    seconds = max(0.5, options.scale * options.seconds)
                    runs[peer.name].append(measure(peer, rate, seconds, folder, zarr_format))
            report_results(row, runs, others, report)
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
