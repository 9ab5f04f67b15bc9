"""What an open napari costs a copy: the same dataset copied with the dock showing it live, and without napari.

    xvfb-run -a -s "-screen 0 1280x1024x24" python benchmarks/napari_cost.py [--rounds N]

Both kinds of round take turns. With napari, its dock finds the copy by itself and shows image and overlay; with
software drawing that takes more of the machine than a graphics card would leave to do.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from common import COMMAND, Others, environment, machine, warm_up, workplace, write_array

_READY = "ready"


def show() -> None:
    """Be the napari: an open dock, until stdin is closed."""
    import threading

    import napari
    from qtpy.QtCore import QTimer

    from softcopy_napari.plugin.widget import SoftcopyWidget

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


def copy(source: Path, destination: Path, state: Path, nprocs: int) -> float:
    """Time one copy."""
    command = [*COMMAND, str(source), str(destination), "--settle", "0", "--nprocs", str(nprocs)]
    started = time.perf_counter()
    done = subprocess.run(command, env=environment(state), capture_output=True, text=True)
    seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"softcopy failed ({done.returncode}):\n{done.stdout}{done.stderr}")
    shutil.rmtree(destination)
    return seconds


def main() -> int:
    """Run it; the exit code is 1 where the goal was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="copies of each kind  [5]")
    parser.add_argument("--files", type=int, default=400, help="chunk files of 1 MiB in each of 10 folders  [400]")
    parser.add_argument("--nprocs", type=int, default=2)
    parser.add_argument("--folder", help="where to work  [/dev/shm]")
    parser.add_argument("--show", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.show:
        show()
        return 0
    with workplace(options.folder) as folder:
        print(machine(folder))
        state = folder / "state"
        warm_up(folder, state)
        source, destination = folder / "source.zarr", folder / "destination.zarr"
        write_array(source, 10, options.files, 1 << 20)
        copy(source, destination, state, options.nprocs)
        seconds: dict[bool, list[float]] = {False: [], True: []}
        others = Others()
        layers = 0
        for number in range(2 * options.rounds):
            with_napari = number % 4 in (1, 2)  # without, with, with, without: no kind always comes first
            if not with_napari:
                seconds[False].append(copy(source, destination, state, options.nprocs))
                continue
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
            seconds[True].append(copy(source, destination, state, options.nprocs))
            said, _ = viewer.communicate(timeout=60)
            layers = max(layers, int(said.split()[-1]))
        if not layers:
            sys.exit("napari showed nothing of the copy: nothing was measured")
        size = 10 * options.files
        middle = {kind: statistics.median(times) for kind, times in seconds.items()}
        for kind, name in ((False, "without napari"), (True, "with napari")):
            spread = f"{min(seconds[kind]):.2f} - {max(seconds[kind]):.2f}"
            print(f"{name:15} {middle[kind]:6.2f} s ({spread}), {size / middle[kind]:,.0f} MiB/s")
        print(others)
        slower = 100 * (middle[True] / middle[False] - 1)
        reached = slower <= 5
        print(f"goal: at most 5 % slower with napari: {'reached' if reached else 'MISSED'} ({slower:+.1f} %)")
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
