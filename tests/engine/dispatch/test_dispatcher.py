"""Retries: what is waited for must come or be given up, or its target never ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from softcopy_napari.engine.dispatch.dispatcher import Dispatcher
from softcopy_napari.engine.dispatch.worker_pool import WorkerPool
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.source.walk_planner import WalkPlanner
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.worker.copy_outcome import CopyOutcome
from softcopy_napari.engine.worker.tasks import Setup
from tests.engine.support import make_layout


class Desk:
    """A dispatcher without workers: only what it remembers is of interest."""

    def __init__(self, folder: Path) -> None:
        self.inventory = Inventory(folder / "ledgers")
        self.inventory.register_array(make_layout((4,), ""))
        pool = WorkerPool(Setup("/none", "/none", "0a1b2c3d", "", 0.0), 0, lambda message: None)
        self.dispatcher = Dispatcher(pool, self.inventory, WalkPlanner(), 2.0)
        self.now = 1000.0

    def comes_to(self, path: str, outcome: CopyOutcome) -> None:
        """A copy of a file comes to nothing."""
        self.inventory.writers.note_settled(path)
        batch = self.inventory.queue.take_batch(1)
        assert batch is not None and batch.paths == [path]
        self.dispatcher.retries.note_attempt(path, outcome, "cannot be read: Input/output error", self.now)
        self.inventory.note_results(
            batch, [ChunkState.WRITING if outcome is CopyOutcome.CHANGED else ChunkState.FAILED]
        )

    def wait(self, seconds: float = 100.0) -> None:
        self.now += seconds
        self.dispatcher.dispatch(self.now, copy=True)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.mark.parametrize("outcome", [CopyOutcome.CHANGED, CopyOutcome.FAILED])
@pytest.mark.parametrize("path", ["3", "notes"])
def test_a_copy_that_came_to_nothing_is_tried_again(desk: Desk, outcome: CopyOutcome, path: str) -> None:
    desk.comes_to(path, outcome)
    assert desk.inventory.queue.take_batch(1) is None
    assert desk.dispatcher.idle is (outcome is CopyOutcome.FAILED)
    desk.wait()
    batch = desk.inventory.queue.take_batch(1)
    assert batch is not None and batch.paths == [path]


def test_pauses_between_attempts_grow(desk: Desk) -> None:
    pauses = []
    for _ in range(10):
        desk.comes_to("3", CopyOutcome.FAILED)
        started = desk.now
        while desk.inventory.state("3") is not ChunkState.PENDING:
            desk.wait(0.25)
        pauses.append(desk.now - started)
        desk.inventory.set_state("3", ChunkState.FAILED)
    assert pauses == sorted(pauses) and pauses[0] <= 1.0 and 30.0 < pauses[-1] <= 61.0


@pytest.mark.parametrize("outcome", [CopyOutcome.CHANGED, CopyOutcome.FAILED])
def test_a_chunk_that_a_resize_cut_off_is_not_waited_for(desk: Desk, outcome: CopyOutcome) -> None:
    """tensorstore deletes it while it is copied, so the copy comes to nothing; then the metadata shrink."""
    desk.comes_to("3", outcome)
    desk.inventory.register_array(make_layout((2,), ""))
    desk.wait()
    assert desk.dispatcher.idle and not desk.dispatcher.retries.failed()


def test_a_chunk_that_vanished_while_events_were_lost_is_not_waited_for(desk: Desk) -> None:
    desk.comes_to("3", CopyOutcome.CHANGED)
    desk.inventory.writers.forget_writers()
    desk.wait()
    assert desk.dispatcher.idle


def test_a_file_that_is_being_written_is_not_read_again_until_it_is_settled(desk: Desk) -> None:
    """Where nothing tells of closing, a growing shard of gigabytes would be read every five seconds."""
    desk.comes_to("3", CopyOutcome.CHANGED)
    desk.inventory.writers.note_held("3", itself=True)
    desk.wait()
    assert desk.inventory.queue.take_batch(1) is None
    desk.inventory.writers.note_settled("3")
    assert desk.inventory.queue.take_batch(1) is not None
