"""Paint the panel's states to PNG files, in napari's themes and several sizes: `widget_shots.py [FOLDER] [SCENE ...]`.

What is shown is made up. Needs napari for its style sheets, and a screen (or `xvfb-run`).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from napari.qt import get_qapp, get_stylesheet
from qtpy.QtCore import QSize
from qtpy.QtWidgets import QWidget

from softcopy_napari.engine.protocol.messages import (
    Failure,
    Findings,
    ForecastSnapshot,
    TargetSnapshot,
    WatermarkSnapshot,
)
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason, quote_text
from softcopy_napari.engine.states import TargetState
from softcopy_napari.engine.wording import describe
from softcopy_napari.widgets.banner import Message
from softcopy_napari.widgets.card import Arrival
from softcopy_napari.widgets.history_view import PastCopy
from softcopy_napari.widgets.new_copy import Preview
from softcopy_napari.widgets.palette import Tone
from softcopy_napari.widgets.panel import Panel
from softcopy_napari.widgets.target_row import Key, Row

SIZES = (QSize(240, 690), QSize(280, 690), QSize(360, 690), QSize(480, 1000))
THEMES = ("dark", "light")
FOLDER = "/data/microscope/2026-11-30"
COUNTS = (3_120, 2, 140, 4, 8_730, 0, 4)
ALL_THERE = (0, 0, 0, 0, 960, 0, 0)


def make_row(name: str, state: TargetState | None, why: Reason | None = None, **more: object) -> Row:
    """A target; without a state it has not been started."""
    source, destination = f"{FOLDER}/{name}", f"/mnt/institute/backup/2026-11-30/{name}"
    of_row = {key: more.pop(key) for key in ("problem", "lost", "starting") if key in more}
    if state is None:
        return Row((0, name), None, source, destination, **of_row)
    fields = {"counts": COUNTS, "bytes_per_second": 241e6, "elapsed": 4321.0, "completed": 0.0, **more}
    snapshot = TargetSnapshot.model_validate(
        {"id": name, "source": source, "destination": destination, "state": state, "why": why, **fields}
    )
    return Row((4711, name), snapshot, source, destination, **of_row)


def live() -> Row:
    """A copy that keeps up with its acquisition."""
    coming = make_reason(ReasonCode.CHUNKS_TO_COME, chunks=3120)
    end = make_reason(ReasonCode.KEEPS_UP, end=time.time() + 5000)
    forecast = ForecastSnapshot(completion=end)
    mark = WatermarkSnapshot(axis="t", copied=86, verified=84, of=600)
    return make_row(
        "embryo2.zarr", TargetState.CAUGHT_UP, coming, forecast=forecast, bytes_per_second=5e6, watermark=mark
    )


def full() -> Row:
    """A copy whose destination is full."""
    why = make_reason(ReasonCode.DESTINATION_FULL, destination="/mnt/institute", free=0, needed=682e6, files=140)
    return make_row("plate_17.zarr", TargetState.PAUSED, why, nodes_missing=8)


def done() -> Row:
    """A complete copy."""
    why = make_reason(ReasonCode.COMPLETE_BY_CHECKSUM, chunks=960, why=make_reason(ReasonCode.USER_SAID_OVER))
    return make_row("cam1.zarr", TargetState.COMPLETE, why, counts=ALL_THERE, completed=time.time(), watching=True)


def waiting() -> Row:
    """A copy whose source is still to come."""
    why = make_reason(ReasonCode.SOURCE_MISSING, source=f"{FOLDER}/late.zarr")
    return make_row("late.zarr", TargetState.WAITING, why, counts=(0,) * 7)


def arrivals(panel: Panel) -> dict[Key, Arrival]:
    """How far the targets are."""
    known = {"embryo2.zarr": Arrival("t 86 of 600"), "growing.zarr": Arrival("75 time points", open_ended=True)}
    known["plate_17.zarr"] = Arrival("4 of 12 wells", open_ended=True)
    return {(4711, name): arrival for name, arrival in known.items()}


def show(panel: Panel, *rows: Row) -> None:
    """Show targets, the first of them selected."""
    panel.set_rows(rows, arrivals(panel))
    panel.select([rows[0].key])


def show_coverage(panel: Panel) -> None:
    """Fill in the coverage of an array over time."""
    panel.coverage.set_arrays(["0", "1", "2"], "0")
    panel.coverage.set_counts(COUNTS)
    panel.coverage.set_axes(["t", "c", "z", "y", "x"], "t")
    time_points = np.arange(240)
    copied = np.clip(50 - np.maximum(time_points - 160, 0) * 2, 0, 50)
    pending = np.minimum(50 - copied, np.where(time_points < 190, 12, 0))
    panel.coverage.set_coverage(copied, pending, 50 - copied - pending)
    panel.coverage.follow = True


def empty(panel: Panel) -> None:
    """Nothing has been done."""


def new(panel: Panel) -> None:
    """A new copy is being filled in, beside a running one."""
    show(panel, live())
    paths = f"{FOLDER}/cam1.zarr", "/mnt/institute/backup/2026-11-30/cam1.zarr"
    panel.set_paths(*paths)
    lines = (
        "Source: zarr array, 600 \u00d7 2 \u00d7 16 \u00d7 2,048 \u00d7 2,048, uint16",
        f"Will create {paths[1]}. 71.2 GB free",
    )
    panel.show_preview(*paths, Preview(lines=lines))


def parent(panel: Panel) -> None:
    """The destination that was typed holds other datasets."""
    paths = f"{FOLDER}/cam1.zarr", "/mnt/institute/backup"
    panel.set_paths(*paths)
    words = "holds 3 other datasets (a.zarr, b.zarr, c.zarr): the files of cam1.zarr would lie loose among them"
    panel.show_preview(*paths, Preview(destination_problem=words, suggestion=f"{paths[1]}/cam1.zarr"))


def copying(panel: Panel) -> None:
    """Four targets, the first of them selected."""
    show(panel, live(), full(), done(), waiting())
    show_coverage(panel)


def growing(panel: Panel) -> None:
    """Nobody knows how much is to come."""
    coming = make_reason(ReasonCode.ALL_THERE)
    row = make_row("growing.zarr", TargetState.COPYING, coming, growing=True, bytes_per_second=81e6)
    show(panel, row, live())
    show_coverage(panel)


def plate(panel: Panel) -> None:
    """A plate of 96 wells that is being copied."""
    mark = WatermarkSnapshot(wells=48, of_wells=96)
    show(
        panel,
        make_row("plate_17.zarr", TargetState.COPYING, nodes_missing=8, watermark=mark),
        make_row("plate_18.zarr", None),
    )
    panel.coverage.set_arrays([f"{row}/{column}/0/0" for row in "ABCDEFGH" for column in range(1, 13)], "B/3/0/0")
    panel.coverage.set_counts(COUNTS)
    wells = {(row, column): row * 12 + column for row in range(8) for column in range(12)}
    panel.coverage.set_wells(
        {f"{'ABCDEFGH'[row]}/{column + 1}": (max(0, min(40, 300 - 5 * at)), 40) for (row, column), at in wells.items()}
    )
    panel.coverage.set_axes(["t"], "t")
    panel.coverage.set_coverage([40, 40, 31], [0, 0, 5], [0, 0, 4])


def sections(panel: Panel) -> None:
    """All sections are open, and an engine has died."""
    show(panel, live(), make_row("crashed.zarr", TargetState.COPYING, lost=True))
    panel.coverage.set_arrays(["0"], "0")
    panel.coverage.set_counts(COUNTS)
    panel.log(20, "embryo2.zarr: Copying")
    panel.log(30, "plate_17.zarr: not all folders can be watched: new files are found by looking every few seconds")
    panel.log(40, "crashed.zarr: Copying crashed (process 4711). Press Resume; nothing is lost")
    panel.open_sections = "files speed log"


def messages(panel: Panel) -> None:
    """Endings, and what went wrong."""
    bad = make_row("bad.zarr", None, problem="source /data/bad.zarr is a file, not a folder: give the folder")
    show(panel, bad, live(), make_row("good.zarr", TargetState.COPYING, starting=True))
    panel.banner.add(Message(Tone.DONE, "Done 15:46: cam1.zarr, 960 files at /mnt/institute/backup/cam1.zarr"))
    panel.banner.add(
        Message(Tone.NEEDS_USER, "Failed: plate_17.zarr. 4 files could not be copied; 0/c/1 cannot be read")
    )


def history(panel: Panel) -> None:
    """Nothing is listed, and the history tells of the night."""
    away = "/mnt/institute/backup/2026-11-30"
    panel.history.set_copies(
        [
            PastCopy(
                f"{FOLDER}/plate_17.zarr", f"{away}/plate_17.zarr", Tone.NEEDS_USER, "Failed 03:12: plate_17.zarr"
            ),
            PastCopy(f"{FOLDER}/cam1.zarr", f"{away}/cam1.zarr", Tone.DONE, "Done 01:46: cam1.zarr, 12,960 files"),
            PastCopy(f"{FOLDER}/cam2.zarr", f"{away}/cam2.zarr", Tone.PAUSED, "Stopped Sun 22:10: cam2.zarr"),
        ]
    )
    panel.banner.add(Message(Tone.NEEDS_USER, "Failed 03:12: plate_17.zarr. 4 files could not be copied"))
    panel.open_sections = "history"


def freeing(panel: Panel) -> None:
    """A source is being freed; others were, or were not; the system has ended a copy."""
    moved = make_reason(ReasonCode.FREEING_SOURCE, files=1204, total=5765)
    ended = make_reason(ReasonCode.COMPLETE, chunks=960, why=make_reason(ReasonCode.USER_SAID_OVER))
    more = {"counts": ALL_THERE, "completed": time.time()}
    locked = make_reason(ReasonCode.FREE_OPEN, path="0/c/12/0/0")
    notes = [make_reason(ReasonCode.SOURCE_FREED), make_reason(ReasonCode.SOURCE_NOT_FREED, why=locked)]
    rows = [
        make_row(f"{name}.zarr", TargetState.COMPLETE, why, notes=some, **more)
        for name, why, some in (("cam1", moved, ()), ("cam2", ended, notes[:1]), ("cam3", ended, notes[1:]))
    ]
    why = make_reason(ReasonCode.ENDED_BY_SYSTEM)
    show(panel, *rows, make_row("embryo2.zarr", TargetState.STOPPED, why))
    panel.banner.add(Message(Tone.NEEDS_USER, f"Done 15:46: cam3.zarr. {describe(notes[1])}"))


def compared(panel: Panel) -> None:
    """A check has found files of which only the times differ."""
    found = Findings(chunk_files_different=320, chunk_files_times=320)
    why = make_reason(ReasonCode.TIMES_DIFFER, chunks=320)
    counts = (0, 0, 320, 0, 640, 0, 0)
    show(panel, make_row("cam2.zarr", TargetState.INCOMPLETE, why, counts=counts, findings=found), done())
    panel.coverage.set_arrays(["0", "1", "2"], "0")
    panel.coverage.set_counts(counts, compared=True)
    panel.coverage.set_axes(["t"], "t")
    panel.coverage.set_coverage([40, 40, 0], [0, 0, 40], [0, 0, 0])
    panel.open_sections = "files"


def states(panel: Panel) -> None:
    """A target in every state, with the longest of what is said about it."""
    failure = Failure(path="0/c/12/0/3", why=quote_text("cannot be written: no space left on the disk"), attempts=9)
    reasons = {
        TargetState.FINISHING: make_reason(ReasonCode.CHECKING_FILES),
        TargetState.INCOMPLETE: make_reason(ReasonCode.MISSING, chunks=140),
        TargetState.FAILED: quote_text("4 files could not be copied"),
        TargetState.STOPPED: make_reason(ReasonCode.STOPPED),
    }
    rest = [TargetState.COPYING, TargetState.FINISHING, TargetState.PAUSED, TargetState.STOPPED]
    rest += [TargetState.FAILED, TargetState.INCOMPLETE]
    rows = [
        make_row(
            f"{state.name.lower()}_embryo_2026.zarr", state, reasons.get(state), failures=(failure,), failed_files=4
        )
        for state in rest
    ]
    show(panel, *rows, live(), full(), done(), waiting(), make_row("listed.zarr", None))


SCENES: tuple[Callable[[Panel], None], ...] = (
    empty, new, parent, copying, growing, plate, sections, history, freeing, compared, messages, states,
)  # fmt: skip


def main() -> None:
    """Paint every state."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "/tmp/softcopy-shots")
    folder.mkdir(parents=True, exist_ok=True)
    wanted = sys.argv[2:]
    app = get_qapp()  # it also finds the icons of the style sheets
    for theme in THEMES:
        for size in SIZES:
            for scene in SCENES:
                if wanted and scene.__name__ not in wanted:
                    continue
                window = QWidget()
                window.setStyleSheet(get_stylesheet(theme))
                panel = Panel(window)
                panel.resize(size)
                window.resize(size)
                window.show()
                scene(panel)
                room = size.expandedTo(panel.minimumSizeHint())  # as in a dock
                panel.resize(room)
                window.resize(room)
                for _ in range(5):
                    app.processEvents()
                window.grab().save(str(folder / f"{scene.__name__}-{theme}-{size.width()}.png"))
                window.close()
                window.deleteLater()
    print(folder)


if __name__ == "__main__":
    main()
