"""What a forecast is made of: chunk files that appear, their sizes, what is copied, and the room that workers found."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from softcopy_napari.engine.fs.free_space import FreeSpace
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.progress import forecaster as module
from softcopy_napari.engine.progress.forecaster import Forecaster
from softcopy_napari.engine.protocol.messages import ForecastSnapshot
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.wording import describe
from tests.engine.support import make_layout

MB, GB = 10**6, 10**9
NOON = 1_772_445_600.0


class Run:
    """An acquisition of 10,000 chunk files of 1 MB, ten a second, that is copied as fast as `able`."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, able: int = 100 * MB) -> None:
        self.inventory = Inventory(folder / "ledgers")
        self.inventory.register_array(make_layout((100, 100)))
        self.array = self.inventory.arrays[""]
        self.dispatcher: Any = SimpleNamespace(bytes_moved=0, results=SimpleNamespace(files_copied=0, sizes={}))
        self.evidence = SimpleNamespace(growing=False)
        self.tracker: Any = SimpleNamespace(
            last_pass=None, metadata=SimpleNamespace(all_known=True), evidence=self.evidence
        )
        self.reporter: Any = SimpleNamespace(
            files_left=self.left, bytes_left=lambda: self.left() * MB, notice=self.notice
        )
        self.notices: list[str] = []
        self.able = able
        self.now, self.written, self.copied = 0.0, 0, 0.0
        self.free: FreeSpace | None = None
        monkeypatch.setattr(module.time, "time", lambda: NOON + self.now)
        self.forecaster = Forecaster(self.inventory, self.dispatcher, self.tracker, self.reporter)

    def left(self) -> int:
        return self.written - int(self.copied)

    def notice(self, text: str) -> None:
        self.notices.append(describe(text))

    def go(self, seconds: int, acquiring: bool = True) -> ForecastSnapshot:
        for _ in range(seconds):
            self.now += 1.0
            for _ in range(10 if acquiring else 0):
                self.array.ledger.set(self.written, ChunkState.PENDING)
                self.written += 1
            self.copied = min(self.written, self.copied + self.able / MB)
            self.dispatcher.results.files_copied = int(self.copied)
            self.dispatcher.bytes_moved = int(self.copied) * MB
            self.dispatcher.results.sizes = {self.array: [int(self.copied), int(self.copied) * MB]}
            self.tracker.last_pass = True
            if self.free:
                self.forecaster.note_free_space(self.free, self.now)
            self.forecaster.update_if_due(self.now, acquiring, float("inf"))
        return self.forecaster.forecast


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    return Run(tmp_path, monkeypatch)


def test_nothing_is_foretold_before_it_can_be_known(run: Run) -> None:
    assert run.go(15) == ForecastSnapshot()


def test_a_copy_that_keeps_up_is_told_as_such(run: Run) -> None:
    found = run.go(60)
    assert found.complete_after is not None and found.complete_after < 1
    assert found.words.startswith("Keeping up. Done about ")


def test_a_copy_that_is_slower_than_the_acquisition_says_how_long_it_takes_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path, monkeypatch, able=5 * MB)
    # 10 GB, of which half is left at the end of the acquisition.
    assert run.go(60).complete_after == pytest.approx(1000, rel=0.05)


def test_no_end_is_foretold_of_what_grows(run: Run) -> None:
    run.evidence.growing = True
    found = run.go(60)
    assert found.complete_after is None and "Done about" not in found.words


def test_what_was_there_before_is_not_taken_for_the_acquisitions_rate(run: Run) -> None:
    for cell in range(5000):
        run.array.ledger.set(cell, ChunkState.COPIED)
    run.written = 5000
    run.copied = 5000.0
    run.go(60)
    assert run.forecaster._acquisition_rate() == pytest.approx(10 * MB, rel=0.02)


def test_a_pause_of_the_acquisition_counts(run: Run) -> None:
    run.go(60)
    run.go(60, acquiring=False)
    assert run.forecaster._acquisition_rate() == pytest.approx(5 * MB, rel=0.15)


def test_a_destination_that_will_not_fit_is_noted_once(run: Run) -> None:
    run.free = FreeSpace(500 * GB, 4 * GB, 1, 2, "/data")
    found = run.go(60)
    assert found.destination_short == pytest.approx(5.4 * GB, rel=0.02)
    run.go(60)
    assert len(run.notices) == 1
    assert run.notices[0].startswith("Not enough space: ")


def test_a_source_that_will_be_full_is_foretold_with_the_time_that_is_left(run: Run) -> None:
    assert run.forecaster.seconds_until_full() is None
    run.free = FreeSpace(GB, 500 * GB, 1, 2, "/data")
    run.go(60)
    assert run.forecaster.seconds_until_full() == pytest.approx(100, rel=0.05)
    assert [notice[:29] for notice in run.notices] == ["The source's disk is full at "]


def test_a_passing_guess_is_not_noted(run: Run) -> None:
    run.free = FreeSpace(500 * GB, 4 * GB, 1, 2, "/data")
    run.go(4)
    run.free = FreeSpace(500 * GB, 400 * GB, 1, 2, "/data")
    run.go(60)
    assert run.notices == []


def test_room_that_nobody_could_look_at_for_long_is_not_known(run: Run) -> None:
    run.free = FreeSpace(500 * GB, 4 * GB, 1, 2, "/data")
    assert run.go(40).warnings
    run.free = None
    assert not run.go(70).warnings


def test_arrays_of_which_nothing_is_there_yet_are_not_guessed_at(run: Run) -> None:
    run.inventory.register_array(make_layout((10, 10), "1"))
    run.go(60)
    assert run.forecaster.forecast.words == ""
    run.free = FreeSpace(500 * GB, 4 * GB, 1, 2, "/data")
    assert run.go(4).destination_short > 0, "what is known is too much already"
