"""What a copy costs the acquisition: a writer's own write calls, with a copy beside it and without.

    python benchmarks/slowdown.py [--seconds S] [--rounds N] [--scale S] [--write]

The writer is a process of its own, on a disk; the copy goes elsewhere (to memory), as to a share. It writes bursts of
stacks, one burst every 250 ms: first one stack of 8 MB as it is, through a lock, as in a fast time series; then stacks
of 8 MB that tensorstore writes and flushes, as it does unless told otherwise, as many as make it work 20, 50 and 90 %
of the time. A burst that is late does not move the next. The tools take turns with nobody; all run as they come
(softcopy with its default settings). The same 32 stacks are written over and over: a virtual machine gives memory that
is free back to its host, and to get new pages would take the writer ten times as long as its write.

Among them is a program of the lowest priority that only counts and touches nothing: what that costs the writer,
anything costs that uses a processor which is free.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import peers
from common import Others, percentile, stop, warm_up, workplace, write_zarray
from conditions import discard
from report import Report
from report import options as common_options

PERIOD = 0.25
DUTIES = (20, 50, 90)
NOBODY = "nobody"
STACK = 8 << 20
_STACKS = 32
_CONTEXT = {"file_io_locking": {"mode": "lockfile"}}
_TIMEOUT = 20.0
_COUNT = "import os; os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\nwhile True: pass"
COUNTING = peers.Peer("nobody; a program that only counts", lambda s, d: [sys.executable, "-c", _COUNT])


@dataclass(frozen=True)
class Load:
    """What the writer does."""

    name: str
    kind: str
    stacks: int
    """Stacks in a burst."""
    mean_goal: float
    """Percent by which the mean of its write calls may be longer with a copy beside it."""
    p99_goal: float | None


@dataclass
class Runs:
    """The writer's write calls, ms, and what was at the destination at its end, a value for each round."""

    mean: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    """Stacks that were not at the destination when the writer had ended."""


def create(kind: str, path: Path) -> None:
    """Make an array, if there is none yet."""
    if path.exists():
        return
    if kind == "plain":
        write_zarray(path, [_STACKS, STACK], [1, STACK], "/")
        (path / "0").mkdir()
        return
    import tensorstore as ts

    spec = {
        "driver": "zarr",
        "kvstore": {"driver": "file", "path": str(path)},
        "context": _CONTEXT,
        "metadata": {
            "shape": [_STACKS, 32, 256, 512],
            "chunks": [1, 32, 256, 512],
            "dtype": "<u2",
            "compressor": None,
        },
    }
    ts.open(spec, open=True, create=True).result()


def write(kind: str, path: Path, stacks: int, seconds: float) -> dict[str, Any]:
    """Be the writer: bursts of stacks, one every PERIOD; 0 stacks: one after the other, as fast as it goes."""
    create(kind, path)
    write_stack = _plain(path) if kind == "plain" else _flushed(path)
    took, phases, number, bursts = [], [], 0, 0
    started = time.monotonic()
    while (elapsed := time.monotonic() - started) < seconds:
        due = bursts * PERIOD if stacks else elapsed
        if due > elapsed:
            time.sleep(due - elapsed)
        bursts += 1
        began = time.monotonic()
        for _ in range(stacks or 1):
            before = time.perf_counter()
            write_stack(number % _STACKS)
            took.append(time.perf_counter() - before)
            number += 1
        phases.append((began, time.monotonic()))
    return {"took": took, "phases": phases, "stacks": number}


def _plain(path: Path) -> Any:
    pool = os.urandom(STACK + _STACKS)

    def write_stack(number: int) -> None:
        name = str(path / "0" / str(number))
        fd = os.open(name + ".__lock", os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o644)
        os.write(fd, memoryview(pool)[number : number + STACK])
        os.rename(name + ".__lock", name)
        os.close(fd)

    return write_stack


def _flushed(path: Path) -> Any:
    import numpy as np
    import tensorstore as ts

    spec = {
        "driver": "zarr",
        "kvstore": {"driver": "file", "path": str(path)},
        "context": _CONTEXT,
    }
    array = ts.open(spec).result()
    pool = np.random.default_rng(0).normal(110, 6, STACK // 2 + _STACKS).astype("u2")

    def write_stack(number: int) -> None:
        array[number].write(pool[number : number + STACK // 2].reshape(32, 256, 512)).result()

    return write_stack


def run_writer(kind: str, path: Path, stacks: int, seconds: float) -> Any:
    """Wait for a writer; returns what it says."""
    arguments = ["--be-writer", kind, str(path), str(stacks), str(seconds)]
    done = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"the writer failed:\n{done.stderr}")
    return json.loads(done.stdout)


def measure(peer: peers.Peer | None, load: Load, seconds: float, folder: Path, memory: Path, runs: Runs) -> None:
    """Write, with a tool at work or without."""
    work = folder / "run"
    source, destination = work / "source.zarr", memory / "destination.zarr"
    work.mkdir()
    create(load.kind, source)
    (work / "state").symlink_to(folder / "state")
    os.sync()
    tool = peers.follow(peer, source, destination, work) if peer else None
    try:
        deadline = time.monotonic() + _TIMEOUT
        copies = tool is not None and peer is not COUNTING
        while copies and not (destination / ".zarray").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1.0)
        said = run_writer(load.kind, source, load.stacks, seconds)
        if copies:
            runs.left.append(_count_missing(source, destination))
        if tool is not None and tool.poll() is not None:
            sys.exit(f"{peer and peer.name} ended ({tool.returncode}):\n{(work / 'log').read_text()}")
    finally:
        if tool is not None:
            stop(tool)
    # The first bursts are its own warming up, and the copy's: until all stacks are there.
    times = [1e3 * one for one in said["took"][max(2 * load.stacks, min(_STACKS, len(said["took"]) // 4)) :]]
    runs.mean.append(statistics.mean(times))
    runs.p50.append(percentile(times, 50))
    runs.p99.append(percentile(times, 99))
    discard(work, True)
    shutil.rmtree(destination, ignore_errors=True)
    os.sync()


def _count_missing(source: Path, destination: Path) -> int:
    """Count the files that are not at the destination as they are now."""
    missing = 0
    for path in source.rglob("*"):
        copy = destination / path.relative_to(source)
        missing += path.is_file() and not (copy.exists() and copy.stat().st_mtime_ns == path.stat().st_mtime_ns)
    return missing


def calibrate(folder: Path) -> list[Load]:
    """Find how many stacks make the writer work so much of the time."""
    said = run_writer("flushed", folder / "alone", 0, 4.0)
    discard(folder / "alone", True)
    each = statistics.median(said["took"])
    loads = [Load("one stack of 8 MB as it is", "plain", 1, 6, 10)]
    for duty in DUTIES:
        stacks = max(1, round(duty / 100 * PERIOD / each))
        busy = 100 * stacks * each / PERIOD
        name = f"{duty} % at work: {stacks} flushed stacks of 8 MB ({busy:.0f} %)"
        loads.append(Load(name, "flushed", stacks, 6 if duty < 90 else 10, 10 if duty < 90 else None))
    return loads


def compare(load: Load, contenders: list[Any], rounds: int, seconds: float, folder: Path, report: Report) -> None:
    """All tools in turns."""
    runs = {peer.name if peer else NOBODY: Runs() for peer in contenders}
    others = Others()
    memory = Path(tempfile.mkdtemp(prefix="softcopy-benchmark-", dir="/dev/shm"))
    try:
        for number in range(rounds):
            for peer in peers.in_turns(contenders, number):
                measure(peer, load, seconds, folder, memory, runs[peer.name if peer else NOBODY])
    finally:
        shutil.rmtree(memory)
    alone = runs[NOBODY]
    rows = []
    for name, one in runs.items():
        row = [f"**{name}**" if name == peers.MINE else name]
        for values, without in ((one.mean, alone.mean), (one.p50, alone.p50), (one.p99, alone.p99)):
            row.append(f"{statistics.median(values):.1f}")
            row.append("" if one is alone else f"{_worse(values, without):+.0f} %")
        row.append(f"{statistics.median(one.left):.0f}" if one.left else "")
        rows.append(row)
    columns = ["who copies", "mean, ms", "", "p50, ms", "", "p99, ms", "", "stacks left at its end"]
    report.table(f"{load.name}, every {1e3 * PERIOD:.0f} ms; {seconds:.0f} s, {rounds} rounds", columns, rows, others)
    mine = runs[peers.MINE]
    mean, p99 = _worse(mine.mean, alone.mean), _worse(mine.p99, alone.p99)
    goal = f"mean at most +{load.mean_goal} %" + (f", p99 at most +{load.p99_goal} %" if load.p99_goal else "")
    met = mean <= load.mean_goal and (load.p99_goal is None or p99 <= load.p99_goal)
    report.goal(f"write calls, {load.name}", goal, f"mean {mean:+.1f} %, p99 {p99:+.0f} %", met)


def _worse(values: list[float], without: list[float]) -> float:
    """Percent by which values are higher, round for round: the machine changes between rounds."""
    return 100 * (statistics.median(a / b for a, b in zip(values, without, strict=True)) - 1)


def main() -> int:
    """Run it; the exit code is 1 where a goal was missed."""
    parser = common_options(__doc__, seconds=6.0, rounds=3, disk="/var/tmp", loads="0123")
    parser.add_argument("--alone", action="store_true", help="without other tools")
    options = parser.parse_args()
    rounds, seconds = (1, 3.0) if options.quick else (options.rounds, options.seconds)
    report = Report("slowdown", options)
    with workplace(options.disk) as folder:
        warm_up(folder, folder / "state")
        contenders: list[peers.Peer | None] = [
            None,
            *peers.available(peers.for_acquisitions(folder), report.write_line),
        ]
        contenders.insert(1, COUNTING)
        if options.alone:
            contenders = [peer for peer in contenders if peer is None or peer.name == peers.MINE]
        for number, load in enumerate(calibrate(folder)):
            if str(number) in options.loads:
                compare(load, contenders, rounds, seconds, folder, report)
    return report.end()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--be-writer"]:
        kind, place, stacks, duration = sys.argv[2:]
        print(json.dumps(write(kind, Path(place), int(stacks), float(duration))))
        sys.exit(0)
    sys.exit(main())
