"""Copies and verifications on Dask workers beside local processes, and what a scheduler costs.

python benchmarks/dask_workers.py --only bulk,verify     1, 2 and 4 workers on this computer
python benchmarks/dask_workers.py --only null            64 workers that copy nothing, 10 million files
"""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from common import COMMAND, age, environment, warm_up, workplace, write_zarray
from report import Report
from report import options as common_options

HERE = Path(__file__).parent
ROWS = ["bulk", "verify", "null"]
WORKERS = (1, 2, 4)
FILES, SIZE = 20_000, 16 << 10
NULL_WORKERS, NULL_FILES, BATCH = 64, 10_000_000, 512
GOAL = 50e-6
"""Seconds of the engine's and the scheduler's processors a file."""


def start(*command: str, ready: str) -> subprocess.Popen[str]:
    """Start a process, and wait until it says that it is ready."""
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if ready in line:
            return process
    raise SystemExit(f"{' '.join(command)} ended")


@contextlib.contextmanager
def scheduler(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """A scheduler: its address, and its process."""
    port = str(18_000 + os.getpid() % 2000)
    process = start(
        *("-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard"),
        ready="Scheduler at",
    )
    # It must be read on, or it stops in the middle of a line.
    subprocess_reader(process)
    try:
        yield f"tcp://127.0.0.1:{port}", psutil.Process(process.pid)
    finally:
        process.kill()
        process.wait()


def subprocess_reader(process: subprocess.Popen[str]) -> None:
    """Read what a process goes on to say."""
    import threading

    assert process.stdout is not None
    threading.Thread(target=process.stdout.read, daemon=True).start()


@contextlib.contextmanager
def workers(address: str, count: int, folder: Path) -> Iterator[None]:
    """So many workers with one thread each."""
    started = []
    try:
        for _ in range(count):
            arguments = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(folder))
            process = start("-m", "distributed.cli.dask_worker", address, *arguments, ready="Registered to")
            subprocess_reader(process)
            started.append(process)
        yield
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait()


def make_dataset(folder: Path, files: int) -> Path:
    """20,000 files of 16 KiB in folders of a hundred."""
    source = folder / "source"
    write_zarray(source, [files // 100, 100 * SIZE], [1, SIZE], "/")
    for number in range(files):
        path = source / str(number // 100) / str(number % 100)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(os.urandom(16) * (SIZE // 16))
    age(source)
    return source


def run(arguments: list[str], state: Path) -> float:
    """Run the command; return the seconds that it took."""
    started = time.perf_counter()
    done = subprocess.run([*COMMAND, *arguments], env=environment(state), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"softcopy failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return time.perf_counter() - started


def measure_command(report: Report, row: str, folder: Path, scale: float) -> None:
    """Copy, or verify, with local processes and with workers of a cluster."""
    report.row = row
    source = make_dataset(folder, int(FILES * scale) // 100 * 100)
    copy = folder / "copy"
    told = []
    run([str(source), str(copy), "--finish-idle", "0"], folder / "state")
    with scheduler(folder) as (address, _):
        for kind in ("local", "Dask"):
            for count in WORKERS:
                own = ["--nprocs", str(count)] + (["--dask", address] if kind == "Dask" else [])
                with contextlib.nullcontext() if kind == "local" else workers(address, count, folder):
                    if row == "bulk":
                        shutil.rmtree(copy)
                        seconds = run([str(source), str(copy), "--finish-idle", "0", *own], folder / "state")
                    else:
                        seconds = run(["verify", str(source), str(copy), *own], folder / "state")
                told.append([kind, count, f"{seconds:.1f} s"])
    files = int(FILES * scale) // 100 * 100
    what = "Copy" if row == "bulk" else "Verify with the source"
    report.table(f"{what} {files:,} files of 16 KiB in memory", ["processes", "number", "time"], told)
    shutil.rmtree(source)
    shutil.rmtree(copy)


def measure_null(report: Report, folder: Path, scale: float) -> None:
    """Hand 10 million files to 64 workers that copy nothing: what the engine and the scheduler take."""
    from softcopy_napari.engine.dask_workers.dask_host import DaskHost
    from softcopy_napari.engine.dispatch.worker_pool import WorkerAnswer, WorkerDied, WorkerPool, is_final
    from softcopy_napari.engine.worker.tasks import CopyTask, Setup

    report.row = "null"
    files = int(NULL_FILES * scale)
    with scheduler(folder) as (address, process):
        null = start(str(HERE / "dask_null_workers.py"), address, str(NULL_WORKERS), ready="ready")
        subprocess_reader(null)
        inbox: queue.SimpleQueue[WorkerAnswer | WorkerDied] = queue.SimpleQueue()
        setup = Setup(str(folder), str(folder / "none"), "0a1b2c3d", "", 0.0, effort=2.0)
        pool = WorkerPool(setup, NULL_WORKERS, inbox.put, None, DaskHost(address, setup, NULL_WORKERS))
        try:
            deadline = time.monotonic() + 300
            while sum(worker.takes(CopyTask) for worker in pool.workers) < NULL_WORKERS:
                pool.start_missing(time.monotonic())
                time.sleep(0.05)
                if time.monotonic() > deadline:
                    raise SystemExit("the null workers did not come")
            own = psutil.Process()
            before, started = cpu(own) + cpu(process), time.perf_counter()
            left = done = 0
            while done < files:
                for worker in pool.workers:
                    while left < files and worker.free_slots(CopyTask) > 0:
                        batch = [f"c/{number >> 9}/{number & 511}" for number in range(left, left + BATCH)]
                        pool.send(worker, CopyTask(pool.new_id(), batch))
                        left += BATCH
                message = inbox.get(timeout=120)
                if isinstance(message, WorkerDied):
                    raise SystemExit("a null worker was lost")
                if pool.note_answer(message, is_final(message.answer)) is not None and is_final(message.answer):
                    done += len(message.answer.outcomes)  # type: ignore[union-attr]
            seconds = time.perf_counter() - started
            used = cpu(own) + cpu(process) - before
        finally:
            pool.stop()
            null.kill()
            null.wait()
    told = [[f"{done:,}", f"{used / done * 1e6:.1f} us", f"{seconds / done * 1e6:.1f} us", f"{done / seconds:,.0f}"]]
    columns = ["files", "processor time a file", "time a file", "files a second"]
    report.table(f"{NULL_WORKERS} workers that copy nothing, {BATCH} files a task: engine and scheduler", columns, told)
    met = used / done < GOAL
    report.goal("overhead of Dask", f"under {GOAL * 1e6:.0f} us a file", f"{used / done * 1e6:.1f} us", met)


def cpu(process: psutil.Process) -> float:
    """Seconds of the processor that a process has used."""
    times = process.cpu_times()
    return float(times.user + times.system)


def main() -> int:
    """Run it; the exit code is 1 where a goal was missed."""
    options: Any = common_options(__doc__, only=",".join(ROWS)).parse_args()
    report = Report("dask_workers", options, ROWS)
    with workplace(options.folder) as folder:
        warm_up(folder, folder / "state")
        for row in options.only.split(","):
            if row == "null":
                os.environ["SOFTCOPY_STATE_DIR"] = str(folder / "state")
                measure_null(report, folder, options.scale)
            else:
                measure_command(report, row, folder, options.scale)
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
