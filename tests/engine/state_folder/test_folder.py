"""Who may fill a destination, and how front ends find the engine that does."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from softcopy_napari.engine.protocol.messages import EngineSnapshot
from softcopy_napari.engine.state_folder import destination_lock as lock_module
from softcopy_napari.engine.state_folder.destination_lock import DestinationBusy, DestinationLock
from softcopy_napari.engine.state_folder.folder import StateFolderError, state_folder
from softcopy_napari.engine.state_folder.ledger_folders import (
    DIGESTS,
    RECEIPT_DIGESTS,
    VERSIONS,
    clean_state_folder,
    ledger_folder,
)
from softcopy_napari.engine.state_folder.run_file import RunFile, run_files
from tests.engine.support import until

posix_only = pytest.mark.skipif(os.name != "posix", reason="permissions, links")

HOLD = """if True:
    import os, subprocess, sys
    from pathlib import Path
    from softcopy_napari.engine.state_folder.destination_lock import DestinationLock
    lock = DestinationLock(Path(sys.argv[1]))
    print("held", flush=True)
    sys.stdin.read()
    """


@contextmanager
def other_process(destination: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds a destination until it is told or killed."""
    command = [sys.executable, "-c", HOLD, str(destination)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdin is not None
        assert process.stdout.readline() == b"held\n"
        try:
            yield process
        finally:
            process.stdin.close()


def run_file(pid: int, started: float, ended: bool = False) -> RunFile:
    last = EngineSnapshot(pid=pid, version="0", started=started, ended=True) if ended else None
    return RunFile(pid=pid, process_started=started, address=f"/run/{pid}.socket", key="00" * 32, last=last)


def free(destination: Path) -> bool:
    try:
        DestinationLock(destination).release()
    except DestinationBusy:
        return False
    return True


# -- locks -------------------------------------------------------------------------------------------------


def test_a_destination_that_another_process_fills_is_refused_with_its_pid(tmp_path: Path) -> None:
    with other_process(tmp_path / "d") as other:
        with pytest.raises(DestinationBusy, match=f"process {other.pid}") as caught:
            DestinationLock(tmp_path / "d")
        assert caught.value.pid == other.pid
        assert str(tmp_path / "d") in str(caught.value)
        DestinationLock(tmp_path / "e").release()
    assert free(tmp_path / "d")


@posix_only
def test_a_destination_is_free_once_its_engine_was_killed(tmp_path: Path) -> None:
    with other_process(tmp_path / "d") as other:
        other.kill()
        assert until(lambda: free(tmp_path / "d"))


@posix_only
def test_a_destination_is_not_free_before_the_last_worker_has_gone(tmp_path: Path) -> None:
    """An old worker's last file must not land on top of a newer one."""
    lock = DestinationLock(tmp_path / "d")
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(lock.fileno(),)
    ) as worker:
        lock.release()
        assert not free(tmp_path / "d")
        assert worker.stdin is not None
        worker.stdin.write(b"\n")
    assert free(tmp_path / "d")


KILLED = """if True:
    import os, subprocess, sys
    from pathlib import Path
    from softcopy_napari.engine.state_folder.destination_lock import DestinationLock
    lock = DestinationLock(Path(sys.argv[1]))
    subprocess.Popen([sys.executable, "-c", "print('at work', flush=True); input()"], pass_fds=(lock.fileno(),))
    sys.stdin.close()
    os.kill(os.getpid(), 9)
    """


@contextmanager
def worker_of_a_killed_engine(destination: Path, reaped: bool) -> Iterator[subprocess.Popen[bytes]]:
    """An engine that was killed (or is a zombie yet), while a worker of it has something in hand."""
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(destination)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as engine:
        assert engine.stdout is not None
        assert engine.stdout.readline() == b"at work\n"
        if reaped:
            engine.wait(10)
        yield engine


@posix_only
@pytest.mark.parametrize("reaped", [True, False])
def test_the_last_copies_of_a_killed_engine_are_waited_for(tmp_path: Path, reaped: bool) -> None:
    """A worker has 1.5 s for what it has in hand, and on a busy machine takes longer: that is not "stuck"."""
    with worker_of_a_killed_engine(tmp_path / "d", reaped) as engine:
        assert engine.stdin is not None
        threading.Timer(1.0, engine.stdin.close).start()  # then the worker ends
        began = time.monotonic()
        DestinationLock(tmp_path / "d").release()
        assert time.monotonic() - began > 0.5


@posix_only
def test_a_copy_process_that_is_stuck_is_told_from_an_engine_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_module, "_LAST_COPIES", 0.2)
    with worker_of_a_killed_engine(tmp_path / "d", reaped=True) as engine:
        with pytest.raises(
            DestinationBusy, match=rf"\(process {engine.pid}\) of .* has ended, but one of its copy processes"
        ):
            DestinationLock(tmp_path / "d")
        assert engine.stdin is not None
        engine.stdin.close()


@posix_only
def test_a_state_folder_whose_disk_knows_no_locks_is_not_taken_for_a_busy_destination(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So some network shares: home folders lie there."""

    def flock(fd: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(f"{lock_module.__name__}.fcntl.flock", flock)
    files = psutil.Process().num_fds()
    with pytest.raises(StateFolderError, match=r"state folder .*locks"):
        DestinationLock(tmp_path / "d")
    assert psutil.Process().num_fds() == files


@posix_only
@pytest.mark.parametrize("spelling", ["d", "./d", "x/../d", "link"])
def test_one_destination_has_one_lock_however_it_is_spelled(tmp_path: Path, spelling: str) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "x").mkdir()
    (tmp_path / "link").symlink_to("d")
    lock = DestinationLock(tmp_path / "d")
    assert not free(Path(f"{tmp_path}/{spelling}"))
    lock.release()


@posix_only
@pytest.mark.parametrize("name", ["ünï", "line\nbreak", os.fsdecode(b"\xff")])
def test_odd_names_of_destinations_can_be_locked(tmp_path: Path, name: str) -> None:
    lock = DestinationLock(tmp_path / name)
    assert not free(tmp_path / name)
    lock.release()


def test_taking_a_lock_touches_nothing_at_the_destination(tmp_path: Path) -> None:
    lock = DestinationLock(tmp_path / "d")
    assert not (tmp_path / "d").exists()
    lock.release()


def test_a_pid_that_cannot_be_read_is_left_out_of_the_message(tmp_path: Path) -> None:
    lock = DestinationLock(tmp_path / "d")
    os.ftruncate(lock.fileno(), 0)
    with pytest.raises(DestinationBusy, match="another copy is writing to"):
        DestinationLock(tmp_path / "d")
    lock.release()


@posix_only
def test_a_refused_lock_leaves_nothing_open_and_the_owner_named(tmp_path: Path) -> None:
    lock = DestinationLock(tmp_path / "d")
    files = psutil.Process().num_fds()
    for _ in range(2):
        with pytest.raises(DestinationBusy, match=str(os.getpid())):
            DestinationLock(tmp_path / "d")
    assert psutil.Process().num_fds() == files
    lock.release()


# -- run files ---------------------------------------------------------------------------------------------


@posix_only
def test_nobody_else_can_read_the_key(tmp_path: Path) -> None:
    old_mask = os.umask(0)
    try:
        run = run_file(os.getpid(), psutil.Process().create_time())
        run.write()
        DestinationLock(tmp_path / "d").release()
    finally:
        os.umask(old_mask)
    for path in (state_folder(), *state_folder().rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_a_run_file_is_read_back_as_it_was_written() -> None:
    run = run_file(os.getpid(), psutil.Process().create_time())
    run.write()
    run.write()
    assert run_files() == [run]
    assert [path.suffix for path in run.path().parent.iterdir()] == [".json"]


def test_run_files_come_oldest_first_and_damaged_ones_are_passed_over() -> None:
    for pid, started in ((30, 3000.0), (10, 2000.0), (20, 1000.0)):
        run_file(pid, started).write()
    folder = run_file(1, 1.0).path().parent
    (folder / "1-1.json").write_bytes(b'{"pid": 1')
    (folder / "2-1.json").write_bytes(b"\xff\xfe")
    (folder / "3-1.json").mkdir()
    assert [run.pid for run in run_files()] == [20, 10, 30]


def test_only_the_very_process_that_wrote_it_counts_as_alive() -> None:
    started = psutil.Process().create_time()
    assert run_file(os.getpid(), started).alive()
    assert not run_file(os.getpid(), started - 100.0).alive(), "a later process with the same pid"
    assert not run_file(os.getpid(), started, ended=True).alive()
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    assert not run_file(ended.pid, started).alive()


@posix_only
def test_a_killed_engine_is_dead_even_if_nobody_waited_for_it() -> None:
    """In a container without an init, nobody ever does: front ends would wait for its word for ever."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as engine:
        run = run_file(engine.pid, psutil.Process(engine.pid).create_time())
        assert run.alive()
        os.kill(engine.pid, 9)
        assert until(lambda: psutil.Process(engine.pid).status() == psutil.STATUS_ZOMBIE)
        assert not run.alive()


# -- cleaning up -------------------------------------------------------------------------------------------


def test_cleaning_up_keeps_the_living_and_the_last_few_ends() -> None:
    alive = run_file(os.getpid(), psutil.Process().create_time())
    dead = run_file(2**22 - 1, 5.0)
    ended = [run_file(2**22 - 1, float(n), ended=True) for n in range(10, 40)]
    for run in (alive, dead, *ended):
        run.write()
    clean_state_folder(keep=20)
    assert run_files() == [*ended[10:], alive]


def ledgers_of(pid: int, started: float) -> Path:
    folder = ledger_folder().with_name(f"{pid}-{round(started)}")
    (folder / "1").mkdir(parents=True)
    for name in ("1.npy", DIGESTS, VERSIONS, RECEIPT_DIGESTS):
        (folder / "1" / name).write_bytes(b"x")
    return folder


def test_cleaning_up_removes_the_ledgers_of_the_dead_only() -> None:
    mine = ledgers_of(os.getpid(), psutil.Process().create_time())  # starting: it has no run file yet
    assert mine == ledger_folder()
    ledgers_of(2**22 - 1, 5.0)
    died = run_file(2**22 - 1, 7.0)
    died.write()
    ledgers_of(died.pid, died.process_started)
    ledgers_of(os.getpid(), 5.0)  # of an earlier process with this number
    other = ledger_folder().with_name("notes")
    other.mkdir()
    clean_state_folder()
    assert sorted(mine.parent.iterdir()) == sorted([mine, other])


def test_the_ledgers_of_an_engine_that_ended_can_be_drawn_for_as_long_as_its_end_is_told() -> None:
    ended = [run_file(2**22 - 1, 10.0 * n + 0.6, ended=True) for n in range(1, 4)]
    folders = []
    for run in ended:
        run.write()
        folders.append(ledgers_of(run.pid, run.process_started))
    clean_state_folder(keep=2)
    assert [folder.exists() for folder in folders] == [False, True, True]
    clean_state_folder(keep=0)
    assert not any(folder.exists() for folder in folders)


def test_cleaning_up_an_empty_state_folder_does_nothing() -> None:
    clean_state_folder()
    assert run_files() == []


@posix_only
def test_cleaning_up_removes_the_sockets_of_the_dead() -> None:
    dead = run_file(2**22 - 1, 5.0)
    dead.write()
    socket = dead.path().with_name(f"{dead.pid}.socket")
    socket.touch()
    clean_state_folder()
    assert not socket.exists()
