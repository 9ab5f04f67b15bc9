"""Paint the panel's states to PNG files, in napari's themes and at two sizes: `widget_shots.py [FOLDER]`.

What is shown is made up. Needs napari for its style sheets, and a screen (or `xvfb-run`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from napari.qt import get_qapp, get_stylesheet
from qtpy.QtCore import QSize
from qtpy.QtWidgets import QPushButton, QWidget

from softcopy_napari.engine.protocol.messages import Failure, TargetSnapshot
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason, quote_text
from softcopy_napari.engine.states import TargetState
from softcopy_napari.widgets.panel import Panel
from softcopy_napari.widgets.targets_model import Row

SIZES = (QSize(280, 768), QSize(480, 1000))
THEMES = ("dark", "light")
FOLDER = "/data/microscope"
COUNTS = (3_120, 2, 140, 4, 8_730, 0, 4)


def make_row(name: str, state: TargetState | None, why: Reason | None = None, **more: object) -> Row:
    """A target; without a state it has not been started."""
    source, destination = f"{FOLDER}/{name}", f"/mnt/institute/backup/{name}"
    if state is None:
        return Row((0, name), None, source, destination)
    fields = {"counts": COUNTS, "bytes_per_second": 241e6, "elapsed": 4321.0, **more}
    snapshot = TargetSnapshot.model_validate(
        {"id": name, "source": source, "destination": destination, "state": state, "why": why, **fields}
    )
    return Row((4711, name), snapshot, source, destination)


def three() -> list[Row]:
    """Three targets: copying, caught up, failed."""
    failure = Failure(path="0/c/12/0/3", why=quote_text("cannot be written: no space left on the disk"), attempts=9)
    return [
        make_row("embryo_2025-03-01.zarr", TargetState.COPYING, failed_files=4),
        make_row("organoids.zarr", TargetState.CAUGHT_UP, counts=(0, 0, 0, 0, 512, 0, 0), bytes_per_second=0.0),
        make_row(
            "plate_17.zarr",
            TargetState.FAILED,
            "no space left on the disk of the destination",
            failed_files=1,
            failures=(failure,),
            counts=(0, 0, 700, 0, 260, 0, 1),
        ),
    ]


def show_coverage(panel: Panel) -> None:
    """Fill in the coverage of an array over time."""
    panel.coverage.set_arrays(["0", "1", "2"], "0")
    panel.coverage.set_counts(COUNTS)
    panel.coverage.set_axes(["t", "c", "z", "y", "x"], "t")
    time = np.arange(240)
    copied = np.clip(50 - np.maximum(time - 160, 0) * 2, 0, 50)
    pending = np.minimum(50 - copied, np.where(time < 190, 12, 0))
    panel.coverage.set_coverage(copied, pending, 50 - copied - pending)


def empty(panel: Panel) -> None:
    """Nothing has been done."""


def copying(panel: Panel) -> None:
    """Three targets, the first of them selected."""
    panel.set_rows(three())
    show_coverage(panel)


def plate(panel: Panel) -> None:
    """A plate of 96 wells that is being copied."""
    panel.set_rows([make_row("plate_17.zarr", TargetState.COPYING), make_row("plate_18.zarr", None)])
    panel.select([(4711, "plate_17.zarr")])
    panel.coverage.set_arrays([f"{row}/{column}/0/0" for row in "ABCDEFGH" for column in range(1, 13)], "B/3/0/0")
    panel.coverage.set_counts(COUNTS)
    wells = {(row, column): row * 12 + column for row in range(8) for column in range(12)}
    panel.coverage.set_wells(
        {f"{'ABCDEFGH'[row]}/{column + 1}": (max(0, min(40, 300 - 5 * at)), 40) for (row, column), at in wells.items()}
    )
    panel.coverage.set_axes(["t"], "t")
    panel.coverage.set_coverage([40, 40, 31], [0, 0, 5], [0, 0, 4])


def log(panel: Panel) -> None:
    """The log is open, and an engine has died."""
    rows = three()
    panel.set_rows([Row(**{**_fields(rows[0]), "lost": True, "note": "process 4711 was killed"}), *rows[1:]])
    panel.log(20, f"copying {FOLDER}/embryo_2025-03-01.zarr")
    panel.log(30, f"{FOLDER}/plate_17.zarr: no watches left; the folder is looked at every 10 s")
    panel.log(40, f"{FOLDER}/plate_17.zarr failed: no space left on the disk of the destination")
    panel.log(20, f"{FOLDER}/organoids.zarr has caught up")
    press(panel, "log_button")


def problems(panel: Panel) -> None:
    """A source that is not there, and a targets file with a mistake in it."""
    panel.set_paths(f"{FOLDER}/embryo_2025-03-01.zarr", f"{FOLDER}/embryo_2025-03-01.zarr/copy")
    words = (
        f'the destination, "{FOLDER}/embryo_2025-03-01.zarr/copy", lies inside its source; choose another destination'
    )
    panel.set_problem("destination", words)
    panel.set_problem(
        "", "/home/user/targets.yaml, line 4: nprocs of target 2 must be a whole number from 1 to 64, not 0"
    )
    panel.set_rows([make_row("organoids.zarr", None)])


def states(panel: Panel) -> None:
    """A target in every state, with the longest of what is said about it."""
    reasons = {
        TargetState.WAITING: make_reason(ReasonCode.SOURCE_MISSING, source=f"{FOLDER}/waiting.zarr"),
        TargetState.CAUGHT_UP: make_reason(ReasonCode.CHUNKS_TO_COME, chunks=3120),
        TargetState.FINISHING: make_reason(ReasonCode.CHECKING_FILES),
        TargetState.COMPLETE: make_reason(
            ReasonCode.COMPLETE, chunks=512, why=make_reason(ReasonCode.ALL_THERE_AND_QUIET, seconds=30.0)
        ),
        TargetState.PAUSED: make_reason(ReasonCode.DESTINATION_FULL, destination="/mnt/institute/backup", free=0),
        TargetState.INCOMPLETE: make_reason(ReasonCode.MISSING, chunks=140),
        TargetState.FAILED: quote_text("4 files could not be copied"),
        TargetState.STOPPED: make_reason(ReasonCode.STOPPED),
    }
    rows = [make_row(f"{state.name.lower()}.zarr", state, reasons.get(state)) for state in TargetState]
    panel.set_rows(rows)
    panel.select([rows[list(TargetState).index(TargetState.PAUSED)].key])


def _fields(row: Row) -> dict[str, object]:
    return {name: getattr(row, name) for name in Row.__dataclass_fields__}


def press(panel: Panel, name: str) -> None:
    """Press a button by its name."""
    found = panel.findChild(QPushButton, name)
    assert found is not None
    found.click()


SCENES: tuple[Callable[[Panel], None], ...] = (empty, states, copying, plate, log, problems)


def main() -> None:
    """Paint every state."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "/tmp/dev/shots")
    folder.mkdir(parents=True, exist_ok=True)
    app = get_qapp()  # it also finds the icons of the style sheets
    for theme in THEMES:
        for size in SIZES:
            for scene in SCENES:
                window = QWidget()
                window.setStyleSheet(get_stylesheet(theme))
                panel = Panel(window)
                panel.resize(size)
                window.resize(size)
                window.show()
                scene(panel)
                app.processEvents()
                app.processEvents()
                window.grab().save(str(folder / f"{scene.__name__}-{theme}-{size.width()}.png"))
                window.close()
                window.deleteLater()
    print(folder)


if __name__ == "__main__":
    main()
