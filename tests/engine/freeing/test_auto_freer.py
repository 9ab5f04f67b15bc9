"""The setting `free` frees a source when its target has ended, complete, and nobody has stopped it."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from softcopy_napari.engine.freeing import auto_freer, source_scan
from softcopy_napari.engine.freeing.auto_freer import AutoFreer
from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.reasons import ReasonCode, make_reason
from softcopy_napari.engine.state_folder import history
from softcopy_napari.engine.states import TargetState
from softcopy_napari.engine.targets.target import Target
from tests.engine.freeing.lab import NAMES, FreeLab
from tests.engine.support import until


class Ending:
    """A target that ends when it is told to, and what frees its source."""

    def __init__(self, lab: FreeLab, state: TargetState = TargetState.COMPLETE, **target: Any) -> None:
        self.target = Target(source=lab.source, destination=lab.destination, free=0, **target)
        self.snapshot = TargetSnapshot(
            id="1", source=str(lab.source), destination=str(lab.destination), state=state, completed=time.time()
        )
        self.ended, self.other = threading.Event(), threading.Event()
        self.freer = AutoFreer(self.target, lambda: self.snapshot, [self.ended, self.other])
        self.freer.start()

    @property
    def now(self) -> TargetSnapshot:
        return self.freer.add_to(self.snapshot)

    def end(self) -> list[str]:
        """End the target and others of its source; return the notes at the end of freeing."""
        self.ended.set()
        self.other.set()
        assert self.freer.ended.wait(20)
        return [note.code for note in self.now.notes]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auto_freer, "_POLL", 0.02)


def test_it_waits_for_the_end_of_all_targets_of_the_source_and_is_not_over_before(free_lab: FreeLab) -> None:
    ending = Ending(free_lab)
    ending.ended.set()
    assert not ending.freer.ended.wait(0.2) and free_lab.untouched()
    assert not ending.now.over  # or `softcopy stop` would not find it
    assert ending.end() == [ReasonCode.SOURCE_FREED]
    assert ending.now.over and free_lab.there == free_lab.contents
    (noted,) = history.endings()
    assert noted.target.over and [note.code for note in noted.target.notes] == [ReasonCode.SOURCE_FREED]
    assert free_lab.kept == {} == free_lab.here  # kept for no day at all: what has expired is deleted


@pytest.mark.parametrize("state", [TargetState.FAILED, TargetState.STOPPED, TargetState.INCOMPLETE])
def test_what_is_not_complete_is_not_freed(free_lab: FreeLab, state: TargetState) -> None:
    assert Ending(free_lab, state).end() == []
    assert free_lab.untouched()


def test_what_its_user_has_stopped_is_not_freed(free_lab: FreeLab) -> None:
    ending = Ending(free_lab)
    ending.freer.stop()
    assert ending.end() == []
    assert free_lab.untouched()


def test_stopped_while_it_frees_it_ends_and_what_was_moved_can_be_had_back(
    free_lab: FreeLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    ending = Ending(free_lab)
    move = auto_freer.FreeJob._move

    def stop_and_move(*arguments: Any) -> None:
        ending.freer.stop()
        move(*arguments)

    monkeypatch.setattr(auto_freer.FreeJob, "_move", stop_and_move)
    assert ending.end() == [ReasonCode.SOURCE_HALF_FREED]
    assert 0 < len(free_lab.kept) < len(NAMES)
    free_lab.undo()
    assert free_lab.untouched()


def test_a_source_that_was_changed_a_moment_ago_is_waited_for(
    free_lab: FreeLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_scan, "QUIET", 60.0)
    ending = Ending(free_lab)
    ending.ended.set()
    ending.other.set()
    assert until(lambda: ending.now.why is not None and ending.now.why.code == ReasonCode.FREE_TOO_RECENT)
    monkeypatch.setattr(source_scan, "QUIET", 0.0)
    assert ending.end() == [ReasonCode.SOURCE_FREED]


def test_a_doubt_is_told_and_nothing_is_freed(free_lab: FreeLab) -> None:
    free_lab.sign(notes=("a copy process died",))
    ending = Ending(free_lab)
    assert ending.end() == [ReasonCode.SOURCE_NOT_FREED]
    assert "a copy process died" in ending.now.notices[0]
    assert free_lab.untouched()
    assert ending.now.not_freed is not None
    (noted,) = history.endings()
    assert noted.needs_attention and not noted.failed, "whoever looks later is told"


def test_what_the_system_ends_before_it_is_freed_is_told(free_lab: FreeLab) -> None:
    ending = Ending(free_lab)
    ending.freer.stop(make_reason(ReasonCode.ENDED_BY_SYSTEM))
    assert ending.end() == [ReasonCode.SOURCE_NOT_FREED]
    assert "The system ended it" in ending.now.notices[0]
    assert free_lab.untouched()


def test_an_error_of_ours_is_told_too(free_lab: FreeLab, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(auto_freer.FreeJob, "_move_all", broken)
    ending = Ending(free_lab)
    assert ReasonCode.SOURCE_NOT_FREED in ending.end()
    assert "softcopy itself" in ending.now.notices[0]
