"""A live copy: from each chunk file's rename at the source to its rename at the destination.

    python benchmarks/live.py [--rate HZ] [--seconds S] [--quick]

Besides softcopy run a writer, which renames chunk files into place as tensorstore does and notes when, and a
listener, which is told of renames at the destination by inotify and notes when. What is measured includes the
listener's own delay. Linux only.
"""

from __future__ import annotations

import argparse
import filecmp
import os
import shutil
import struct
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
from common import COMMAND, Others, environment, machine, percentile, warm_up, workplace, write_metadata

FOLDER_FILES = 100
GOAL_MS = 100.0
_RECORD = struct.Struct("<IQ")
"""Number of a chunk file, and Unix time in ns."""


def chunk_path(number: int) -> str:
    """Of a chunk file, relative to its array."""
    return f"{number // FOLDER_FILES}/{number % FOLDER_FILES}"


def write_chunks(source: str, record: str, count: int, rate: float, size: int) -> None:
    """Be the writer: lock, write, rename, close; a folder is made when its first chunk comes."""
    pool = os.urandom(size + count)
    late = 0.0
    started = time.perf_counter()
    with open(record, "wb", buffering=1 << 20) as times:
        for number in range(count):
            while (early := started + number / rate - time.perf_counter()) > 0:
                time.sleep(early)
            late = max(late, -early)
            final = f"{source}/{chunk_path(number)}"
            if number % FOLDER_FILES == 0:
                os.makedirs(os.path.dirname(final), exist_ok=True)
            lock = f"{final}.__lock"
            fd = os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            os.write(fd, memoryview(pool)[number : number + size])
            os.rename(lock, final)
            times.write(_RECORD.pack(number, time.time_ns()))
            os.close(fd)
    rate = count / (time.perf_counter() - started)
    print(f"{rate:.0f} chunk files a second, at most {late * 1e3:.0f} ms late")


def listen(destination: str, record: str, folders: int) -> None:
    """Be the listener: note every rename at the destination until standard input ends."""
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
    for folder in range(folders):
        path = f"{destination}/{folder}".encode()
        listener.folders[inotify.add_callback(path, Mask(InotifyConstants.IN_MOVED_TO), listener, 1)] = folder
    inotify.start()
    print("listening", flush=True)
    sys.stdin.read()
    listener.times.flush()
    os._exit(0)  # its thread waits for events for ever


def read_records(path: Path) -> list[tuple[int, int]]:
    """Numbers of chunk files, and times."""
    return list(_RECORD.iter_unpack(path.read_bytes()))


def cpu_seconds(process: psutil.Process) -> float:
    """Used so far by a process and all below it."""
    total = 0.0
    for one in [process, *process.children(recursive=True)]:
        times = one.cpu_times()
        total += times.user + times.system
    return total


def role(name: str, *arguments: str | Path | float) -> list[str]:
    """The command that makes a process of this file a writer or a listener."""
    return [sys.executable, __file__, "--role", name, *map(str, arguments)]


def until_settled(destination: Path, count: int, started: float) -> None:
    """Wait until the last chunk file has arrived, and some more."""
    last = destination / chunk_path(count - 1)
    while not last.exists() and time.monotonic() < started + 30:
        time.sleep(0.05)
    time.sleep(0.5)


def measure(options: argparse.Namespace, folder: Path) -> float:
    """Run it and print what came of it; returns the p99 in ms, or infinity where anything was lost."""
    folders = max(1, round(options.rate * options.seconds / FOLDER_FILES))
    count = folders * FOLDER_FILES
    source, destination = folder / "source", folder / "destination"
    write_metadata(source, folders, FOLDER_FILES, options.size)
    for number in range(folders):  # so that the listener misses none
        (destination / str(number)).mkdir(parents=True)
    sent, got = folder / "sent", folder / "got"
    state = folder / "state"
    command = [*COMMAND, str(source), str(destination), "--nprocs", str(options.nprocs), "--settle", "1"]
    listener = subprocess.Popen(
        role("listen", destination, got, folders), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    others = Others()
    log = open(folder / "log", "w+")  # noqa: SIM115
    softcopy = None
    try:
        assert listener.stdout is not None and listener.stdin is not None
        listener.stdout.readline()
        softcopy = subprocess.Popen(command, env=environment(state), stdout=log, stderr=log)
        while not (destination / ".zarray").exists() and softcopy.poll() is None:
            time.sleep(0.01)
        time.sleep(0.5)
        process = psutil.Process(softcopy.pid)
        before = cpu_seconds(process)
        writer = role("write", source, sent, count, options.rate, options.size)
        done = subprocess.run(writer, check=True, capture_output=True, text=True)
        until_settled(destination, count, time.monotonic())
        used = cpu_seconds(process) - before
        try:
            code = softcopy.wait(30)
        except subprocess.TimeoutExpired:
            code = -1
        listener.stdin.close()
        listener.wait(10)
    finally:
        for left in (softcopy, listener):
            if left is not None and left.poll() is None:
                left.kill()
                left.wait()
        listener.stdout.close()
    log.seek(0)
    if code:
        print(log.read())
    log.close()
    print(f"\n{count:,} chunk files of {options.size >> 10} KiB; the writer: {done.stdout.strip()}")
    print(others)
    return report(source, destination, read_records(sent), read_records(got), used)


def report(
    source: Path, destination: Path, sent: list[tuple[int, int]], got: list[tuple[int, int]], used: float
) -> float:
    """Print the figures; returns the 99th percentile in ms, or infinity where anything was lost."""
    arrived: dict[int, int] = {}
    for number, moment in got:
        arrived.setdefault(number, moment)
    lags = [(arrived[number] - moment) / 1e6 for number, moment in sent if number in arrived]
    lost = [
        number
        for number, _ in sent
        if not os.path.exists(destination / chunk_path(number))
        or not filecmp.cmp(source / chunk_path(number), destination / chunk_path(number), shallow=False)
    ]
    again = sum(times - 1 for times in Counter(number for number, _ in got).values())
    if not lags:
        print("nothing arrived")
        return float("inf")
    print(
        f"lag: p50 {percentile(lags, 50):.1f} ms, p90 {percentile(lags, 90):.1f} ms, "
        f"p99 {percentile(lags, 99):.1f} ms, max {max(lags):.1f} ms"
    )
    # Beyond the percentile there may hide a few that are much slower, such as the first ones.
    slow = [number for number, moment in sent if arrived.get(number, moment) - moment > GOAL_MS * 1e6]
    print(f"slower than {GOAL_MS:.0f} ms: {len(slow)}" + (f" (chunk files {slow[:5]})" if slow else ""))
    unseen = len(sent) - len(lags)
    print(f"lost or torn: {len(lost)}; copied again: {again}; not seen arriving: {unseen}")
    print(f"CPU of the engine and its workers: {used / len(sent) * 1e6:.0f} us a chunk file")
    return float("inf") if lost else percentile(lags, 99)


def main() -> int:
    """Run it; the exit code is 1 where the goal was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rate", type=float, default=500.0, help="chunk files a second  [500]")
    parser.add_argument("--seconds", type=float, help="how long the writer writes  [20; 4 if quick]")
    parser.add_argument("--size", type=int, default=16 << 10, help="bytes of a chunk file  [16384]")
    parser.add_argument("--nprocs", type=int, default=2, help="copy processes of softcopy  [2]")
    parser.add_argument("--rounds", type=int, default=1, help="how often  [1]")
    parser.add_argument("--quick", action="store_true", help="4 s only")
    parser.add_argument("--folder", help="where to work  [/dev/shm]")
    options = parser.parse_args()
    if sys.platform != "linux":
        sys.exit("needs inotify, which only Linux has")
    options.seconds = options.seconds or (4.0 if options.quick else 20.0)
    missed = False
    with workplace(options.folder) as folder:
        print(machine(folder))
        warm_up(folder, folder / "state")
        for _ in range(options.rounds):
            p99 = measure(options, folder)
            missed |= p99 >= GOAL_MS
            word = "reached" if p99 < GOAL_MS else "MISSED"
            print(f"goal: p99 under {GOAL_MS:.0f} ms, nothing lost: {word}")
            shutil.rmtree(folder / "source")
            shutil.rmtree(folder / "destination")
    return 1 if missed else 0


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--role", "write", source, record, count, rate, size]:
            write_chunks(source, record, int(count), float(rate), int(size))
        case ["--role", "listen", destination, record, folders]:
            listen(destination, record, int(folders))
        case _:
            sys.exit(main())
