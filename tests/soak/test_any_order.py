"""Whatever a writer, a user and bad luck do, in any order: nothing torn, nothing called copied that is not, all there.

hypothesis makes up the order. What lies at the destination was once whole at the source, at every step; what a
ledger calls COPIED is, once the writer is quiet; in the end both sides are equal.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from softcopy_napari.engine import client
from softcopy_napari.engine.client import Copy, launch
from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.state_folder.folder import state_folder
from softcopy_napari.engine.states import ChunkState, TargetState
from softcopy_napari.engine.targets.build import make_target
from softcopy_napari.engine.targets.target import Settings
from softcopy_napari.engine.zarr_layout.file_names import METADATA_NAMES
from tests.engine.support import temporaries, until
from tests.soak.model import Destination, Source, difference, files
from tests.support.preloaded import workers_of

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills and stops processes by signals")

ENGINE = [sys.executable, "-P", str(Path(__file__).with_name("quick_engine.py"))]
SOON = 30.0
"""Seconds after which something that should come true is taken to be wrong."""

cells = st.integers(0, 3)
sizes = st.sampled_from([20, 4_000, 300_000])


def wait_for(condition: Callable[[], object], what: str, tell: Callable[[], object]) -> None:
    assert until(condition, SOON), f"not within {SOON} s: {what}; {tell()}"


class AnyOrder(RuleBasedStateMachine):
    """A writer, a user and bad luck take turns."""

    folders: itertools.count[int]
    root: Path

    def __init__(self) -> None:
        super().__init__()
        self.source, self.destination = self.make_sides(str(next(self.folders)))
        self.copy: Copy | None = None
        self.workers: list[psutil.Process] = []
        self.older_markers: set[str] = set()
        self.paused = False
        self.flipped = False

    def make_sides(self, name: str) -> tuple[Source, Destination]:
        """Both, of this name."""
        folder = self.root / name
        folder.mkdir()
        return Source(folder / "source.zarr"), Destination(folder / "destination")

    # -- the writer ------------------------------------------------------------------------------------------

    @precondition(lambda self: self.source.there)
    @rule(array=cells, cell=cells, size=sizes)
    def replace_a_chunk(self, array: int, cell: int, size: int) -> None:
        self.source.replace_chunk(self._key(array, cell), size)

    @precondition(lambda self: self.source.there)
    @rule(array=cells, cell=cells, size=sizes)
    def write_half_a_chunk_in_place(self, array: int, cell: int, size: int) -> None:
        self.source.open_in_place(self._key(array, cell), size)

    @precondition(lambda self: self.source.there)
    @rule(cell=st.integers(0, 3))
    def write_a_shard_without_its_index(self, cell: int) -> None:
        self.source.open_shard(cell)

    @precondition(lambda self: self.source.there)
    @rule()
    def write_the_rest_of_what_is_open(self) -> None:
        self.source.close_all()

    @precondition(lambda self: self.source.there)
    @rule(number=cells, watched=st.booleans())
    def delete_a_chunk_under_its_lock(self, number: int, watched: bool) -> None:
        chunks = sorted(path for path in files(self.source.real) if path.startswith("array") and path[-1].isdigit())
        if not chunks:
            return
        path = chunks[number % len(chunks)]
        if watched := watched and self._clear:
            self.wait_until_it_has_caught_up()
        self.source.delete_chunk(path)
        if watched:
            there = self.destination.real / path
            wait_for(lambda: not there.exists(), f"{path} is deleted at the destination too", self._snapshot)

    @precondition(lambda self: self.source.there)
    @rule(array=cells)
    def make_an_array_longer(self, array: int) -> None:
        self.source.grow(self._name(array))

    @precondition(lambda self: self.source.there and len(self.source.grids) < 4)
    @rule()
    def make_a_new_array(self) -> None:
        self.source.add_array()

    @precondition(lambda self: self.source.there)
    @rule(size=sizes)
    def write_a_note(self, size: int) -> None:
        self.source.note("notes.txt", size)

    # -- the user --------------------------------------------------------------------------------------------

    @precondition(lambda self: self.copy is None and self.destination.at_hand)
    @rule(verify=st.sampled_from(["size", "size", "checksum"]))
    def start_the_engine(self, verify: str) -> None:
        self._start(verify)

    @initialize(verify=st.sampled_from(["size", "checksum"]), before=st.booleans())
    def begin(self, verify: str, before: bool) -> None:
        for cell in range(4 * before):
            self.source.replace_chunk(self._key(0, cell), 4_000)
        self._start(verify)

    def _start(self, verify: str) -> None:
        chosen = Settings(nprocs=2, settle=1000.0, verify=verify, linger=0)  # type: ignore[arg-type]
        self.older_markers = self.destination.markers()
        self.copy = Copy(launch([make_target(self.source.root, self.destination.root, chosen)]), "1")
        self.paused = False

    @precondition(lambda self: self.copy is not None)
    @rule(by_force=st.booleans(), again=st.sampled_from([True, True, False]))
    def end_the_engine(self, by_force: bool, again: bool) -> None:
        self._kill() if by_force else self._stop()
        if again and self.destination.at_hand:
            self._start("size")

    def _kill(self) -> None:
        assert self.copy is not None
        self._wake_the_workers()
        process = psutil.Process(self.copy.engine.run.pid)
        process.kill()
        wait_for(lambda: not self._runs(process), "a killed engine ends", lambda: process)
        self._forget()

    def _stop(self) -> None:
        assert self.copy is not None
        self._wake_the_workers()
        end = self.copy.stop(SOON)
        assert end.state is TargetState.STOPPED, (end, self._where_it_is())
        run = self.copy.engine.run
        wait_for(lambda: not run.alive(), "a stopped engine ends", lambda: run)
        if self.destination.at_hand:
            assert not temporaries(self.destination.real)
        self._forget()

    @precondition(lambda self: self.copy is not None)
    @rule()
    def let_time_pass(self) -> None:
        """Longer than a file must be left alone to count as settled."""
        time.sleep(0.8)

    @precondition(lambda self: self.copy is not None)
    @rule(pause=st.booleans())
    def pause_or_resume(self, pause: bool) -> None:
        assert self.copy is not None
        self.copy.pause() if pause else self.copy.resume()
        self.paused = pause

    @precondition(lambda self: self._clear)
    @rule()
    def wait_until_it_has_caught_up(self) -> None:
        self.source.close_all()
        self._wake_the_workers()
        self._caught_up()

    # -- bad luck --------------------------------------------------------------------------------------------

    @precondition(lambda self: self.copy is not None)
    @rule(stop=st.booleans())
    def kill_or_stop_a_worker(self, stop: bool) -> None:
        assert self.copy is not None
        with contextlib.suppress(psutil.Error, IndexError):
            worker = workers_of(self.copy.engine.run.pid)[0]
            worker.send_signal(signal.SIGSTOP if stop else signal.SIGKILL)
            self.workers.append(worker)

    @precondition(lambda self: self.copy is not None)
    @rule(which=st.sampled_from(["source", "destination", "permission"]))
    def take_a_side_away_or_bring_it_back(self, which: str) -> None:
        if not self.source.there:
            self.source.come_back()
        elif not self.destination.at_hand:
            self.destination.put_right()
        elif which == "source":
            self.source.move_away()
        elif which == "destination":
            # Else it would not know the empty folder from it; and what comes next must not hang on how fast it is.
            wait_for(lambda: self.destination.markers() - self.older_markers, "it has marked its place", self._snapshot)
            self.destination.move_away()
        else:
            self.destination.close()

    @precondition(lambda self: not (self.source.there and self.destination.at_hand))
    @rule()
    def bring_back_what_is_away(self) -> None:
        self.source.come_back()
        self.destination.put_right()

    @precondition(lambda self: self.copy is None and self.destination.at_hand)
    @rule(number=cells, how=st.sampled_from(["deleted", "same size", "longer"]))
    def damage_a_file_of_the_destination(self, number: int, how: str) -> None:
        if found := self._chunks_and_notes():
            self.destination.tamper(found[number % len(found)], how)

    @precondition(lambda self: self.copy is None and self.destination.at_hand)
    @rule(number=cells)
    def flip_a_bit_of_the_destination(self, number: int) -> None:
        self.flipped = True  # even if nothing has arrived yet: hypothesis expects the same of the same steps
        if found := self._chunks_and_notes():
            self.destination.flip(found[number % len(found)])

    def _chunks_and_notes(self) -> list[str]:
        """Files of the destination that a change makes wrong: metadata that somebody changed there are kept."""
        return sorted(path for path in files(self.destination.real) if path.rpartition("/")[2] not in METADATA_NAMES)

    # -- what must hold --------------------------------------------------------------------------------------

    @invariant()
    def what_lies_at_the_destination_was_once_whole_at_the_source(self) -> None:
        if self.destination.closed and os.geteuid():
            return
        for path, content in files(self.destination.real).items():
            if path not in self.destination.tampered:
                assert content in self.source.history.get(path, ()), f"{path} has {content[:60]!r} ({len(content)})"

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:  # else something is wrong already
                self._end_well()
        finally:
            self.source.close_all()
            self._wake_the_workers()
            if self.copy is not None:
                with contextlib.suppress(psutil.Error):
                    process = psutil.Process(self.copy.engine.run.pid)
                    children = process.children()
                    process.kill()
                    psutil.wait_procs([process, *children], timeout=5)
                self._forget()
            os.chmod(self.destination.root, 0o755)
            for side in (self.source, self.destination):
                shutil.rmtree(side.real.parent, ignore_errors=True)

    def _end_well(self) -> None:
        self.source.come_back()
        self.source.close_all()
        self.destination.put_right()
        self._wake_the_workers()
        self.what_lies_at_the_destination_was_once_whole_at_the_source()
        if self.flipped and self.copy is not None:
            self._stop()
        if self.copy is None:
            self._start("checksum" if self.flipped else "size")
        elif self.paused:
            self.pause_or_resume(False)
        self._caught_up()
        assert self._finish().state in (TargetState.COMPLETE, TargetState.FAILED)
        left = sorted(path for path in self.source.gone if (self.destination.real / path).exists())
        if left:  # nobody saw them deleted: it must have said so, and leaves them to us
            for path in left:
                (self.destination.real / path).unlink()
            self._start("size")
            end = self._finish()
        else:
            end = self.last
        assert end.state is TargetState.COMPLETE, end.reason
        assert files(self.source.real) == files(self.destination.real)
        assert not list(self.destination.real.rglob(".softcopy-*"))

    def _finish(self) -> TargetSnapshot:
        assert self.copy is not None
        self.last = self.copy.finish(SOON)
        assert self.last.state.ended, self.last
        if self.last.state is TargetState.FAILED:
            assert "not in the source" in self.last.reason, (
                self.last
            )  # whether or not a copy is known to have brought it
        run = self.copy.engine.run
        wait_for(lambda: not run.alive(), "the engine ends", lambda: run)
        self._forget()
        return self.last

    def _caught_up(self) -> None:
        wait_for(
            lambda: not difference(self.source, self.destination),
            "both sides are equal",
            lambda: (difference(self.source, self.destination), self._snapshot()),
        )
        wait_for(lambda: self._snapshot().state is TargetState.CAUGHT_UP, "it has caught up", self._snapshot)
        wait_for(lambda: not self._wrong_cells(), "the ledgers are true", self._wrong_cells)
        self.destination.tampered.clear()

    def _wrong_cells(self) -> list[str]:
        """Cells whose state is not what the disks say."""
        wrong = []
        for array in self._snapshot().arrays:
            try:
                states = np.load(array.ledger).ravel().tolist()
            except FileNotFoundError:  # it was resized: the next snapshot tells of another one
                return [f"{array.ledger} was replaced"]
            for cell, state in enumerate(states):
                path = f"shards/c/{cell}" if array.path == "shards" else self.source.key(array.path, cell)
                here, there = (side / path for side in (self.source.real, self.destination.real))
                if path in self.source.gone and there.exists() and not here.exists():
                    continue  # nobody saw it go: its copy is kept, and it may be called copied, as it was
                copied = state in (ChunkState.COPIED, ChunkState.VERIFIED)
                same = here.exists() and there.exists() and here.read_bytes() == there.read_bytes()
                if copied != same:
                    wrong.append(f"{path} is {ChunkState(state).name}")
        return wrong

    # -- shorthands ------------------------------------------------------------------------------------------

    @property
    def _clear(self) -> bool:
        """Whether nothing keeps the engine from copying, and from seeing what happens."""
        free = self.copy is not None and not self.paused and not self.flipped
        return free and self.source.there and self.destination.at_hand

    def _name(self, array: int) -> str:
        return self.source.arrays[array % len(self.source.arrays)]

    def _key(self, array: int, cell: int) -> str:
        return self.source.key(self._name(array), cell)

    def _snapshot(self) -> TargetSnapshot:
        assert self.copy is not None
        return self.copy.snapshot()

    def _where_it_is(self) -> str:
        """The stacks of the engine's threads."""
        assert self.copy is not None
        os.kill(self.copy.engine.run.pid, signal.SIGUSR1)
        time.sleep(1)
        return "\n".join(path.read_text() for path in state_folder().rglob("engine*") if path.is_file())

    def _wake_the_workers(self) -> None:
        for worker in self.workers:
            with contextlib.suppress(psutil.Error):
                worker.send_signal(signal.SIGCONT)
        self.workers.clear()

    def _forget(self) -> None:
        assert self.copy is not None
        self.copy.engine.close()
        self.copy = None

    @staticmethod
    def _runs(process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.Error):
            return process.status() != psutil.STATUS_ZOMBIE
        return False


def run(
    machine: type[AnyOrder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, examples: int, steps: int, **more: object
) -> None:
    """Try many orders."""
    monkeypatch.setattr(client, "_COMMAND", ENGINE)
    run_state_machine_as_test(
        type(machine.__name__, (machine,), {"root": tmp_path, "folders": itertools.count()}),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
            **more,  # type: ignore[arg-type]
        ),
    )


def test_a_few_orders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(AnyOrder, tmp_path, monkeypatch, 2, 10, derandomize=True)


@pytest.mark.soak
@pytest.mark.timeout(1100)
def test_many_orders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(AnyOrder, tmp_path, monkeypatch, 20, 25, phases=(Phase.generate,), database=None)
