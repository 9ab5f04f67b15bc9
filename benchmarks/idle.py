"""What a copy costs while nothing happens: 10,000 watched folders, a source that nobody writes to.

    python benchmarks/idle.py [--folders N] [--seconds S] [--quick] [--write]

softcopy and its peers follow the same source at the same time, each into a destination of its own, and have caught up
before the clock starts. The caches are dropped then (as root), so that what is read comes from the disk.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import peers
import writer
from common import age, count_files, stop, tree_cpu, tree_read, turn, warm_up, workplace
from conditions import drop_caches
from report import Report
from report import options as common_options

LIMIT = 0.3
_PATIENCE = 120.0
_REST = 12.0
"""Seconds after all have caught up, in which they come to rest."""


def main() -> int:
    """Run it; the exit code is 1 where the goal was missed."""
    parser = common_options(__doc__, folders=10_000, seconds=30.0, disk="/var/tmp")
    options = parser.parse_args()
    seconds = 15.0 if options.quick else options.seconds
    report = Report("idle", options)
    with workplace(options.disk) as folder, turn():
        warm_up(folder, folder / "state")
        source = folder / "source.zarr"
        writer.run("chunks", source, options.folders, 1, 64)
        (source / "c" / f"{options.folders - 1}" / "0").unlink()  # for ever missing: so nobody is ever complete
        age(source)
        wanted = count_files(source)
        contenders = peers.available(peers.for_acquisitions(folder), report.say)
        running = {}
        try:
            for peer in contenders:
                work = folder / f"run{len(running)}"
                work.mkdir()
                (work / "state").symlink_to(folder / "state")
                running[peer.name] = peers.follow(peer, source, work / "destination.zarr", work)
                wait_for(work / "destination.zarr", wanted)
            time.sleep(_REST)
            problem = drop_caches()
            time.sleep(2.0)
            before = {name: (tree_cpu(tool.pid), tree_read(tool.pid)) for name, tool in running.items()}
            started = time.perf_counter()
            time.sleep(seconds)
            elapsed = time.perf_counter() - started
            after = {name: (tree_cpu(tool.pid), tree_read(tool.pid)) for name, tool in running.items()}
            for number, (name, tool) in enumerate(running.items()):
                if tool.poll() is not None:
                    sys.exit(f"{name} ended ({tool.returncode}):\n{(folder / f'run{number}' / 'log').read_text()}")
        finally:
            for tool in running.values():
                stop(tool)
    rows = []
    shares = {}
    for name in running:
        cpu, read = after[name][0] - before[name][0], after[name][1] - before[name][1]
        shares[name] = 100 * cpu / elapsed, read
        title = f"**{name}**" if name == peers.MINE else name
        rows.append(
            [
                title,
                f"{100 * cpu / elapsed:.2f} %",
                f"{cpu / elapsed * 3600:,.0f}",
                f"{read / elapsed * 3600 / 1e6:,.0f}",
            ]
        )
    columns = ["tool", "of a core", "CPU s an hour", "MB read from disk an hour"]
    report.table(f"{options.folders:,} watched folders for {elapsed:.0f} s, extrapolated to an hour", columns, rows)
    report.say(f"The caches were not dropped: {problem}." if problem else "The caches were dropped before.")
    cpu, read = shares[peers.MINE]
    report.goal(
        f"idle, {options.folders:,} watched folders",
        f"{LIMIT} % of a core, no disk reads",
        f"{cpu:.2f} %, {read / 1e6:.1f} MB read in {elapsed:.0f} s",
        cpu <= LIMIT and not read,
    )
    return report.end()


def wait_for(destination: Path, wanted: int) -> None:
    """Until everything has been copied."""
    deadline = time.monotonic() + _PATIENCE
    while count_files(destination) < wanted:
        if time.monotonic() > deadline:
            sys.exit(f"{destination} has {count_files(destination):,} of {wanted:,} files")
        time.sleep(0.5)


if __name__ == "__main__":
    sys.exit(main())
