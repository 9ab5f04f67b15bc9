"""What an open napari costs a copy: the same dataset copied with the dock showing it live, and without napari.

    xvfb-run -a -s "-screen 0 1280x1024x24" python benchmarks/napari_cost.py [--rounds N]

Both kinds of round take turns. With napari, its dock finds the copy by itself and shows image and overlay; with
software drawing that takes more of the machine than a graphics card would leave to do. First during an acquisition;
then of a dataset that is there already, from disk to disk. (In memory such a copy lasts as long as napari takes to
open its layers: that is not measured.)
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import live
import peers
import psutil
from common import (
    COMMAND,
    Others,
    age,
    environment,
    percentile,
    spread,
    warm_up,
    workplace,
    write_zarray,
)
from conditions import Ballast, discard, drop_caches
from report import Report
from report import options as common_options

_READY = "ready"
_RATE, _SECONDS = 500, 8.0
_KINDS = (False, "without napari"), (True, "with napari")

T = TypeVar("T")


def show() -> None:
    """Be the napari: an open dock, until stdin is closed."""
    import threading

    import napari
    from qtpy.QtCore import QTimer

    from softcopy_napari.plugin.dock.dock_widget import SoftcopyWidget

    viewer = napari.Viewer()
    viewer.window.add_dock_widget(SoftcopyWidget(viewer), name="Softcopy", area="right")
    shown: set[int] = set()
    timer = QTimer()
    timer.timeout.connect(lambda: shown.update(map(id, viewer.layers)))
    timer.start(100)
    QTimer.singleShot(0, lambda: print(_READY, flush=True))
    closed = threading.Thread(target=sys.stdin.read, daemon=True)
    closed.start()
    ending = QTimer()
    ending.timeout.connect(lambda: None if closed.is_alive() else viewer.close())
    ending.start(100)
    napari.run()
    print(len(shown), flush=True)


def write_frames(path: Path, frames: int) -> None:
    """Make an array of frames, each a chunk file of 1 MiB, all an hour old: planes as a camera has them."""
    write_zarray(path, [frames, 1024, 1024], [1, 1024, 1024], ".")
    pool = os.urandom((1 << 20) + frames)  # each is another window of it: no two are equal
    for frame in range(frames):
        (path / f"{frame}.0.0").write_bytes(pool[frame : frame + (1 << 20)])
    age(path)


def copy(source: Path, destination: Path, state: Path, nprocs: int, ballast: Ballast) -> float:
    """Time one copy, with cold caches, and until all of it has been written."""
    command = [*COMMAND, str(source), str(destination), "--finish-idle", "0", "--nprocs", str(nprocs)]
    drop_caches()
    ballast.drop()
    started = time.perf_counter()
    done = subprocess.run(command, env=environment(state), capture_output=True, text=True)
    subprocess.run(["sync", "--file-system", destination], check=True)
    seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"softcopy failed ({done.returncode}):\n{done.stdout}{done.stderr}")
    discard(destination, disk=True)
    ballast.hold()
    return seconds


def at_rest(process: psutil.Process) -> None:
    """Wait until it has opened all that it opens by itself."""
    used, before = 1.0, sum(process.cpu_times()[:2])
    while used > 0.1:
        time.sleep(1.0)
        now = sum(process.cpu_times()[:2])
        used, before = now - before, now


@contextlib.contextmanager
def napari_open(state: Path, layers: list[int]) -> Iterator[None]:
    """Have napari open; afterwards `layers` has, too, how many it showed."""
    viewer = subprocess.Popen(
        [sys.executable, __file__, "--show"],
        env=environment(state),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert viewer.stdout is not None
    while viewer.stdout.readline().strip() != _READY:
        if viewer.poll() is not None:
            sys.exit("napari could not be started: is there a display?")
    at_rest(psutil.Process(viewer.pid))
    yield
    said, _ = viewer.communicate(timeout=60)
    layers.append(int(said.split()[-1]))


def in_turns(options: argparse.Namespace, state: Path, copied: Callable[[], T]) -> dict[bool, list[T]]:
    """Without, with, with, without napari: no kind always comes first."""
    found: dict[bool, list[T]] = {False: [], True: []}
    layers: list[int] = []
    for number in range(2 if options.quick else 2 * options.rounds):
        shown = number % 4 in (1, 2)
        with napari_open(state, layers) if shown else contextlib.nullcontext():
            found[shown].append(copied())
    if not any(layers):
        sys.exit("napari showed nothing of the copy: nothing was measured")
    return found


def report_cost(what: str, seconds: dict[bool, float], report: Report) -> None:
    """Tell whether it took too much longer with napari."""
    slower = 100 * (seconds[True] / seconds[False] - 1)
    report.goal(what, "at most 5 % slower", f"{slower:+.1f} %", slower <= 5)


def measure_live(folder: Path, options: argparse.Namespace, report: Report) -> None:
    """A copy that keeps up with its writer."""
    state = folder / "state"
    warm_up(folder, state)
    (mine,) = (peer for peer in peers.for_acquisitions(folder / "run", options.nprocs) if peer.name == peers.MINE)
    others = Others()
    runs = in_turns(options, state, lambda: live.measure(mine, _RATE, _SECONDS, folder))
    middle = {kind: statistics.median(run.seconds for run in each) for kind, each in runs.items()}
    rows = [
        [
            name,
            spread([run.seconds for run in runs[kind]]),
            *(spread([percentile(run.lags, percent) for run in runs[kind]], 1) for percent in (50, 99)),
            sum(run.lost for run in runs[kind]),
            f"{middle[kind] / middle[False]:.3f}",
        ]
        for kind, name in _KINDS
    ]
    columns = ["", "seconds: median (min to max)", "p50 ms late", "p99 ms late", "lost", "times without"]
    title = f"{_RATE} chunk files a second, from the first at the source to the last at the destination"
    report.table(f"{title}, {len(runs[True])} rounds", columns, rows, others)
    report_cost(f"a copy with napari open, {_RATE} chunk files a second arriving", middle, report)


def measure(folder: Path, options: argparse.Namespace, report: Report) -> None:
    """Take turns with and without napari, and tell."""
    state = folder / "state"
    warm_up(folder, state)
    source, destination = folder / "source.zarr", folder / "destination.zarr"
    size = options.files
    write_frames(source, size)
    others = Others()
    with Ballast(2 * size << 20) as ballast:
        seconds = in_turns(options, state, lambda: copy(source, destination, state, options.nprocs, ballast))
    middle = {kind: statistics.median(times) for kind, times in seconds.items()}
    rows = [
        [name, spread(seconds[kind]), f"{size / middle[kind]:,.0f}", f"{middle[kind] / middle[False]:.2f}"]
        for kind, name in _KINDS
    ]
    where = "disk to disk, cold caches"
    columns = ["", "seconds: median (min to max)", "MiB/s", "times without"]
    report.table(f"{size:,} chunk files of 1 MiB, {where}, {len(seconds[True])} rounds", columns, rows, others)
    report_cost(f"a whole copy with napari open, {where}", middle, report)


def main() -> int:
    """Run it; the exit code is 1 where a goal was missed."""
    # Chunk files of 1 MiB.
    parser = common_options(__doc__, rounds=2, files=3000, nprocs=2, disk="/var/tmp")
    parser.add_argument("--show", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.show:
        show()
        return 0
    report = Report("napari_cost", options)
    with workplace(options.folder) as memory:
        measure_live(memory, options, report)
    if problem := drop_caches():
        report.write_line(f"Skipped: disk to disk: {problem}.")
    else:
        with workplace(options.disk) as disk:
            measure(disk, options, report)
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
