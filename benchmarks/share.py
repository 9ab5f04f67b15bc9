"""A destination that is a round trip away: a file system that counts operations and waits for each.

    python benchmarks/share.py [--only ROW,ROW] [--scale S] [--rounds N] [--write]

softcopy runs with its default settings, rclone with 16 transfers. Operations are all that a tool has caused, from its
start to its end, divided by the files. The source is in memory.
"""

from __future__ import annotations

import ctypes.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import peers
from bulk import contents, run
from common import Others, spread, warm_up, workplace
from datasets import DATASETS
from report import Report
from report import options as common_options

ROWS = {
    "nested-1000": ("nested", 1000, 1.0),
    "flat-1000": ("flat", 1000, 1.0),
    "nested-5000": ("nested", 5000, 1.0),
    "flat-5000": ("flat", 5000, 1.0),
    "nested-300": ("nested", 300, 10.0),
    "flat-300": ("flat", 300, 10.0),
}
"""Layout, files, and ms a round trip."""
MOST_OPERATIONS = {"nested": 18, "flat": 11}
_MOUNT = Path(__file__).with_name("share_mount.py")
_TIMEOUT = 10.0


@contextmanager
def mounted(folder: Path, delay_ms: float, counts: dict[str, int]) -> Iterator[Path]:
    """A fresh share; afterwards `counts` has its operations."""
    place, data = folder / "share", folder / "data"
    place.mkdir()
    data.mkdir()
    library = ctypes.util.find_library("fuse3") or "libfuse3.so.3"
    share = subprocess.Popen(
        [sys.executable, _MOUNT, data, place, str(delay_ms)],
        env={**os.environ, "FUSE_LIBRARY_PATH": library},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # libfuse warns of what it was not told
        text=True,
    )
    deadline = time.monotonic() + _TIMEOUT
    while not os.path.ismount(place):
        if share.poll() is not None or time.monotonic() > deadline:
            sys.exit("the share has not come up")
        time.sleep(0.02)
    try:
        yield place
    finally:
        subprocess.run(["fusermount3", "-u", "-z", place], check=True)
        said, _ = share.communicate(timeout=_TIMEOUT)
        place.rmdir()
        shutil.rmtree(data)
    counts.update(json.loads(said))


def measure(row: str, scale: float, rounds: int, folder: Path, report: Report) -> None:
    """Both tools in turns."""
    layout, files, delay = ROWS[row]
    files = max(100, round(scale * files))
    dataset = DATASETS[layout]
    if layout == "flat":
        dataset = replace(dataset, table=(-(-files // 1000), min(files, 1000), 16 << 10))
    else:
        dataset = replace(dataset, settings=replace(dataset.settings, frames=files // 100))
    source = folder / "source.zarr"
    dataset.write(source)
    wanted = contents(source)
    seconds, operations = defaultdict(list), defaultdict(list)
    kinds: dict[str, str] = {}
    others = Others()
    contenders = peers.available([peers.rclone(), peers.mine()], report.write_line)
    for number in range(1 if files > 1000 or delay > 1 else rounds):
        for peer in peers.in_turns(contenders, number):
            counts: dict[str, int] = {}
            with mounted(folder, delay, counts) as share:
                took, _ = run(peer, source, share / "copy.zarr", folder, disk=False)
                there = contents(folder / "data" / "copy.zarr")
            if there != wanted:
                sys.exit(f"{peer.name} copied {there} files and bytes of {wanted}")
            seconds[peer.name].append(took)
            operations[peer.name].append(sum(counts.values()) / wanted[0])
            most = sorted(counts.items(), key=lambda item: -item[1])[:6]
            kinds[peer.name] = ", ".join(f"{name} {count / wanted[0]:.1f}" for name, count in most)
    shutil.rmtree(source)
    report.row = row
    title = f"{wanted[0]:,} files of 16 KiB, {layout}, {delay:g} ms a round trip"
    middle = {name: statistics.median(times) for name, times in seconds.items()}
    rows = [
        [
            f"**{name}**" if name == peers.MINE else f"{name} --transfers 16",
            spread(seconds[name], 1),
            f"{1e3 * middle[name] / wanted[0]:.1f}",
            f"{statistics.median(operations[name]):.1f}",
            kinds[name],
        ]
        for name in seconds
    ]
    columns = ["tool", "seconds: median (min to max)", "ms a file", "operations a file", "most of them"]
    report.table(f"{title}, {len(seconds[peers.MINE])} rounds", columns, rows, others)
    if "rclone" in middle:
        ratio = middle["rclone"] / middle[peers.MINE]
        report.goal(f"share: {title}", "as fast as rclone --transfers 16", f"{ratio:.2f} x", ratio >= 1.0)
    if delay == 1.0:
        limit, made = MOST_OPERATIONS[layout], statistics.median(operations[peers.MINE])
        report.goal(f"share: {title}", f"at most {limit} operations a file", f"{made:.1f}", made <= limit)


def main() -> int:
    """Run it; the exit code is 1 where a goal was missed."""
    parser = common_options(__doc__, rounds=2, only=",".join(ROWS))
    options = parser.parse_args()
    if sys.platform != "linux":
        sys.exit("needs FUSE of Linux")
    report = Report("share", options, list(ROWS))
    with workplace(options.folder) as folder:
        warm_up(folder, folder / "state")
        for row in options.only.split(","):
            measure(row, options.scale, options.rounds, folder, report)
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
