"""How cost grows with chunk files, each in a folder of its own, and how long "complete" takes after the last chunk.

    python benchmarks/growth.py [--most N] [--scale S] [--write]

For 10,000 chunk files to a million (`--most 10000000` for ten; that needs 160 GB of memory or a disk): all but the last
are copied, then the last one comes with a file named `complete`, and the time until the command ends is taken. Then the
same command once more, with nothing to do. `cp -r` and `rsync -a` do the same. Chunk files are of 64 bytes.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import AN_HOUR, COMMAND, Others, environment, stop, tree_cpu, warm_up, workplace, write_zarray
from conditions import Ballast
from report import Report
from report import options as common_options

from softcopy_napari.engine.client import EngineGone, engines
from softcopy_napari.engine.protocol.messages import EngineSnapshot
from softcopy_napari.engine.states import TargetState

PLANES = 1000
"""Folders of chunk files in a folder."""
CHUNK = 64
ROOM = 6 << 10
"""Bytes of memory that a file takes with its folder, small as it is."""
MOST_WATCHES = 20_000
REST = 10.0
_TIMEOUT = 900.0


def goal_mb(chunk_files: int) -> float:
    """What an engine may take: 100 MB, and 2 bytes a chunk file."""
    return 100 + 2 * chunk_files / 1e6


def promise(path: Path, count: int) -> None:
    """Make an array of so many chunk files (rounded up to thousands), without any."""
    write_zarray(path, [-(-count // PLANES), PLANES, CHUNK], [1, 1, CHUNK], "/")


def write_all(path: Path, count: int) -> None:
    """Write the first chunk files of an array, an hour old."""
    then = time.time_ns() - AN_HOUR
    for number in range(count):
        name = chunk(path, number)
        os.makedirs(os.path.dirname(name))
        fd = os.open(name, os.O_WRONLY | os.O_CREAT, 0o644)
        os.write(fd, number.to_bytes(CHUNK, "little"))
        os.utime(fd, ns=(then, then))
        os.close(fd)


def chunk(path: Path, number: int) -> str:
    return f"{path}/{number // PLANES}/{number % PLANES}/0"


def start(command: list[str], state: Path) -> subprocess.Popen[Any]:
    """In a session of its own, so that all of it can be ended."""
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, env=environment(state), stdout=quiet, stderr=quiet, start_new_session=True)


def snapshot(state: Path) -> EngineSnapshot | None:
    """Of the one engine that runs here."""
    os.environ["SOFTCOPY_STATE_DIR"] = str(state)
    for handle in engines():
        with contextlib.suppress(EngineGone, ValueError):
            return handle.snapshot()
        handle.close()
    return None


def until_copied(wanted: int, state: Path, process: subprocess.Popen[Any]) -> None:
    """Wait until so many chunk files have been copied, and nothing is being looked at."""
    deadline = time.monotonic() + _TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        now = snapshot(state)
        targets = now.targets if now else ()
        copied = sum(target.chunk_files_copied for target in targets)
        if targets and copied >= wanted and all(target.state is TargetState.CAUGHT_UP for target in targets):
            return
        time.sleep(0.1)
    sys.exit(f"softcopy did not copy {wanted:,} chunk files (exit code {process.poll()})")


def timed(command: list[str], state: Path) -> float:
    """Seconds of a whole command."""
    began = time.perf_counter()
    done = subprocess.run(command, env=environment(state), capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{command} failed ({done.returncode}):\n{done.stdout}{done.stderr}")
    return time.perf_counter() - began


def peak(pid: int) -> float:
    """MB that a process has used at most."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) / 1e3 for line in status if line.startswith("VmHWM:"))


def watches(pid: int) -> int:
    """Folders that a process has the system watch."""
    return sum(path.read_text().count("inotify wd:") for path in Path(f"/proc/{pid}/fdinfo").iterdir())


@dataclass
class Cost:
    """Of one number of chunk files; seconds."""

    files: int
    copy: float
    cpu: float
    watches: int
    rest: float
    """Of a core, when all is copied and nothing happens."""
    finish: float
    again: float
    memory: float
    """MB, the engine's peak."""
    cp: float
    rsync_again: float


def of_files(count: int, nprocs: int, folder: Path) -> Cost:
    """Copy, finish, and do nothing."""
    source, destination, state = folder / "source.zarr", folder / "destination.zarr", folder / "state"
    promise(source, count)
    write_all(source, count - 1)
    with Ballast(count * ROOM) as ballast:
        ballast.drop()
        cp = timed(["cp", "-r", str(source), str(folder / "cp")], state)
        subprocess.run(["rm", "-rf", str(folder / "cp")], check=True)
        ballast.hold()
    command = [*COMMAND, str(source), str(destination), "--nprocs", str(nprocs), "--settle", "0"]
    began = time.perf_counter()
    process = start(command, state)
    try:
        until_copied(count - 1, state, process)
        copied, cpu = time.perf_counter() - began, tree_cpu(process.pid)
        time.sleep(2.0)
        watched, before = watches(process.pid), tree_cpu(process.pid)
        time.sleep(REST)
        rest = (tree_cpu(process.pid) - before) / REST
        last = chunk(source, count - 1)
        os.makedirs(os.path.dirname(last), exist_ok=True)
        Path(f"{last}.__lock").write_bytes(bytes(CHUNK))
        os.rename(f"{last}.__lock", last)
        memory = peak(process.pid)
        (source / "complete").touch()
        began = time.perf_counter()
        if process.wait(_TIMEOUT):
            sys.exit(f"softcopy did not complete ({process.returncode})")
        finish = time.perf_counter() - began
    finally:
        stop(process)
    again = timed(command, state)
    rsync = timed(["rsync", "-a", f"{source}/", f"{destination}/"], state) if shutil.which("rsync") else 0.0
    subprocess.run(["rm", "-rf", *map(str, folder.glob("*.zarr*"))], check=True)
    return Cost(count, copied, cpu, watched, rest, finish, again, memory, cp, rsync)


def report_results(costs: list[Cost], others: Others, report: Report) -> None:
    """The table, and the goals."""
    rows = [
        [
            f"{c.files:,}", f"{c.copy:.1f}", f"{c.cp / c.copy:.2f}", f"{c.cpu / c.files * 1e6:.0f}", f"{c.watches:,}",
            f"{c.memory:.0f}", f"{100 * c.rest:.1f} %", f"{c.finish:.2f}", f"{c.again:.2f}", f"{c.rsync_again:.2f}",
        ]
        for c in costs
    ]  # fmt: skip
    columns = [
        "chunk files", "copied after, s", "x `cp -r`", "CPU us each", "watches", "engine's peak MB",
        "of a core at rest", "last chunk to complete, s", "again, s", "`rsync -a` again, s",
    ]  # fmt: skip
    report.table("As chunk files grow, each in a folder of its own", columns, rows, others)
    last, what = costs[-1], f"{costs[-1].files:,} chunk files, nested"
    report.goal(what, f"under {MOST_WATCHES:,} watches", f"{last.watches:,}", last.watches < MOST_WATCHES)
    limit = goal_mb(last.files)
    report.goal(f"{what}: engine's memory", f"{limit:.0f} MB", f"{last.memory:.0f} MB", last.memory <= limit)
    if len(costs) > 1:
        growth = (last.cpu / last.files) / (costs[-2].cpu / costs[-2].files)
        of_cp = (last.cp / last.files) / (costs[-2].cp / costs[-2].files)
        report.goal(
            f"{what}: CPU a chunk file",
            f"as at {costs[-2].files:,} (at most 1.1 x)",
            f"{growth:.2f} x (a file's time with cp -r {of_cp:.2f} x)",
            growth <= 1.1,
        )


def main() -> int:
    """Run it; the exit code is 1 where a goal was missed."""
    parser = common_options(__doc__, most=1_000_000, nprocs=2)
    options = parser.parse_args()
    report = Report("growth", options)
    with workplace(options.folder) as folder:
        warm_up(folder, folder / "state")
        others = Others()
        most = int(options.scale * options.most)
        counts = [10**power for power in range(3, 9) if most / 100 <= 10**power <= most]
        report_results([of_files(count, options.nprocs, folder) for count in counts], others, report)
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
