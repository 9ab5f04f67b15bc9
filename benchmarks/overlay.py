"""How long napari's main thread is blocked by the overlay, and how far the overlay is behind the ledger.

    xvfb-run -a -s "-screen 0 1280x1024x24" python benchmarks/overlay.py

For the delay, another process changes 500 random cells a second in a ledger of 10 million, half of them within the
picture; there are no chunk files. Then the whole: a writer, an engine, and the dock with image, overlay, table and
plot, while 500 chunk files a second arrive in the plane that is shown. Every event that Qt handles is timed; drawing,
which is done by software here, is reported apart. The event loop's latency is what a heartbeat of 2 ms comes too late,
without drawing.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

import numpy as np
from common import Others, percentile, workplace
from report import Report
from report import options as common_options

CASES = {
    "a stack, 100 cells in the picture": (1000, 100, 10, 10),
    "a plane, all 10 million in the picture": (3163, 3163),
}
WHOLE = (100, 316, 317)
CHUNK = 16
BEAT = 0.002
_BEACON = 0.23
"""Seconds between two changes of the cell by which the delay is measured."""


def change(ledger: str, beacon: str, rate: int) -> None:
    """Be the engine: change cells, until there is no one left to read them."""
    cells = np.load(ledger, mmap_mode="r+")
    log = np.load(beacon, mmap_mode="r+")
    shown = cells if cells.ndim == 2 else cells[0, 0]
    random = np.random.default_rng(0)
    parent, step, started = os.getppid(), 0.01, time.perf_counter()
    done, beacons = 0, 0
    while os.getppid() == parent:
        due = int((time.perf_counter() - started) * rate)
        for number in range(done, due):
            part = shown if number % 2 else cells
            cell = tuple(random.integers(0, n) for n in part.shape)
            if any(cell):  # the first is the beacon
                part[cell] = random.integers(1, 6)
        done = due
        if (time.perf_counter() - started) / _BEACON > beacons:
            beacons += 1
            log[beacons % len(log)] = time.time(), 1 + beacons % 6
            shown[0, 0] = 1 + beacons % 6
        time.sleep(step)


def write(source: str, rate: int) -> None:
    """Be the microscope: write one chunk file after the other, until there is no one left to look at them."""
    pool = os.urandom(1 << 20)
    size = CHUNK * CHUNK * 2
    parent, started = os.getppid(), time.perf_counter()
    for number in itertools.count():
        while (early := started + number / rate - time.perf_counter()) > 0:
            time.sleep(early)
        plane, (row, column) = (
            number // (WHOLE[1] * WHOLE[2]),
            np.unravel_index(number % (WHOLE[1] * WHOLE[2]), WHOLE[1:]),
        )
        path = f"{source}/{plane}/{row}/{column}"
        if column == 0:
            os.makedirs(os.path.dirname(path), exist_ok=True)
        at = number % (len(pool) - size)
        with open(f"{path}.__lock", "wb") as file:
            file.write(pool[at : at + size])
        os.rename(f"{path}.__lock", path)
        if os.getppid() != parent:
            return


class Delay:
    """How long a change in the ledger takes until it is in the picture."""

    def __init__(self, layer: Any, beacon: np.ndarray) -> None:
        self._layer, self._beacon = layer, beacon
        self._first = (0,) * (layer.ndim)
        self.values: list[float] = []
        self._seen = 0.0
        layer.events.set_data.connect(self._drawn)

    def _drawn(self, event: Any = None) -> None:
        now = time.time()
        recent = sorted((float(at), int(state)) for at, state in self._beacon if at > self._seen)
        value = int(self._layer.get_value(self._first))
        for at, state in recent:
            if state == value:
                # All before it have been overtaken: they were in no picture, and are as late as this one.
                self.values += [now - earlier for earlier, _ in recent if earlier <= at]
                self._seen = at


def application() -> Any:
    """Qt's application, which times every event."""
    from qtpy.QtCore import QEvent
    from qtpy.QtWidgets import QApplication

    drawing = {QEvent.Type.UpdateRequest, QEvent.Type.Paint, QEvent.Type.UpdateLater}

    class Application(QApplication):
        depth = 0
        handled: list[tuple[float, float, bool]] = []  # noqa: RUF012

        def notify(self, receiver: Any, event: Any) -> bool:
            begun, kind = time.perf_counter(), event.type()
            Application.depth += 1
            try:
                return bool(super().notify(receiver, event))
            finally:
                Application.depth -= 1
                if not Application.depth:
                    Application.handled.append((begun, time.perf_counter(), kind in drawing))

    return Application(sys.argv[:1])


def spin(app: Any, seconds: float, until: Any = None) -> None:
    """Let Qt work for so long."""
    from qtpy.QtCore import QEventLoop, QTimer

    loop, timer = QEventLoop(), QTimer()
    end = time.perf_counter() + seconds

    def look() -> None:
        if time.perf_counter() > end or (until is not None and until()):
            loop.quit()

    timer.timeout.connect(look)
    timer.start(20)
    loop.exec()
    timer.stop()


def beats(app: Any, seconds: float) -> list[float]:
    """Latencies of the event loop, without the time that drawing took."""
    from qtpy.QtCore import Qt, QTimer

    times: list[float] = []
    timer = QTimer()
    timer.setTimerType(Qt.TimerType.PreciseTimer)
    timer.timeout.connect(lambda: times.append(time.perf_counter()))
    timer.start(int(BEAT * 1000))
    app.handled.clear()
    spin(app, seconds)
    timer.stop()
    drawn = [(begun, ended) for begun, ended, drawing in app.handled if drawing]
    late, at = [], 0
    for before, now in itertools.pairwise(times):
        taken = 0.0
        while at < len(drawn) and drawn[at][0] < now:
            taken += drawn[at][1] - drawn[at][0] if drawn[at][0] >= before else 0.0
            at += 1
        late.append(max(0.0, now - before - BEAT - taken))
    return late


def line(what: str, values: list[float]) -> list[str]:
    """Of a table, in ms."""
    if not values:
        return [what, "none", "", "", "0"]
    mean, p99, longest = (1000 * value for value in (float(np.mean(values)), percentile(values, 99), max(values)))
    return [what, f"{mean:.1f}", f"{p99:.1f}", f"{longest:.1f}", f"{len(values)}"]


COLUMNS = ["", "mean ms", "p99 ms", "longest ms", "how often"]


def make_array(source: Path, grid: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """An array of so many chunk files, none of which exists; its shape and its chunks'."""
    source.mkdir()
    chunk = (1,) * (len(grid) - 2) + (CHUNK, CHUNK)
    shape = tuple(n * length for n, length in zip(grid, chunk, strict=True))
    metadata = {
        "zarr_format": 2, "shape": shape, "chunks": chunk, "dtype": "<u2", "compressor": None, "filters": None,
        "fill_value": 0, "order": "C", "dimension_separator": "/",
    }  # fmt: skip
    (source / ".zarray").write_text(json.dumps(metadata))
    return shape, chunk


def dataset(folder: Path, grid: tuple[int, ...]) -> Any:
    """An array without chunk files, and its target with a ledger."""
    from softcopy_napari.engine.inventory.ledger import Ledger
    from softcopy_napari.engine.protocol.messages import ArraySnapshot, TargetSnapshot
    from softcopy_napari.engine.state_folder.ledger_folders import ledger_folder
    from softcopy_napari.engine.states import TargetState

    source = folder / "source.zarr"
    shape, chunk = make_array(source, grid)
    # Where an engine has it: the overlay opens no other.
    os.environ["SOFTCOPY_STATE_DIR"] = str(folder / "state")
    path = ledger_folder() / "1" / "1.npy"
    Ledger(path, grid)
    counts = (int(np.prod(grid)), 0, 0, 0, 0, 0, 0)
    array = ArraySnapshot(
        path="", shape=shape, chunk_shape=chunk, grid=grid, dtype="<u2", ledger=str(path), counts=counts
    )
    return TargetSnapshot(
        id="1", source=str(source), destination=str(source), state=TargetState.COPYING, arrays=(array,)
    )


def measure(app: Any, what: str, grid: tuple[int, ...], folder: Path, report: Report) -> None:
    """One grid, in 2D and, if it is a stack, in 3D."""
    import napari

    seconds, rate, image = report.options.seconds, report.options.rate, report.options.image

    from softcopy_napari.plugin.viewer.target_layers import TargetLayers

    target = dataset(folder, grid)
    beacon = folder / "beacon.npy"
    np.save(beacon, np.zeros((64, 2)))
    viewer = napari.Viewer(show=True, show_welcome_screen=False)
    target_layers = TargetLayers(viewer)
    target_layers.overlay_mode = "all"  # which draws at every change; the default draws problems only
    command = [sys.executable, __file__, "--change", target.arrays[0].ledger, str(beacon), "--rate", str(rate)]
    changer = None
    try:
        spin(app, 2.0)
        target_layers.show(target, "", image)
        spin(app, 30.0, lambda: target_layers.overlay is not None and (image == "none" or bool(target_layers.images)))
        for axis in range(len(grid) - 2):
            viewer.dims.set_current_step(axis, 0)
        spin(app, 2.0)
        others = Others()
        quiet = beats(app, min(5.0, seconds))
        delay = Delay(target_layers.overlay, np.load(beacon, mmap_mode="r"))
        changer = subprocess.Popen(command)
        spin(app, 2.0)
        delay.values.clear()
        late = beats(app, seconds)
        rows = [
            line("event loop late, ledger at rest", quiet),
            line("event loop late, drawing apart", late),
            line("an event handled, drawing apart", [b - a for a, b, drawing in app.handled if not drawing]),
            line("drawing (software GL)", [b - a for a, b, drawing in app.handled if drawing]),
            line("overlay behind the ledger", delay.values),
        ]
        report.table(f"{what} ({' x '.join(map(str, grid))})", COLUMNS, rows, others)
        p99, longest, behind = 1e3 * percentile(late, 99), 1e3 * max(late), max(delay.values)
        report.goal(
            f"napari's main thread, {what}",
            "p99 20 ms, never 50 ms late; overlay 0.5 s behind",
            f"p99 {p99:.1f} ms, longest {longest:.0f} ms, {behind:.2f} s behind",
            p99 < 20 and longest < 50 and behind < 0.5,
        )
        if len(grid) > 2:
            viewer.dims.ndisplay = 3
            spin(app, 5.0)
            delay.values.clear()
            late = beats(app, seconds / 2)
            rows = [
                line("event loop late, drawing apart", late),
                line("drawing (software GL)", [b - a for a, b, drawing in app.handled if drawing]),
                line("overlay behind the ledger", delay.values),
            ]
            report.table("The same in 3D", COLUMNS, rows)
    finally:
        if changer is not None:
            changer.kill()
            changer.wait()
        target_layers.close()
        viewer.close()


def measure_whole(app: Any, folder: Path, report: Report) -> None:
    """All of it at work."""
    # Python goes over all that napari and the cases before have made, for 150 ms, whenever it thinks it is time.
    gc.collect()
    gc.freeze()
    import napari

    from softcopy_napari import start
    from softcopy_napari.plugin import SoftcopyWidget

    seconds, rate = report.options.seconds, report.options.rate
    os.environ["SOFTCOPY_STATE_DIR"] = str(folder / "state")
    source, destination = folder / "source.zarr", folder / "destination.zarr"
    make_array(source, WHOLE)
    writer = subprocess.Popen([sys.executable, __file__, "--microscope", str(source), "--rate", str(rate)])
    copy = start(source, destination, nprocs=2, finish_idle=1)
    viewer = napari.Viewer(show=True, show_welcome_screen=False)
    dock = SoftcopyWidget(viewer)
    frame = viewer.window.add_dock_widget(dock, name="Softcopy", area="right")
    try:
        spin(app, 30.0, lambda: len(viewer.layers) > 1)
        if len(viewer.layers) < 2:
            sys.exit("napari showed nothing of the copy: nothing was measured")
        viewer.dims.set_current_step(0, 0)
        spin(app, 3.0)
        others, before = Others(), copy.snapshot().files_copied
        late = beats(app, seconds)
        arrived = (copy.snapshot().files_copied - before) / seconds
        rows = [
            line("event loop late, drawing apart", late),
            line("an event handled, drawing apart", [b - a for a, b, drawing in app.handled if not drawing]),
            line("drawing (software GL)", [b - a for a, b, drawing in app.handled if drawing]),
        ]
        report.table(
            f"The whole, {arrived:.0f} chunk files a second ({' x '.join(map(str, WHOLE))})", COLUMNS, rows, others
        )
        p99, longest = 1e3 * percentile(late, 99), 1e3 * max(late)
        report.goal(
            "napari's main thread, dock, engine and writer at work",
            "p99 20 ms, never 50 ms late",
            f"p99 {p99:.1f} ms, longest {longest:.0f} ms",
            p99 < 20 and longest < 50,
        )
    finally:
        writer.kill()
        writer.wait()
        viewer.window.remove_dock_widget(frame)
        copy.finish(timeout=60)
        copy.stop()
        spin(app, 0.5)
        viewer.close()


def main() -> None:
    parser = common_options(__doc__, seconds=10.0, rate=500)
    parser.add_argument("--image", choices=["destination", "none"], default="destination")
    parser.add_argument("--change", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--microscope", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.change:
        change(*options.change, options.rate)
        return
    if options.microscope:
        write(options.microscope, options.rate)
        return
    os.environ.setdefault("NAPARI_CONFIG", "")
    if options.quick:
        options.seconds = 4.0
    report = Report("overlay", options)
    with workplace(options.folder) as folder:
        app = application()
        import napari
        from qtpy import API_NAME

        report.write_line(f"napari {napari.__version__}, {API_NAME}.")
        for what, grid in CASES.items():
            measure(app, what, grid, Path(tempfile.mkdtemp(dir=folder)), report)
        measure_whole(app, Path(tempfile.mkdtemp(dir=folder)), report)
    sys.exit(report.end())


if __name__ == "__main__":
    main()
