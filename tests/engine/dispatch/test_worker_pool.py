"""Copy processes die, hang and are stopped: no task, no temporary and no process may be left behind."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from softcopy_napari.engine.dispatch import local_processes
from softcopy_napari.engine.dispatch import worker_pool as pool_module
from softcopy_napari.engine.dispatch.worker_pool import CopyWorker, WorkerAnswer, WorkerDied, WorkerPool, is_final
from softcopy_napari.engine.wording import describe
from softcopy_napari.engine.worker.copy_outcome import CopyOutcome
from softcopy_napari.engine.worker.file_copier import BUFFER_SIZE
from softcopy_napari.engine.worker.tasks import (
    Answer,
    CompareTask,
    CopyDone,
    CopyTask,
    Flushed,
    FlushTask,
    ProbeTask,
    Progress,
    ReadDone,
    ReadTask,
    Setup,
    SweepTask,
    Swept,
    Synced,
    SyncTask,
    Task,
    VerifyTask,
)
from tests.engine.support import copies_under_way, make_array, temporaries, tree, until, write

posix_only = pytest.mark.skipif(os.name != "posix", reason="signals")


class Desk:
    """What a job does for a pool, in small."""

    def __init__(self, folder: Path, size: int = 2, sleep_time: float = 0.0) -> None:
        self.source, self.destination = folder / "source", folder / "destination"
        self.source.mkdir()
        self.destination.mkdir()
        self.inbox: queue.SimpleQueue[WorkerAnswer | WorkerDied] = queue.SimpleQueue()
        setup = Setup(str(self.source), str(self.destination), "0a1b2c3d", "", sleep_time)
        self.pool = WorkerPool(setup, size, self.inbox.put)
        self.pool.start_missing(time.monotonic())
        self.answers: dict[int, list[Answer]] = {}
        self.back: list[Task] = []
        self.died: list[CopyWorker] = []

    def hear(self, until_: Callable[[], object], timeout: float = 30.0) -> object:
        """Take in what workers say until something holds."""
        deadline = time.monotonic() + timeout
        while not (value := until_()) and time.monotonic() < deadline:
            self.pool.start_missing(time.monotonic())
            self.pool.kill_hung(time.monotonic())
            with contextlib.suppress(queue.Empty):
                message = self.inbox.get(timeout=0.02)
                if isinstance(message, WorkerDied):
                    self.died.append(message.worker)
                    self.back += self.pool.remove_dead(message.worker)
                elif self.pool.note_answer(message, is_final(message.answer)) is not None:
                    self.answers.setdefault(message.task, []).append(message.answer)
        return value

    def ask(self, task: Task, worker: int = 0) -> Answer:
        """Have a task done; returns its last answer."""
        self.pool.send(self.pool.workers[worker], task)
        assert self.hear(lambda: self.answers.get(task.id) and is_final(self.answers[task.id][-1]))
        return self.answers[task.id][-1]

    def copy(self, *paths: str) -> CopyDone:
        done = self.ask(CopyTask(self.pool.new_id(), list(paths)))
        assert isinstance(done, CopyDone)
        return done

    def processes(self) -> list[psutil.Process]:
        return [psutil.Process(worker.link.process.pid) for worker in self.pool.workers]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    for worker in desk.pool.workers:
        with contextlib.suppress(psutil.Error):
            psutil.Process(worker.link.process.pid).resume()
    desk.pool.stop()


def large(desk: Desk, path: str = "large", size: int = 8 << 30) -> Path:
    """A file that takes long to copy and no room on the disk."""
    file = write(desk.source / path, b"")
    os.truncate(file, size)
    return file


def halt(worker: CopyWorker) -> None:
    """Stop a process in its tracks, as a system that is out of memory does."""
    os.kill(worker.link.process.pid, signal.SIGSTOP)
    assert until(lambda: psutil.Process(worker.link.process.pid).status() == psutil.STATUS_STOPPED)


# -- tasks and answers -------------------------------------------------------------------------------------


def test_every_kind_of_task_is_answered(desk: Desk) -> None:
    make_array(desk.source, (2, 2))
    new = desk.pool.new_id
    probe = desk.ask(ProbeTask(new()))
    assert list(probe.nodes) == [""]  # type: ignore[union-attr]
    read = desk.ask(ReadTask(new(), [".zarray", "none"]))
    assert isinstance(read, ReadDone) and read.contents[".zarray"] and read.contents["none"] is None
    compare = CompareTask(new(), [("", 0), ("none", 0)], 2.0)
    desk.ask(compare)
    parts = desk.answers[compare.id]
    assert [part.folder for part in parts] == ["", "none"]  # type: ignore[union-attr]
    assert len(parts[0].different) == 5  # type: ignore[union-attr]
    done = desk.copy("0.0", "none", "1.1")
    assert list(done.outcomes) == [CopyOutcome.COPIED, CopyOutcome.VANISHED, CopyOutcome.COPIED]
    assert done.size == 2 * (desk.source / "0.0").stat().st_size and len(done.digests) == 48
    write(desk.destination / ".softcopy-x.tmp", b"")
    assert isinstance(desk.ask(SweepTask(new(), [""], ".softcopy-x.tmp")), Swept)
    assert temporaries(desk.destination) == []
    flushed = desk.ask(FlushTask(new()))
    assert isinstance(flushed, Flushed) and (flushed.error, flushed.obstacle) == ("", None)
    synced = desk.ask(SyncTask(new(), ["0.0", "none", "1.1"]))
    assert isinstance(synced, Synced) and (synced.files, synced.failed) == (3, {})
    assert tree(desk.destination) == {p: c for p, c in tree(desk.source).items() if p in ("0.0", "1.1")}


def test_a_failure_is_answered_with_its_reason_and_the_other_files_are_copied(desk: Desk) -> None:
    for name in ("a", "b", "c"):
        write(desk.source / name, b"x")
    (desk.destination / "b").mkdir(parents=True)
    done = desk.copy("a", "b", "c")
    assert list(done.outcomes) == [CopyOutcome.COPIED, CopyOutcome.FAILED, CopyOutcome.COPIED]
    assert list(done.reasons) == [1] and "cannot be written" in describe(done.reasons[1])


@posix_only
@pytest.mark.parametrize("name", ["line\nbreak", os.fsdecode(b"\xff\xfe"), "日本" * 30])
def test_odd_names_survive_the_way_to_a_worker_and_back(desk: Desk, name: str) -> None:
    write(desk.source / name, b"x")
    compare = CompareTask(desk.pool.new_id(), [("", 0)], 2.0)
    desk.ask(compare)
    (part,) = desk.answers[compare.id]
    assert part.different == [name]  # type: ignore[union-attr]
    assert list(desk.copy(name).outcomes) == [CopyOutcome.COPIED]


def test_progress_of_a_large_file_is_told_while_it_is_copied(desk: Desk) -> None:
    size = 40_000_000
    write(desk.source / "large", os.urandom(size), old=True)
    desk.pool.set_pace(20e6, 0.0)
    task = CopyTask(desk.pool.new_id(), ["large"])
    desk.ask(task)
    *progress, done = desk.answers[task.id]
    assert progress and all(isinstance(one, Progress) for one in progress)
    assert isinstance(done, CopyDone) and done.size == size
    assert 0 < sum(one.size for one in progress) <= size  # type: ignore[union-attr]


def test_copies_come_before_comparisons_that_were_asked_for_earlier(tmp_path: Path) -> None:
    desk = Desk(tmp_path, size=1)
    try:
        folders = [(f"f{number}", 0) for number in range(2000)]
        for name, _ in folders:
            (desk.source / name).mkdir()
        compare = CompareTask(desk.pool.new_id(), folders, 2.0)
        write(desk.source / "x", b"x")
        copy = CopyTask(desk.pool.new_id(), ["x"])
        worker = psutil.Process(desk.pool.workers[0].link.process.pid)
        worker.suspend()  # else it may be done with one before it has the other
        desk.pool.send(desk.pool.workers[0], compare)
        desk.pool.send(desk.pool.workers[0], copy)
        worker.resume()
        assert desk.hear(lambda: copy.id in desk.answers)
        assert len(desk.answers.get(compare.id, [])) < len(folders)
    finally:
        desk.pool.stop()


# -- death -------------------------------------------------------------------------------------------------


@posix_only
def test_the_tasks_of_a_killed_worker_come_back_and_another_takes_its_place(desk: Desk) -> None:
    large(desk, size=1 << 42)  # copied whole, before it is killed, by no machine
    worker = desk.pool.workers[0]
    tasks = [CopyTask(desk.pool.new_id(), ["large"]), CompareTask(desk.pool.new_id(), [("", 0)], 2.0)]
    for task in tasks:
        desk.pool.send(worker, task)
    assert until((desk.destination / worker.temporary).exists)  # there are others while a worker tries the disk
    worker.link.process.kill()
    assert desk.hear(lambda: desk.died)
    assert desk.back == tasks and not worker.hung
    assert desk.hear(lambda: len(desk.pool.workers) == 2)
    left = temporaries(desk.destination)
    assert [path.name for path in left] == [worker.temporary]
    desk.ask(SweepTask(desk.pool.new_id(), pool_module.folders_of(desk.back), worker.temporary))
    assert temporaries(desk.destination) == []
    write(desk.source / "x", b"x")
    assert list(desk.copy("x").outcomes) == [CopyOutcome.COPIED]


@posix_only
def test_a_hung_worker_is_replaced(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    write(desk.source / "x", b"x")
    desk.copy("x")  # it has started
    monkeypatch.setattr(pool_module, "_HUNG", 0.3)
    worker = desk.pool.workers[0]
    halt(worker)
    assert desk.hear(lambda: False, 0.6) is False
    assert desk.died == [], "a worker that has nothing to do is not hung"
    task = CopyTask(desk.pool.new_id(), ["x"])
    desk.pool.send(worker, task)
    assert desk.hear(lambda: desk.died)
    assert worker.hung and desk.back == [task]
    assert desk.hear(lambda: len(desk.pool.workers) == 2)


@posix_only
def test_workers_that_keep_dying_are_started_ever_more_rarely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_processes, "_COMMAND", [sys.executable, "-c", "raise SystemExit(1)"])
    desk = Desk(tmp_path, size=1)
    try:
        desk.hear(lambda: False, 1.5)
        assert len(desk.died) <= 6
        assert desk.hear(lambda: len(desk.died) >= 2)
    finally:
        desk.pool.stop()


@posix_only
def test_a_task_sent_to_a_worker_that_has_just_died_comes_back(desk: Desk) -> None:
    worker = desk.pool.workers[0]
    worker.link.process.kill()
    worker.link.process.wait()
    task = FlushTask(desk.pool.new_id())
    desk.pool.send(worker, task)
    assert desk.hear(lambda: desk.back)
    assert desk.back == [task]


def test_a_worker_that_sleeps_as_it_was_told_is_not_hung(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real: --sleep-time of 31 s and more, or 8 s for the first batch."""
    desk = Desk(tmp_path, size=1, sleep_time=0.8)
    try:
        for name in "abc":
            write(desk.source / name, b"x")
        desk.copy("a")  # it has started
        monkeypatch.setattr(pool_module, "_HUNG", 0.7)
        task = CopyTask(desk.pool.new_id(), ["b", "c"])
        desk.pool.send(desk.pool.workers[0], task)
        desk.hear(lambda: desk.died or task.id in desk.answers)
        assert not desk.died
    finally:
        desk.pool.stop()


@posix_only
def test_a_flush_may_take_long(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped here; on a slow disk with gigabytes to write it really takes minutes."""
    write(desk.source / "x", b"x")
    desk.copy("x")
    monkeypatch.setattr(pool_module, "_HUNG", 0.3)
    worker = desk.pool.workers[0]
    halt(worker)
    task = FlushTask(desk.pool.new_id())
    desk.pool.send(worker, task)
    desk.hear(lambda: desk.died, 0.8)
    os.kill(worker.link.process.pid, signal.SIGCONT)
    desk.hear(lambda: desk.died or task.id in desk.answers)
    (flushed,) = desk.answers[task.id]
    assert isinstance(flushed, Flushed) and not flushed.error


# -- a process that does not read --------------------------------------------------------------------------


@posix_only
def test_a_process_that_does_not_read_holds_up_neither_its_job_nor_the_stop(desk: Desk) -> None:
    """Real: stopped by a batch system, with a pipe of 4 KiB, which is what a user with many pipes gets."""
    paths = [f"a folder with a name of some length/and another one/{number}" for number in range(20_000)]
    write(desk.source / "x", b"x")
    desk.copy("x")
    worker = desk.pool.workers[0]
    halt(worker)
    processes = desk.processes()
    started = time.monotonic()
    for _ in range(2):
        desk.pool.send(worker, CopyTask(desk.pool.new_id(), paths))
        desk.pool.send(worker, VerifyTask(desk.pool.new_id(), paths, bytes(16 * len(paths)), False))
    for number in range(1000):
        desk.pool.set_pace(1e6 + number, 0.0)
    assert time.monotonic() - started < 1.0
    assert worker.link.writer._waiting.qsize() <= 5, "of all paces the last one"
    desk.pool.stop()
    assert time.monotonic() - started < 2.5
    assert until(lambda: not any(p.is_running() for p in processes))


@posix_only
def test_what_a_process_was_sent_while_it_did_not_read_arrives_in_order(desk: Desk) -> None:
    write(desk.source / "x", b"x")
    desk.copy("x")
    worker = desk.pool.workers[0]
    halt(worker)
    names = [str(number) for number in range(5000)]
    for name in names:
        write(desk.source / name, b"x")
    tasks = [CopyTask(desk.pool.new_id(), names), ReadTask(desk.pool.new_id(), ["x"])]
    for task in tasks:
        desk.pool.send(worker, task)
    os.kill(worker.link.process.pid, signal.SIGCONT)
    assert desk.hear(lambda: tasks[1].id in desk.answers)
    assert list(desk.answers)[-2:] == [task.id for task in tasks]
    (done,) = [one for one in desk.answers[tasks[0].id] if isinstance(one, CopyDone)]
    assert done.outcomes == bytes([CopyOutcome.COPIED]) * len(names)


# -- stopping ----------------------------------------------------------------------------------------------


def test_stopping_in_the_middle_of_a_large_copy_leaves_no_process_and_no_temporary(desk: Desk) -> None:
    large(desk, size=1 << 42)
    worker = desk.pool.workers[0]
    desk.pool.send(worker, CopyTask(desk.pool.new_id(), ["large"]))
    assert until((desk.destination / worker.temporary).exists)
    processes = desk.processes()
    started = time.monotonic()
    left = desk.pool.stop()
    assert time.monotonic() - started < 2.0
    assert left == []
    assert until(lambda: not any(p.is_running() for p in processes))
    assert temporaries(desk.destination) == []


@posix_only
def test_stopping_a_worker_that_hangs_takes_no_longer_and_tells_what_it_left(desk: Desk) -> None:
    large(desk, path="sub/large", size=1 << 42)
    worker = desk.pool.workers[1]
    desk.pool.send(worker, CopyTask(desk.pool.new_id(), ["sub/large"]))
    assert until((desk.destination / "sub" / worker.temporary).exists)
    halt(worker)
    processes = desk.processes()
    started = time.monotonic()
    left = desk.pool.stop()
    assert time.monotonic() - started < 2.0
    assert left == [(worker.temporary, ["", "sub"])]
    assert until(lambda: not any(p.is_running() for p in processes))


def test_a_stopped_pool_starts_no_worker(desk: Desk) -> None:
    desk.pool.stop()
    desk.pool.workers.clear()
    desk.pool.start_missing(time.monotonic() + 100.0)
    assert desk.pool.workers == []


@posix_only
def test_many_answers_that_nobody_takes_do_not_hold_up_the_end(tmp_path: Path) -> None:
    import fcntl
    import termios

    def waiting(worker: CopyWorker) -> int:
        """Bytes in the pipe from a worker."""
        assert worker.link.process.stdout is not None
        return int.from_bytes(fcntl.ioctl(worker.link.process.stdout, termios.FIONREAD, bytes(4)), sys.byteorder)

    desk = Desk(tmp_path, size=2)
    for number in range(1000):
        (desk.source / f"f{number}").mkdir()
    for worker in desk.pool.workers:
        desk.pool.send(worker, CompareTask(desk.pool.new_id(), [(f"f{n}", 0) for n in range(1000)], 2.0))
    processes = desk.processes()
    assert until(lambda: all(waiting(worker) > 50_000 for worker in desk.pool.workers))
    desk.pool.stop()
    reaped = until(lambda: not any(p.is_running() for p in processes))
    while not desk.inbox.empty():  # what the pool should have done
        desk.inbox.get()
        desk.pool._backlog.release()
        until(lambda: not desk.inbox.empty(), 0.1)
    assert reaped


ENGINE = """
    import sys, time
    from softcopy_napari.engine.dispatch.worker_pool import WorkerPool
    from softcopy_napari.engine.worker.tasks import CopyTask, Setup
    source, destination = sys.argv[1:]
    pool = WorkerPool(Setup(source, destination, "0a1b2c3d", "", 0.0), 3, lambda message: None)
    pool.start_missing(time.monotonic())
    pool.send(pool.workers[0], CopyTask(1, ["large"]))
    print(*(worker.link.process.pid for worker in pool.workers), flush=True)
    time.sleep(60)
    """


@posix_only
def test_workers_end_when_their_engine_is_killed(tmp_path: Path) -> None:
    source, destination = tmp_path / "source", tmp_path / "destination"
    destination.mkdir()
    os.truncate(write(source / "large", b""), 1 << 42)
    command = [sys.executable, "-c", textwrap.dedent(ENGINE), str(source), str(destination)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as engine:
        assert engine.stdout is not None
        workers = [psutil.Process(int(pid)) for pid in engine.stdout.readline().split()]
        assert len(workers) == 3
        assert until(lambda: copies_under_way(destination))
        engine.kill()
    assert until(lambda: not any(p.is_running() and p.status() != "zombie" for p in workers))
    assert temporaries(destination) == []


@posix_only
def test_the_interrupt_of_a_terminal_does_not_reach_workers(desk: Desk) -> None:
    write(desk.source / "x", b"x")
    desk.copy("x")
    for process in desk.processes():
        assert os.getpgid(process.pid) != os.getpgid(0)
        process.send_signal(signal.SIGINT)
    assert list(desk.copy("x").outcomes) == [CopyOutcome.COPIED]


# -- what workers cost -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("nothing_preloaded")
@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted differently elsewhere")
def test_a_worker_stays_under_25_megabytes(desk: Desk) -> None:
    large(desk, size=2 * BUFFER_SIZE + 1)
    for number in range(3000):
        (desk.source / f"{number}").touch()
    compare = CompareTask(desk.pool.new_id(), [("", 0)], 2.0)
    desk.ask(compare)
    desk.copy("large", *(str(number) for number in range(3000)))
    rss = psutil.Process(desk.pool.workers[0].link.process.pid).memory_info().rss
    assert rss < 25 * 10**6, f"{rss / 1e6:.1f} MB"


@pytest.mark.skipif(sys.platform != "linux", reason="psutil knows disk priorities here")
def test_workers_give_way_to_the_acquisition(desk: Desk) -> None:
    for process in desk.processes():
        assert process.nice() == 19
        assert process.ionice().ioclass == psutil.IOPRIO_CLASS_IDLE
    assert desk.pool.problems == []


@posix_only
def test_a_worker_that_does_not_listen_does_not_block_the_job(desk: Desk) -> None:
    """What the dispatcher sends at most: two batches of 24,000 characters and two of 64 folders."""
    write(desk.source / "x", b"x")
    desk.copy("x")
    worker = desk.pool.workers[0]
    halt(worker)

    def send() -> None:
        for _ in range(2):
            desk.pool.send(worker, CopyTask(desk.pool.new_id(), ["日本" * 23 + f"{n:04}" for n in range(480)]))

    sending = threading.Thread(target=send)
    sending.start()
    sending.join(30.0)
    stuck = sending.is_alive()
    os.kill(worker.link.process.pid, signal.SIGCONT)
    sending.join(30.0)
    assert not stuck
