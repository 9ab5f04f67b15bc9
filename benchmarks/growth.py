"""How cost grows with chunk files and targets, and how long "complete" takes after the writer's last chunk.

    python benchmarks/growth.py [--most N] [--quick] [--write]

For 10,000 chunk files to a million (`--most 10000000` for ten; that needs 80 GB of memory or a disk): all but the last
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

import psutil
from common import AN_HOUR, COMMAND, Others, environment, stop, tree, tree_cpu, turn, warm_up, workplace, write_metadata
from conditions import Ballast
from plot import draw
from report import Report
from report import options as common_options

from softcopy_napari.engine.client import EngineGone, engines
from softcopy_napari.engine.protocol.messages import EngineSnapshot
from softcopy_napari.engine.states import TargetState

FOLDER_FILES = 1000
CHUNK = 64
TARGETS = (1, 4, 16, 64)
TARGETS_FILES = 64_000
ROOM = 6 << 10
"""Bytes of memory that a file takes, small as it is."""
WALK_RATE = 100_000
AGAIN_MOST = 100_000
"""Beyond, a second run takes too long for `make bench`."""
PLOT = Path(__file__).parents[1] / "docs" / "images" / "growth.svg"
_PATIENCE = 300.0


def write_all(path: Path, count: int) -> None:
    """All chunk files but the last, an hour old."""
    write_metadata(path, -(-count // FOLDER_FILES), min(count, FOLDER_FILES), CHUNK)
    then = time.time_ns() - AN_HOUR
    for number in range(count - 1):
        if number % FOLDER_FILES == 0:
            (path / str(number // FOLDER_FILES)).mkdir()
        fd = os.open(chunk(path, number), os.O_WRONLY | os.O_CREAT, 0o644)
        os.write(fd, number.to_bytes(CHUNK, "little"))
        os.utime(fd, ns=(then, then))
        os.close(fd)
    (path / str((count - 1) // FOLDER_FILES)).mkdir(exist_ok=True)


def chunk(path: Path, number: int) -> str:
    return f"{path}/{number // FOLDER_FILES}/{number % FOLDER_FILES}"


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
    """Wait until so many chunk files of all targets have been copied, and nothing is being looked at."""
    deadline = time.monotonic() + _PATIENCE
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


@dataclass
class Cost:
    """Of one number of chunk files; seconds."""

    files: int
    copy: float
    cpu: float
    finish: float
    finish_cpu: float
    again: float
    """0 where it was not tried; so for rsync."""
    memory: float
    """MB, the engine's peak."""
    cp: float
    rsync_again: float


def of_files(count: int, nprocs: int, folder: Path) -> Cost:
    """Copy, finish, and do nothing."""
    source, destination, state = folder / "source.zarr", folder / "destination.zarr", folder / "state"
    write_all(source, count)
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
        memory = peak(process.pid)
        time.sleep(2.0)
        before = tree_cpu(process.pid), sum(os.times()[2:4])
        lock = f"{chunk(source, count - 1)}.__lock"
        Path(lock).write_bytes(bytes(CHUNK))
        os.rename(lock, chunk(source, count - 1))
        (source / "complete").touch()
        began = time.perf_counter()
        if process.wait(_PATIENCE):
            sys.exit(f"softcopy did not complete ({process.returncode})")
        finish = time.perf_counter() - began
        finish_cpu = sum(os.times()[2:4]) - before[1] - before[0]
    finally:
        stop(process)
    again = timed(command, state) if count <= AGAIN_MOST else 0.0
    rsync = timed(["rsync", "-a", f"{source}/", f"{destination}/"], state) if shutil.which("rsync") else 0.0
    subprocess.run(["rm", "-rf", *map(str, folder.glob("*.zarr*"))], check=True)
    return Cost(count, copied, cpu, finish, finish_cpu, again, memory, cp, rsync)


def peak(pid: int) -> float:
    """MB that a process has used at most."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) / 1e3 for line in status if line.startswith("VmHWM:"))


def of_targets(count: int, folder: Path) -> list[str]:
    """The same chunk files, shared out among targets: a line of the table."""
    each = TARGETS_FILES // count
    lines = ["targets:"]
    for number in range(count):
        write_all(folder / f"s{number}.zarr", each + 1)
        os.rmdir(folder / f"s{number}.zarr" / str(each // FOLDER_FILES)) if each % FOLDER_FILES == 0 else None
        lines += [f"  - source: {folder}/s{number}.zarr", f"    destination: {folder}/d{number}.zarr"]
    (folder / "targets.yaml").write_text("\n".join(lines) + "\n")
    began = time.perf_counter()
    process = start([*COMMAND, str(folder / "targets.yaml"), "--nprocs", "1", "--settle", "3600"], folder / "state")
    try:
        until_copied(each * count, folder / "state", process)
        seconds, cpu = time.perf_counter() - began, tree_cpu(process.pid)
        processes = tree(process.pid)
        total = 0.0
        for one in processes:
            with contextlib.suppress(psutil.Error):
                total += one.memory_full_info().pss / 1e6
        time.sleep(2.0)
        before = tree_cpu(process.pid)
        time.sleep(3.0)
        rest = (tree_cpu(process.pid) - before) / 3.0
        engine = peak(process.pid)
    finally:
        stop(process)
    subprocess.run(["rm", "-rf", *map(str, folder.glob("[sd]*.zarr*"))], check=True)
    return [
        f"{count}", f"{seconds:.1f}", f"{cpu:.1f}", f"{cpu / (each * count) * 1e6:.0f}", f"{len(processes)}",
        f"{total:,.0f}", f"{engine:.0f}", f"{100 * rest:.1f} %",
    ]  # fmt: skip


def tell(costs: list[Cost], others: Others, report: Report) -> None:
    """The table, the plot, the goals."""
    rows = [
        [
            f"{c.files:,}", f"{c.copy:.1f}", f"{c.cpu / c.files * 1e6:.0f}", f"{c.cp / c.copy:.2f}", f"{c.finish:.2f}",
            f"{c.files / c.finish:,.0f}", f"{c.finish_cpu:.1f}", f"{c.again:.2f}" if c.again else "",
            f"{c.rsync_again:.2f}", f"{c.rsync_again / c.again:.2f}" if c.again else "", f"{c.memory:.0f}",
        ]
        for c in costs
    ]  # fmt: skip
    columns = [
        "chunk files", "copied after, s", "CPU us each", "times as fast as `cp -r`", "last chunk to complete, s",
        "chunk files/s", "its CPU s", "again, nothing to do, s", "`rsync -a` again, s", "times as fast",
        "engine's peak MB",
    ]  # fmt: skip
    report.table("As chunk files grow", columns, rows, others)
    lines = {
        "copy": [(c.files, c.copy) for c in costs],
        "last chunk to complete": [(c.files, c.finish) for c in costs],
        "again, nothing to do": [(c.files, c.again) for c in costs if c.again],
        "cp -r": [(c.files, c.cp) for c in costs],
        "rsync -a, nothing to do": [(c.files, c.rsync_again) for c in costs if c.rsync_again],
    }
    if report.options.write and len(costs) > 1:
        draw(PLOT, lines, "chunk files", "seconds")
    last, before = costs[-1], costs[-2]
    rate = last.files / last.finish
    report.goal(
        f"last chunk to complete, {last.files:,} chunk files",
        f"{WALK_RATE:,} files/s",
        f"{last.finish:.1f} s, {rate:,.0f} files/s",
        rate >= WALK_RATE,
    )
    growth = (last.cpu / last.files) / (before.cpu / before.files)
    of_cp = (last.cp / last.files) / (before.cp / before.files)
    report.goal(
        f"cost as it grows, {before.files:,} to {last.files:,} chunk files",
        "linear or better",
        f"CPU a chunk file x {growth:.2f} (a file's time with cp -r x {of_cp:.2f})",
        growth <= 1.1,
    )


def main() -> int:
    """Run it; the exit code is 1 where a goal was missed."""
    parser = common_options(__doc__, most=1_000_000, nprocs=2)
    options = parser.parse_args()
    most = 100_000 if options.quick else options.most
    report = Report("growth", options)
    with workplace(options.folder) as folder:
        warm_up(folder, folder / "state")
        counts = [10**power for power in range(4, 9) if 10**power <= most]
        costs = []
        others = Others()
        for number, count in enumerate(counts):
            with turn():
                others = others if number else Others()
                costs.append(of_files(count, options.nprocs, folder))
        tell(costs, others, report)
        others = Others()
        rows = []
        for number, count in enumerate(TARGETS):
            with turn():
                others = others if number else Others()
                rows.append(of_targets(count, folder))
        columns = [
            "targets", "copied after, s", "CPU s", "CPU us each", "processes", "MB of all (PSS)", "engine's peak MB",
            "of a core at rest",
        ]  # fmt: skip
        title = f"{TARGETS_FILES:,} chunk files shared out among targets of one copy process each"
        report.table(title, columns, rows, others)
        report.goal(
            f"cost as it grows, {TARGETS[0]} to {TARGETS[-1]} targets, the same {TARGETS_FILES:,} chunk files",
            "linear or better",
            f"CPU x {float(rows[-1][2]) / float(rows[0][2]):.2f}",
            float(rows[-1][2]) <= TARGETS[-1] * float(rows[0][2]),
        )
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
