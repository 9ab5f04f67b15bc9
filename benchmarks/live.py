"""A live copy: from each chunk file's rename at the source to its arrival at the destination.

    python benchmarks/live.py [--rates HZ,HZ] [--seconds S] [--rounds N] [--quick] [--write]

Besides the tool run a writer, which renames chunk files into place as tensorstore does and notes when, and a
listener, which is told by inotify of renames (and, for tools that copy in place, of closing) at the destination and
notes when. What is measured includes the listener's own delay. Linux only.
"""

from __future__ import annotations

import argparse
import filecmp
import os
import shutil
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import peers
from common import Others, percentile, spread, stop, tree_cpu, turn, warm_up, workplace, write_metadata
from report import Report
from report import options as common_options

FOLDER_FILES = 100
SIZE = 16 << 10
P50_MS, P99_MS = 10.0, 100.0
CPU_US = {500: 400, 2000: 200}
_PATIENCE = 20.0
_LOST_AFTER = 10.0
_RECORD = struct.Struct("<IQ")
"""Number of a chunk file, and Unix time in ns."""


def chunk_path(number: int) -> str:
    """Of a chunk file, relative to its array."""
    return f"{number // FOLDER_FILES}/{number % FOLDER_FILES}"


def write_chunks(source: str, record: str, count: int, rate: float) -> None:
    """Be the writer: lock, write, rename, close; a folder is made when its first chunk comes."""
    pool = os.urandom(SIZE + count)
    started = time.perf_counter()
    with open(record, "wb", buffering=1 << 20) as times:
        for number in range(count):
            while (early := started + number / rate - time.perf_counter()) > 0:
                time.sleep(early)
            final = f"{source}/{chunk_path(number)}"
            if number % FOLDER_FILES == 0:
                os.makedirs(os.path.dirname(final), exist_ok=True)
            lock = f"{final}.__lock"
            fd = os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            os.write(fd, memoryview(pool)[number : number + SIZE])
            os.rename(lock, final)
            times.write(_RECORD.pack(number, time.time_ns()))
            os.close(fd)
    print(count / (time.perf_counter() - started))


def listen(destination: str, record: str, folders: int) -> None:
    """Be the listener: note every arrival at the destination until standard input ends."""
    from watchdog.observers.inotify_c import InotifyConstants, InotifyFD, Mask

    class Listener:
        def __init__(self) -> None:
            self.folders: dict[int, int] = {}
            self.times = open(record, "wb", buffering=1 << 20)  # noqa: SIM115

        def on_event(self, event: object) -> None:
            now = time.time_ns()
            name = event.name  # type: ignore[attr-defined]
            if name.isdigit():
                folder = self.folders[event.wd]  # type: ignore[attr-defined]
                self.times.write(_RECORD.pack(folder * FOLDER_FILES + int(name), now))

        def on_watch_deleted(self, _: object) -> None:
            pass

        def on_queue_overflow(self, *_: object) -> None:
            print("the listener lost events", file=sys.stderr)

    listener, inotify = Listener(), InotifyFD()
    mask = Mask(InotifyConstants.IN_MOVED_TO | InotifyConstants.IN_CLOSE_WRITE)
    for folder in range(folders):
        path = f"{destination}/{folder}".encode()
        listener.folders[inotify.add_callback(path, mask, listener, 1)] = folder
    inotify.start()
    print("listening", flush=True)
    sys.stdin.read()
    listener.times.flush()
    os._exit(0)  # its thread waits for events for ever


def read_records(path: Path) -> list[tuple[int, int]]:
    """Numbers of chunk files, and times."""
    data = path.read_bytes()
    return list(_RECORD.iter_unpack(data[: len(data) // _RECORD.size * _RECORD.size]))


def role(name: str, *arguments: str | Path | float) -> list[str]:
    """The command that makes a process of this file a writer or a listener."""
    return [sys.executable, __file__, "--role", name, *map(str, arguments)]


@dataclass
class Run:
    """What one tool did with one acquisition."""

    sent: int
    lags: list[float]
    """In ms, of those chunk files that were seen arriving."""
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


def measure(peer: peers.Peer, rate: float, seconds: float, folder: Path) -> Run:
    """Let a tool follow an acquisition."""
    folders = max(1, round(rate * seconds / FOLDER_FILES))
    count = folders * FOLDER_FILES
    work = folder / "run"
    source, destination = work / "source.zarr", work / "destination.zarr"
    write_metadata(source, folders, FOLDER_FILES, SIZE)
    for number in range(folders):  # so that the listener misses none
        (destination / str(number)).mkdir(parents=True)
    sent, got = work / "sent", work / "got"
    (work / "state").symlink_to(folder / "state")
    listener = subprocess.Popen(
        role("listen", destination, got, folders), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert listener.stdout is not None and listener.stdin is not None
    listener.stdout.readline()
    tool = peers.follow(peer, source, destination, work)
    try:
        # The older softcopy starts slowly: the writer waits until each has begun.
        until((destination / ".zarray").exists, _PATIENCE)
        time.sleep(2.5)
        before = tree_cpu(tool.pid)
        done = subprocess.run(role("write", source, sent, count, rate), check=True, capture_output=True, text=True)
        until(lambda: (destination / chunk_path(count - 1)).exists(), _LOST_AFTER)
        time.sleep(1.0)
        used = tree_cpu(tool.pid) - before
        until(lambda: all((destination / chunk_path(n)).exists() for n in range(count)), _LOST_AFTER)
        if tool.poll() is not None:
            sys.exit(f"{peer.name} ended ({tool.returncode}):\n{(work / 'log').read_text()}")
        listener.stdin.close()
        listener.wait(10)
    finally:
        stop(tool)
        listener.kill()
        listener.wait()
        listener.stdout.close()
    arrived: dict[int, int] = {}
    for number, moment in read_records(got):
        arrived.setdefault(number, moment)
    written = read_records(sent)
    lags = [(arrived[number] - moment) / 1e6 for number, moment in written if number in arrived]
    took = (max(arrived.values(), default=0) - written[0][1]) / 1e9
    lost = sum(not equal(source / chunk_path(n), destination / chunk_path(n)) for n in range(count))
    shutil.rmtree(work)
    return Run(count, lags, lost, used / count * 1e6, float(done.stdout), took)


def equal(one: Path, other: Path) -> bool:
    """Whether both are there and hold the same."""
    return other.exists() and filecmp.cmp(one, other, shallow=False)


def tell(rate: int, runs: dict[str, list[Run]], others: Others, report: Report) -> None:
    """A table, and the goals."""
    rows = []
    figures: dict[str, tuple[float, float, int, float]] = {}
    for name, each in runs.items():
        # Of rounds, the median of their percentiles, and all that was lost.
        p50s = [percentile(run.lags, 50) if run.lags else float("inf") for run in each]
        p99s = [percentile(run.lags, 99) if run.lags else float("inf") for run in each]
        lost = sum(run.lost for run in each)
        cpu = statistics.median(run.cpu_us for run in each)
        figures[name] = statistics.median(p50s), statistics.median(p99s), lost, cpu
        longest = max((max(run.lags) for run in each if run.lags), default=float("inf"))
        rows.append(
            [
                f"**{name}**" if name == peers.MINE else name,
                spread(p50s, 1),
                spread(p99s, 1),
                f"{longest:,.0f}",
                lost,
                f"{cpu:,.0f}",
                f"{figures[name][0] / figures[peers.MINE][0]:,.1f}",
            ]
        )  # fmt: skip
    sent = next(iter(runs.values()))[0]
    title = (
        f"{rate:,} chunk files of {SIZE >> 10} KiB a second ({sent.sent:,} in each of {len(runs[peers.MINE])} rounds)"
    )
    columns = ["tool", "p50 ms", "p99 ms", "longest ms", "lost", "CPU us a chunk file", "p50, times softcopy's"]
    report.table(title, columns, rows, others)
    p50, p99, lost, cpu = figures[peers.MINE]
    peer_p50 = min((f[0] for name, f in figures.items() if name != peers.MINE), default=float("nan"))
    report.goal(
        f"live, {rate:,} chunk files a second",
        f"p50 {P50_MS:.0f} ms, p99 {P99_MS:.0f} ms, none lost",
        f"p50 {p50:.1f} ms (best peer {peer_p50:,.1f} ms), p99 {p99:.1f} ms, {lost} lost",
        p50 < P50_MS and p99 < P99_MS and not lost,
    )
    if rate in CPU_US:
        report.goal(f"CPU a chunk file, {rate:,} a second", f"{CPU_US[rate]} us", f"{cpu:.0f} us", cpu <= CPU_US[rate])


def run(options: argparse.Namespace, report: Report) -> None:
    """All rates, the tools in turns."""
    rounds = 1 if options.quick else options.rounds
    seconds = 4.0 if options.quick else options.seconds
    with workplace(options.folder) as folder:
        warm_up(folder, folder / "state")
        contenders = peers.available(peers.for_acquisitions(folder / "run", options.nprocs), report.say)
        for rate in map(int, options.rates.split(",")):
            runs: dict[str, list[Run]] = {peer.name: [] for peer in contenders}
            others = Others()
            for number in range(rounds):
                with turn():
                    others = others if number else Others()
                    for peer in peers.in_turns(contenders, number):
                        runs[peer.name].append(measure(peer, rate, seconds, folder))
            tell(rate, runs, others, report)


def main() -> int:
    """Run it; the exit code is 1 where a goal was missed."""
    parser = common_options(__doc__, rates="100,500,2000", seconds=3.0, rounds=2, nprocs=2)
    options = parser.parse_args()
    if sys.platform != "linux":
        sys.exit("needs inotify, which only Linux has")
    report = Report("live", options)
    run(options, report)
    return report.end()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--role", "write", source, record, count, rate]:
            write_chunks(source, record, int(count), float(rate))
        case ["--role", "listen", destination, record, folders]:
            listen(destination, record, int(folders))
        case _:
            sys.exit(main())
