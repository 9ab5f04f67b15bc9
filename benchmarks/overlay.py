"""How long napari's main thread is blocked by the overlay, and how far the overlay is behind the ledger.

    xvfb-run -a -s "-screen 0 1280x1024x24" python benchmarks/overlay.py

Another process changes 500 random cells a second in a ledger of 10 million, half of them within the picture, and
copies chunk files to where the image is read from. Every event that Qt handles is timed; drawing, which is done by
software here, is reported apart. The event loop's latency is what a heartbeat of 2 ms comes too late, without drawing.
"""

from __future__ import annotations

import argparse
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
from common import Others, machine, percentile, workplace

CASES = {
    "a stack, 100 cells in the picture": (1000, 100, 10, 10),
    "a plane, all 10 million in the picture": (3163, 3163),
}
CHUNK = 16
COPIED = 4
"""This state, and the one after it, have a chunk file."""
BEAT = 0.002
_BEACON = 0.23
"""Seconds between two changes of the cell by which the delay is measured."""


def change(ledger: str, beacon: str, destination: str, rate: int) -> None:
    """Be the engine: change cells, and write the chunk files of those copied, until no one is left to read them."""
    content = np.random.default_rng(1).integers(0, 4000, CHUNK * CHUNK, np.uint16).tobytes()
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
                state = int(random.integers(1, 6))
                if state >= COPIED:
                    whole = (0,) * (cells.ndim - len(cell)) + cell
                    file = os.path.join(destination, *map(str, whole))
                    os.makedirs(os.path.dirname(file), exist_ok=True)
                    with open(file + ".part", "wb") as temporary:
                        temporary.write(content)
                    os.replace(file + ".part", file)
                part[cell] = state
        done = due
        if (time.perf_counter() - started) / _BEACON > beacons:
            beacons += 1
            log[beacons % len(log)] = time.time(), 1 + beacons % 6
            shown[0, 0] = 1 + beacons % 6
        time.sleep(step)


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


def line(what: str, values: list[float]) -> str:
    if not values:
        return f"    {what:<38} none"
    mean, p99, longest = (1000 * value for value in (float(np.mean(values)), percentile(values, 99), max(values)))
    return f"    {what:<38} mean {mean:6.1f} ms   p99 {p99:6.1f} ms   longest {longest:6.1f} ms   ({len(values)})"


def dataset(folder: Path, grid: tuple[int, ...]) -> Any:
    """An array of so many chunk files, none of which exists, and its target with a ledger."""
    from softcopy_napari.engine.ledger import Ledger
    from softcopy_napari.engine.messages import ArraySnapshot, TargetSnapshot
    from softcopy_napari.engine.statefolder import ledger_folder
    from softcopy_napari.engine.states import TargetState

    source = folder / "source.zarr"
    source.mkdir()
    chunk = (1,) * (len(grid) - 2) + (CHUNK, CHUNK)
    shape = tuple(n * length for n, length in zip(grid, chunk, strict=True))
    metadata = {
        "zarr_format": 2, "shape": shape, "chunks": chunk, "dtype": "<u2", "compressor": None, "filters": None,
        "fill_value": 0, "order": "C", "dimension_separator": "/",
    }  # fmt: skip
    (source / ".zarray").write_text(json.dumps(metadata))
    path = ledger_folder() / str(len(grid)) / "1.npy"
    Ledger(path, grid)
    counts = (int(np.prod(grid)), 0, 0, 0, 0, 0, 0)
    array = ArraySnapshot(
        path="", shape=shape, chunk_shape=chunk, grid=grid, dtype="<u2", ledger=str(path), counts=counts
    )
    return TargetSnapshot(
        id="1", source=str(source), destination=str(source), state=TargetState.COPYING, arrays=(array,)
    )


def measure(app: Any, grid: tuple[int, ...], seconds: float, rate: int, folder: Path, image: str) -> None:
    import napari

    from softcopy_napari.plugin.scene import Scene

    target = dataset(folder, grid)
    beacon = folder / "beacon.npy"
    np.save(beacon, np.zeros((64, 2)))
    viewer = napari.Viewer(show=True, show_welcome_screen=False)
    scene = Scene(viewer)
    command = [sys.executable, __file__, "--rate", str(rate)]
    command += ["--change", target.arrays[0].ledger, str(beacon), target.destination]
    changer = None
    try:
        spin(app, 2.0)
        scene.show(target, "", image)
        spin(app, 30.0, lambda: scene.overlay is not None and (image == "none" or bool(scene.images)))
        if scene.overlay is None:
            sys.exit("nothing is shown, so there is nothing to measure")
        if image != "none" and not scene.images:
            print("    without the image, which is larger than what the plugin shows at once")
        for axis in range(len(grid) - 2):
            viewer.dims.set_current_step(axis, 0)
        spin(app, 2.0)
        others = Others()
        quiet = beats(app, min(5.0, seconds))
        print(line("event loop late, ledger at rest", quiet))
        delay = Delay(scene.overlay, np.load(beacon, mmap_mode="r"))
        changer = subprocess.Popen(command)
        spin(app, 2.0)
        delay.values.clear()
        late = beats(app, seconds)
        print(line("event loop late, drawing apart", late))
        print(line("an event handled, drawing apart", [b - a for a, b, drawing in app.handled if not drawing]))
        print(line("drawing (software GL)", [b - a for a, b, drawing in app.handled if drawing]))
        print(line("overlay behind the ledger", delay.values))
        print(f"    {others}")
        good = max(late) < 0.05 and percentile(late, 99) < 0.02 and max(delay.values) < 0.5
        print(f"    goal (never 50 ms, p99 20 ms, 0.5 s behind): {'met' if good else 'NOT met'}")
        if len(grid) > 2:
            viewer.dims.ndisplay = 3
            spin(app, 5.0)
            delay.values.clear()
            late = beats(app, seconds / 2)
            print("  the same in 3D")
            print(line("event loop late, drawing apart", late))
            print(line("drawing (software GL)", [b - a for a, b, drawing in app.handled if drawing]))
            print(line("overlay behind the ledger", delay.values))
    finally:
        if changer is not None:
            changer.kill()
            changer.wait()
        scene.close()
        viewer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rate", type=int, default=500, help="cells changed a second")
    parser.add_argument("--image", choices=["destination", "none"], default="destination")
    parser.add_argument("--folder", help="where to work; in memory by default")
    parser.add_argument("--change", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.change:
        change(*options.change, options.rate)
        return
    os.environ.setdefault("NAPARI_CONFIG", "")
    with workplace(options.folder) as folder:
        os.environ["SOFTCOPY_STATE_DIR"] = str(folder / "state")  # ledgers are opened nowhere else
        app = application()
        import napari
        from qtpy import API_NAME

        print(f"{machine(folder)}, napari {napari.__version__}, {API_NAME}")
        for what, grid in CASES.items():
            print(f"  {what} ({' x '.join(map(str, grid))})")
            here = Path(tempfile.mkdtemp(dir=folder))
            measure(app, grid, options.seconds, options.rate, here, options.image)


if __name__ == "__main__":
    main()
