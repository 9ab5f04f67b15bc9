"""Engines in processes of their own, as front ends and acquisition software use them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Client
from pathlib import Path
from typing import Any

import psutil
import pytest

import softcopy_napari
from softcopy_napari.engine import client
from softcopy_napari.engine.client import Copy, EngineGone, EngineHandle, engines, launch
from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.protocol.messages import Order, Reply
from softcopy_napari.engine.states import ChunkState, TargetState
from softcopy_napari.engine.targets.build import make_target
from softcopy_napari.engine.targets.target import Settings, Target, targets_to_json
from softcopy_napari.engine.wording import describe
from tests.engine.support import copies_under_way, make_array, make_old, replace, temporaries, tree, until, write
from tests.support.preloaded import workers_of

posix_only = pytest.mark.skipif(os.name != "posix", reason="signals, sockets that are files")


class Engines:
    """Starts engines, and ends those that a test leaves."""

    def __init__(self, folder: Path) -> None:
        self.source, self.destination = folder / "source.zarr", folder / "destination.zarr"
        self.processes: list[psutil.Process] = []

    def target(self, number: str = "", **settings: Any) -> Target:
        settings = {"nprocs": 2, "settle": 0.0, "linger": 0.0, **settings}
        source, destination = (folder.with_name(number + folder.name) for folder in (self.source, self.destination))
        return make_target(source, destination, Settings(**settings))

    def start(self, *targets: Target) -> EngineHandle:
        handle = launch(targets or [self.target()])
        with contextlib.suppress(psutil.NoSuchProcess):  # so little to copy that it has ended
            self.processes.append(psutil.Process(handle.run.pid))
        return handle

    def copy(self, **settings: Any) -> Copy:
        return Copy(self.start(self.target(**settings)), "1")

    def waiting(self, **settings: Any) -> EngineHandle:
        """An engine that waits for its source."""
        handle = self.start(self.target(**settings))
        assert until(lambda: "does not exist yet" in handle.snapshot().targets[0].reason)
        return handle

    def end(self) -> None:
        for process in self.processes:
            try:
                process.terminate()
                process.wait(5)
            except psutil.NoSuchProcess:
                pass
            except psutil.TimeoutExpired:
                process.kill()
                pytest.fail("the engine did not end within 5 s of SIGTERM")


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Engines]:
    made = Engines(tmp_path)
    yield made
    made.end()


def within(seconds: float, act: Callable[[], Any]) -> Any:
    """Do something that must not take long, or fail instead of hanging."""
    result: list[Any] = []

    def run() -> None:
        try:
            result.append(act())
        except Exception as error:
            result.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    assert result, f"no answer within {seconds} s"
    return result[0]


# -- a whole copy ------------------------------------------------------------------------------------------


def test_an_old_dataset_is_copied_at_once_and_the_end_can_be_read_afterwards(made: Engines) -> None:
    make_array(made.source / "img", (3, 4))
    write(made.source / "img" / "notes.txt", b"sidecar", old=True)
    write(made.source / ".zgroup", b'{"zarr_format": 2}', old=True)
    make_old(made.source)
    copy = made.copy(settle=30.0)  # its files are old: it does not wait
    end = copy.wait(30.0)
    assert (end.state, end.failures, end.kept) == (TargetState.COMPLETE, (), 0)
    assert end.counts[ChunkState.COPIED] == end.chunk_files == 12
    assert end.other_files == 3 and end.other_waiting == 0
    assert end.files_copied == 15 and end.bytes_copied == sum(map(len, tree(made.source).values()))
    assert tree(made.destination) == tree(made.source)
    assert until(lambda: not made.processes[0].is_running())
    assert copy.engine.snapshot().ended
    assert copy.snapshot() == end
    assert EngineHandle(copy.engine.run).snapshot().targets == (end,)
    assert engines() == []


def test_copying_twice_copies_nothing_the_second_time(made: Engines) -> None:
    make_array(made.source, (3, 3))
    assert made.copy().wait(30.0).state is TargetState.COMPLETE
    before = {path: path.stat() for path in made.destination.rglob("*")}
    end = made.copy().wait(30.0)
    assert (end.state, end.files_copied, end.counts[ChunkState.COPIED]) == (TargetState.COMPLETE, 0, 9)
    assert {path: path.stat().st_ino for path in made.destination.rglob("*")} == {
        path: stat.st_ino for path, stat in before.items()
    }


def test_the_python_call_of_three_lines(made: Engines) -> None:
    make_array(made.source, (3,), chunks=False)
    copy = softcopy_napari.start(made.source, made.destination, nprocs=1, settle=1000.0)
    made.processes.append(psutil.Process(copy.engine.run.pid))
    assert until(lambda: copy.snapshot().state is TargetState.CAUGHT_UP)
    write(made.source / "0", b"first chunk")
    assert until(lambda: (made.destination / "0").exists())
    replace(made.source / "1", b"second chunk")
    end = copy.finish(30.0)
    assert end.state is TargetState.COMPLETE and end.chunk_files_absent == 1
    assert tree(made.destination) == tree(made.source)


def test_a_copy_goes_on_whose_starter_ended_before_it_was_answered(made: Engines) -> None:
    starter = subprocess.Popen(client._COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert starter.stdin is not None and starter.stdout is not None
    made.processes.append(psutil.Process(starter.pid))
    starter.stdout.close()
    starter.stdin.write(targets_to_json([made.target(settle=1000.0)]))
    starter.stdin.close()
    make_array(made.source, (3,))
    assert until(lambda: tree(made.destination) == tree(made.source), 30.0)
    assert starter.poll() is None
    assert engines()[0].ask(Order(do="stop"))
    assert starter.wait(10) == 0


def test_a_paused_copy_copies_nothing_until_it_is_resumed(made: Engines) -> None:
    make_array(made.source, (4,), chunks=False)
    copy = made.copy(settle=1000.0)
    assert until(lambda: copy.snapshot().state is TargetState.CAUGHT_UP)
    copy.pause()
    assert until(lambda: copy.snapshot().state is TargetState.PAUSED)
    replace(made.source / "0", b"x")
    assert until(lambda: copy.snapshot().counts[ChunkState.PENDING] == 1)
    assert not (made.destination / "0").exists()
    copy.resume()
    assert until(lambda: (made.destination / "0").exists())


def test_stopping_takes_less_than_two_seconds_and_the_next_start_goes_on(made: Engines) -> None:
    make_array(made.source, (2,))
    os.truncate(write(made.source / "large", b""), 1 << 42)
    make_old(made.source)
    copy = made.copy(settle=1000.0)
    assert until(lambda: copies_under_way(made.destination))
    started = time.monotonic()
    end = copy.stop()
    assert time.monotonic() - started < 2.0
    assert end.state is TargetState.STOPPED and "continue" in end.reason
    assert until(lambda: not made.processes[0].is_running())
    assert temporaries(made.destination) == []
    (made.source / "large").unlink()
    assert made.copy().wait(30.0).state is TargetState.COMPLETE
    assert tree(made.destination) == tree(made.source)


@posix_only
def test_an_engine_told_to_terminate_stops_in_order(made: Engines) -> None:
    handle = made.waiting()
    made.processes[0].terminate()
    assert until(lambda: not made.processes[0].is_running())
    assert handle.snapshot().targets[0].state is TargetState.STOPPED


def test_targets_run_side_by_side_and_are_ordered_about_one_by_one(made: Engines) -> None:
    make_array(made.source, (3,))
    handle = made.start(made.target(), made.target("second-"))
    assert until(lambda: handle.snapshot().targets[0].state is TargetState.COMPLETE)
    snapshot = handle.snapshot()
    assert not snapshot.ended and snapshot.targets[1].state is TargetState.WAITING
    assert snapshot.pid == made.processes[0].pid and [target.id for target in snapshot.targets] == ["1", "2"]
    handle.ask(Order(do="stop", target="2"))
    assert until(lambda: handle.snapshot().ended)
    assert [target.state for target in handle.snapshot().targets] == [TargetState.COMPLETE, TargetState.STOPPED]


@posix_only
def test_a_source_whose_path_is_not_utf8_can_be_copied(made: Engines) -> None:
    made.source = made.source.with_name(os.fsdecode(b"odd-\xff"))
    make_array(made.source, (2,))
    assert made.copy().wait(30.0).state is TargetState.COMPLETE


@posix_only
def test_names_that_are_not_utf8_reach_the_destination_and_the_front_end(made: Engines) -> None:
    odd = os.fsdecode(b"odd-\xff\xfe")
    make_array(made.source, (2,))
    write(made.source / odd / odd, b"x", old=True)
    os.mkfifo(made.source / odd / f"fifo-{odd}")
    make_old(made.source)
    copy = made.copy(settle=1000.0)
    failure = until(lambda: copy.snapshot().failures)
    assert failure and "is a fifo" in failure[0].reason  # type: ignore[index]
    (made.source / odd / f"fifo-{odd}").unlink()
    assert until(lambda: tree(made.destination) == tree(made.source))


# -- refusals ----------------------------------------------------------------------------------------------


def test_a_second_engine_on_one_destination_is_refused_with_the_pid_of_the_first(made: Engines) -> None:
    handle = made.waiting()
    other = make_target(made.source.with_name("other.zarr"), made.destination, Settings())
    with pytest.raises(TargetsError, match=f"process {handle.run.pid}"):
        launch([made.target("free-"), other])
    assert made.start(made.target("free-")), "the other target's destination was not let go"
    assert [engine.run.pid for engine in engines()] == [process.pid for process in made.processes]


def test_targets_that_cannot_be_copied_are_refused_in_words_and_nothing_is_left(made: Engines) -> None:
    write(made.source, b"a file")
    with pytest.raises(TargetsError, match="is a file, not a folder"):
        launch([made.target("other-"), made.target()])
    assert engines() == [] and not made.destination.exists()


# -- bad front ends ----------------------------------------------------------------------------------------


def call(handle: EngineHandle, message: bytes) -> Reply:
    with Client(handle.run.address, authkey=bytes.fromhex(handle.run.key)) as connection:
        connection.send_bytes(message)
        return Reply.model_validate_json(connection.recv_bytes())


def test_what_is_no_order_is_refused_with_a_reason_and_never_acted_upon(made: Engines) -> None:
    handle = made.waiting()
    for junk in (
        b"",
        b"\xff\xfe\0",
        b"[]",
        b'{"do": "destroy"}',
        b'{"do": "stop", "extra": 1}',
        b'{"do": "stop"',
        b"\0" * 9,
    ):
        reply = call(handle, junk)
        assert reply.snapshot is None and "not an order" in describe(reply.error)
    with pytest.raises(ValueError, match='no target "7"'):
        handle.ask(Order(do="stop", target="7"))
    assert handle.snapshot().targets[0].state is TargetState.WAITING


def test_arrays_that_are_as_they_were_are_told_once_a_connection(made: Engines) -> None:
    for name in ("a", "b"):
        (make_array(made.source / name, (3, 1)) / "2.0").unlink()
    write(made.source / ".zgroup", b'{"zarr_format": 2}')
    handle = made.copy(settle=3600.0).engine

    def whole() -> tuple[int, ...]:
        return tuple(sorted(array.counts[ChunkState.COPIED] for array in handle.snapshot().targets[0].arrays))

    assert until(lambda: whole() == (2, 2))
    with Client(handle.run.address, authkey=bytes.fromhex(handle.run.key)) as connection:

        def ask(**more: bool) -> Reply:
            connection.send_bytes(Order(do="snapshot", **more).model_dump_json(exclude_none=True).encode())
            return Reply.model_validate_json(connection.recv_bytes())

        assert ask(only_changes=True).left_out == (0,)
        reply = ask(only_changes=True)
        assert reply.left_out == (2,) and reply.snapshot is not None and reply.snapshot.targets[0].arrays == ()
        replace(made.source / "a" / "2.0", b"data")
        assert until(lambda: whole() == (2, 3))
        reply = ask(only_changes=True)
        assert reply.left_out == (1,) and reply.snapshot is not None
        assert [array.path for array in reply.snapshot.targets[0].arrays] == ["a"]
        assert ask().left_out == (0,), "who does not ask for news is told everything"


def test_an_engine_of_another_version_is_not_asked_for_what_it_may_not_know(
    made: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = made.waiting()
    assert handle._knows
    monkeypatch.setattr(client, "__version__", "0.0.1")
    other = EngineHandle(handle.run)
    assert [other.snapshot() is not None and other._knows for _ in range(2)] == [False, False]


def test_many_front_ends_at_once_are_all_answered(made: Engines) -> None:
    handle = made.waiting()
    others = [EngineHandle(handle.run) for _ in range(20)]
    answers: list[int] = []
    threads = [threading.Thread(target=lambda h=h: answers.append(h.snapshot().pid)) for h in others]  # type: ignore[misc]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10.0)
    assert answers == [handle.run.pid] * 20
    for other in others:
        other.close()


def test_a_front_end_with_the_wrong_key_is_refused(made: Engines) -> None:
    handle = made.waiting()
    stranger = EngineHandle(handle.run.model_copy(update={"key": "00" * 32}))
    assert isinstance(within(10.0, stranger.snapshot), EngineGone)
    assert handle.snapshot().targets


def test_a_front_end_whose_connection_broke_calls_again(made: Engines) -> None:
    handle = made.waiting()
    assert isinstance(within(10.0, lambda: handle.ask(Order(do="snapshot", target="x" * 100_000))), Exception)
    assert within(10.0, handle.snapshot).targets


@posix_only
def test_a_stranger_who_talks_nonsense_does_not_lock_everybody_out(made: Engines) -> None:
    handle = made.waiting()
    for nonsense in (b"\x7f\xff\xff\xff" * 100, b"GET / HTTP/1.0\r\n\r\n", b""):
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(handle.run.address)
            stranger.sendall(nonsense)
            stranger.shutdown(socket.SHUT_WR)
            stranger.settimeout(0.5)
            try:
                while stranger.recv(1000):
                    pass
            except OSError:
                pass
    assert within(10.0, EngineHandle(handle.run).snapshot).targets


@posix_only
def test_a_front_end_that_hangs_while_it_connects_does_not_lock_everybody_out(made: Engines) -> None:
    handle = made.waiting()
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(handle.run.address)
        assert within(10.0, EngineHandle(handle.run).snapshot).targets


# -- a killed engine ---------------------------------------------------------------------------------------


@posix_only
def test_a_killed_engine_is_reported_and_the_next_one_goes_on(made: Engines) -> None:
    make_array(made.source, (2,))
    os.truncate(write(made.source / "large", b""), 1 << 42)
    make_old(made.source)
    copy = made.copy(settle=1000.0)
    assert until(lambda: copies_under_way(made.destination))
    workers = workers_of(made.processes[0].pid)
    made.processes[0].send_signal(signal.SIGKILL)
    error = within(10.0, lambda: [copy.snapshot() for _ in range(100)])
    assert isinstance(error, EngineGone) and str(made.processes[0].pid) in str(error)
    assert isinstance(within(10.0, EngineHandle(copy.engine.run).snapshot), EngineGone)
    assert until(lambda: not any(worker.is_running() for worker in workers))
    assert engines() == []
    write(made.destination / ".softcopy-99999999-1.tmp", b"what a killed worker leaves")
    (made.source / "large").unlink()
    assert made.copy().wait(30.0).state is TargetState.COMPLETE
    assert tree(made.destination) == tree(made.source) and temporaries(made.destination) == []


@posix_only
def test_a_closed_terminal_does_not_end_the_engine(made: Engines) -> None:
    handle = made.waiting()
    assert os.getsid(handle.run.pid) != os.getsid(0)
    made.processes[0].send_signal(signal.SIGINT)
    assert handle.snapshot().targets[0].state is TargetState.WAITING
