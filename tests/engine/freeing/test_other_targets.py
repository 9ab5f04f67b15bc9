"""A source that somebody else still needs is not freed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import psutil
import pytest

from softcopy_napari.engine.client import EngineGone
from softcopy_napari.engine.freeing import other_targets
from softcopy_napari.engine.freeing.refusal import FreeRefused
from softcopy_napari.engine.protocol.messages import EngineSnapshot, TargetSnapshot
from softcopy_napari.engine.reasons import ReasonCode
from softcopy_napari.engine.state_folder.history import HistoryWriter
from softcopy_napari.engine.states import TargetState
from tests.engine.freeing.lab import NAMES, FreeLab


def target(source: Path, destination: Path, state: TargetState, **more: Any) -> TargetSnapshot:
    return TargetSnapshot(id="1", source=str(source), destination=str(destination), state=state, **more)


def note_ending(*of: Any, check: bool = False, **more: Any) -> None:
    HistoryWriter(check).note(target(*of, **more))


def refused(lab: FreeLab, code: ReasonCode, **options: Any) -> str:
    with pytest.raises(FreeRefused) as caught:
        lab.job(**options).plan()
    assert caught.value.reason.code == code, str(caught.value)
    assert lab.untouched()
    return str(caught.value)


@pytest.mark.parametrize("state", [TargetState.STOPPED, TargetState.FAILED])
def test_another_copy_of_it_that_is_not_complete_keeps_it_unless_that_does_not_matter(
    free_lab: FreeLab, state: TargetState
) -> None:
    other = free_lab.destination.with_name("usb")
    note_ending(free_lab.source, other, state)
    assert f"--despite {other}" in refused(free_lab, ReasonCode.FREE_OTHER_COPY)
    assert free_lab.job(despite=(str(other),)).plan().files == len(NAMES)


@pytest.mark.parametrize("level", [0, 1])
def test_the_same_holds_where_the_other_copies_a_part_of_it_or_more(free_lab: FreeLab, level: int) -> None:
    part = free_lab.source / "image" if level else free_lab.source.parent
    note_ending(part, free_lab.destination.with_name("usb"), TargetState.STOPPED)
    refused(free_lab, ReasonCode.FREE_OTHER_COPY)


def test_complete_copies_and_checks_of_it_and_copies_of_others_do_not_matter(free_lab: FreeLab) -> None:
    elsewhere = free_lab.destination.with_name("usb")
    note_ending(free_lab.source, elsewhere, TargetState.COMPLETE)
    note_ending(free_lab.source, elsewhere, TargetState.INCOMPLETE, check=True)
    note_ending(free_lab.source.with_name("t.zarr"), elsewhere.with_name("t"), TargetState.FAILED)
    note_ending(free_lab.source, free_lab.destination, TargetState.COMPLETE)
    assert free_lab.job().plan().files == len(NAMES)


def test_an_old_receipt_does_not_count_where_the_last_copy_failed(free_lab: FreeLab) -> None:
    note_ending(free_lab.source, free_lab.destination, TargetState.FAILED)
    refused(free_lab, ReasonCode.FREE_LAST_FAILED)


def test_a_source_that_is_itself_an_incomplete_copy_is_kept(free_lab: FreeLab) -> None:
    note_ending(free_lab.source.with_name("first.zarr"), free_lab.source, TargetState.STOPPED)
    refused(free_lab, ReasonCode.FREE_IS_FILLED)


class Engine:
    """A running engine, as far as it is asked."""

    def __init__(self, *targets: TargetSnapshot, error: Exception | None = None) -> None:
        self.run = self
        self.pid = 4711
        self._targets, self._error = targets, error

    def alive(self) -> bool:
        return True

    def snapshot(self) -> EngineSnapshot:
        if self._error is not None:
            raise self._error
        return EngineSnapshot(pid=self.pid, version="1", started=0, targets=self._targets)

    def close(self) -> None:
        pass


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> list[Engine]:
    found: list[Engine] = []
    monkeypatch.setattr(other_targets, "engines", lambda: found)
    return found


@pytest.mark.parametrize("state", [TargetState.COPYING, TargetState.WAITING, TargetState.PAUSED, TargetState.CAUGHT_UP])
def test_a_running_copy_of_it_keeps_it(free_lab: FreeLab, engines: list[Engine], state: TargetState) -> None:
    engines.append(Engine(target(free_lab.source, free_lab.destination.with_name("usb"), state)))
    refused(free_lab, ReasonCode.FREE_OTHER_COPY)


def test_a_complete_copy_that_watches_on_keeps_it_if_it_is_another_one(
    free_lab: FreeLab, engines: list[Engine]
) -> None:
    """Its engine would see the files go. Our own copy's gives way."""
    ours = target(free_lab.source, free_lab.destination, TargetState.COMPLETE, watching=True, completed=1.0)
    engines.append(Engine(ours))
    assert free_lab.job().plan().files == len(NAMES)
    other = ours.model_copy(update={"destination": str(free_lab.destination.with_name("usb"))})
    engines.append(Engine(other))
    refused(free_lab, ReasonCode.FREE_OTHER_COPY)


@pytest.mark.parametrize("error", [ValueError("of another version"), EngineGone("does not answer")])
def test_an_engine_that_cannot_be_asked_keeps_it(free_lab: FreeLab, engines: list[Engine], error: Exception) -> None:
    engines.append(Engine(error=error))
    assert "--despite 4711" in refused(free_lab, ReasonCode.FREE_ENGINE_SILENT)
    assert free_lab.job(despite=("4711",)).plan().files == len(NAMES)


@pytest.mark.skipif(os.name != "posix", reason="other users' processes")
def test_another_user_who_runs_softcopy_and_can_reach_the_source_keeps_it(
    free_lab: FreeLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Process:
        pid = 4712

        def uids(self) -> Any:
            return type("Uids", (), {"real": os.getuid() + 1})

        def cmdline(self) -> list[str]:
            return ["/usr/bin/python3", "-P", "-m", "softcopy_napari.engine.server"]

        def username(self) -> str:
            return "anna"

    monkeypatch.setattr(psutil, "process_iter", lambda: [Process()])
    assert free_lab.job().plan().files == len(NAMES)  # nobody else may enter this folder
    monkeypatch.setattr(other_targets, "_can_others_reach", lambda folder: True)
    assert "anna runs softcopy too" in refused(free_lab, ReasonCode.FREE_OTHER_USER)
    assert free_lab.job(despite=("4712",)).plan().files == len(NAMES)
