"""What the command promises of any copy, whoever writes: nothing lost, nothing torn, nothing done twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from softcopy_napari.engine.state_folder.folder import private_folder
from softcopy_napari.engine.state_folder.ledger_folders import VERSIONS
from tests.engine.support import copies_under_way, make_old
from tests.support.command import Softcopy, softcopy, until, until_status
from tests.support.preloaded import workers_of
from tests.support.trees import assert_same, contents, stamps
from tests.support.writers import Writer, write


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """An acquisition of 24 chunk files that has ended."""
    path = tmp_path / "source.zarr"
    write("tensorstore", path)
    return path


@pytest.fixture
def old_source(source: Path) -> Path:
    """One that ended long ago: nobody waits until it has been quiet."""
    make_old(source)
    return source


def _make_large(path: Path, files: int = 4, size: int = 80_000_000) -> Path:
    """An array of large chunk files."""
    path.mkdir()
    (path / ".zarray").write_text(
        f'{{"zarr_format": 2, "shape": [{files * size}], "chunks": [{size}], "dtype": "|u1", "compressor": null, '
        '"fill_value": 0, "order": "C", "filters": null}'
    )
    for number in range(files):
        with open(path / str(number), "wb") as file:
            file.write(bytes([number + 1]) * size)
    return path


def test_running_twice_copies_nothing(old_source: Path, tmp_path: Path) -> None:
    destination = tmp_path / "destination.zarr"
    assert softcopy("--nprocs", "1", "--settle", "0", old_source, destination).returncode == 0
    before = stamps(destination)
    again = softcopy("--nprocs", "1", "--settle", "0", old_source, destination)
    assert again.returncode == 0
    assert "0 files copied, including rewrites" in again.stdout
    assert stamps(destination) == before


def test_the_source_is_left_as_it_was(old_source: Path, tmp_path: Path) -> None:
    before = {path: os.stat(path) for path in [old_source, *old_source.rglob("*")]}
    assert softcopy("--nprocs", "1", "--settle", "0", old_source, tmp_path / "destination.zarr").returncode == 0
    for path, info in before.items():
        now = os.stat(path)
        assert (now.st_mtime_ns, now.st_ctime_ns, now.st_size) == (info.st_mtime_ns, info.st_ctime_ns, info.st_size)
        if path.is_file():
            assert now.st_atime_ns == info.st_atime_ns


def test_everything_else_in_the_source_is_copied_and_links_stay_links(source: Path, tmp_path: Path) -> None:
    destination = tmp_path / "destination.zarr"
    (source / "positions.csv").write_text("x,y\n")
    (source / "empty").mkdir()
    (source / "deep" / "er").mkdir(parents=True)
    (source / "deep" / "er" / "näme with\nbreak").write_bytes(b"1")
    (source / "to_file").symlink_to("positions.csv")
    (source / "to_folder").symlink_to("deep")
    (source / "to_nowhere").symlink_to("/nowhere/at/all")
    (source / "round").symlink_to(".")
    done = softcopy("--nprocs", "1", "--settle", "0", "--finish-idle", "0", source, destination)
    assert done.returncode == 0, done.stdout
    assert os.readlink(destination / "round") == "."
    assert_same(source, destination)


@pytest.mark.parametrize("limit", [9.0, pytest.param(2.0, marks=pytest.mark.soak)], ids=["busy", "alone"])
def test_ctrl_c_ends_soon_leaves_no_temporary_and_says_how_to_go_on(limit: float, tmp_path: Path) -> None:
    """In two seconds, on a machine that does nothing else; without Ctrl-C it goes on for the 30 s that it settles."""
    source, destination = _make_large(tmp_path / "source.zarr"), tmp_path / "destination.zarr"
    with Softcopy("--nprocs", "2", "--max-rate", "20 MB/s", source, destination) as copy:
        until(lambda: copies_under_way(destination))
        assert copy.interrupt() < limit
        assert copy.process.returncode == 130
        assert ". Run again to continue" in copy.output
    assert not list(destination.rglob(".softcopy-*"))
    assert softcopy("--nprocs", "1", "--settle", "0", source, destination).returncode == 0
    assert_same(source, destination)


def test_files_that_change_all_the_time_count_as_left_to_copy(tmp_path: Path) -> None:
    source, destination = _make_large(tmp_path / "source.zarr", files=3, size=1000), tmp_path / "destination.zarr"
    over = threading.Event()

    def keep_fresh() -> None:
        while not over.wait(0.1):
            for number in range(3):
                os.utime(source / str(number))

    writer = threading.Thread(target=keep_fresh)
    writer.start()
    try:
        with Softcopy(source, destination) as copy:
            until(lambda: "0 is open or locked by its writer" in softcopy("status").stdout)
            copy.interrupt()
    finally:
        over.set()
        writer.join()
    assert "left to copy: 3 files. Run again to continue" in copy.output
    assert "not at the source" not in copy.output


def test_a_second_engine_is_refused_the_destination_and_told_who_has_it(tmp_path: Path) -> None:
    source, destination = tmp_path / "source.zarr", tmp_path / "destination.zarr"
    with Softcopy("--nprocs", "1", source, destination) as first:
        until_status(str(destination))
        second = softcopy(source, destination)
        assert second.returncode == 2
        assert f"another copy (process {first.process.pid}) is writing to" in second.stderr
        other = tmp_path / "other.zarr"
        with Softcopy("--nprocs", "1", source, other) as third:
            until_status(str(other))
            several = softcopy("stop")
            assert several.returncode == 2
            assert "2 copies are running: give a destination or a process, or --all" in several.stderr
            assert softcopy("stop", str(third.process.pid)).returncode == 0
            assert third.wait() == 1
        assert softcopy("stop").returncode == 0
        assert first.wait() == 1
    assert "No copy is running" in softcopy("status").stdout


def test_a_killed_engine_takes_its_workers_with_it_and_the_next_one_cleans_up(tmp_path: Path) -> None:
    source, destination = _make_large(tmp_path / "source.zarr"), tmp_path / "destination.zarr"
    with Softcopy("--nprocs", "2", source, destination) as copy:
        until(lambda: copies_under_way(destination))
        workers = workers_of(copy.process.pid)
        (ledgers,) = private_folder("ledgers").iterdir()
        until(lambda: [path for path in ledgers.rglob("*") if path.name == VERSIONS])
        copy.process.kill()
    _, alive = psutil.wait_procs(workers, timeout=5)
    assert not alive
    assert softcopy("--nprocs", "1", "--settle", "0", source, destination).returncode == 0
    assert_same(source, destination)
    assert not ledgers.exists()


@pytest.mark.skipif(os.name != "posix", reason="kills and stops processes by signals")
def test_a_killed_worker_is_replaced_and_its_work_done(tmp_path: Path) -> None:
    source, destination = _make_large(tmp_path / "source.zarr"), tmp_path / "destination.zarr"
    with Softcopy("--nprocs", "2", "--settle", "0", source, destination) as copy:
        until(lambda: copies_under_way(destination))
        victim = workers_of(copy.process.pid)[0]
        victim.send_signal(signal.SIGKILL)
        assert copy.wait() == 0, copy.output
    assert f"copy process {victim.pid} died and was replaced" in copy.output
    assert_same(source, destination)


def test_no_file_of_the_destination_is_ever_torn(tmp_path: Path) -> None:
    """A reader opens the destination's chunk files all the while: each is one that its writer wrote whole."""
    source, destination = tmp_path / "source.zarr", tmp_path / "destination.zarr"
    sizes: set[int] = set()
    ended = threading.Event()

    def read() -> None:
        while not ended.wait(0.001):
            for path in (destination / "c").rglob("0"):
                if path.is_file():
                    sizes.add(len(path.read_bytes()))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        with Softcopy(source, destination) as copy:
            write("tensorstore", source, shots=4, delay=0.01, frames=8, complete=True)
            assert copy.wait() == 0, copy.output
    finally:
        ended.set()
        reader.join()
    assert sizes == {64 * 64 * 2}


def test_a_chunk_rewritten_ten_times_while_it_waits_is_copied_at_most_twice(source: Path, tmp_path: Path) -> None:
    from softcopy_napari import start

    destination = tmp_path / "destination.zarr"
    copy = start(source, destination, nprocs=1, settle=3600, linger=0)
    until(lambda: copy.snapshot().chunk_files_copied == 24)
    copy.pause()
    until(lambda: copy.snapshot().state == "paused")
    before = copy.snapshot().files_copied
    for number in range(10):
        write_whole(source / "c/0/0/0/0", b"%d" % number * 8192)
    until(lambda: copy.snapshot().counts[2] == 1)
    copy.resume()
    assert copy.finish(timeout=30).state == "complete"
    assert copy.snapshot().files_copied - before <= 2
    assert (destination / "c/0/0/0/0").read_bytes() == b"9" * 8192


def write_whole(path: Path, data: bytes) -> None:
    """Replace a chunk file as tensorstore does."""
    lock = path.with_name(path.name + ".__lock")
    with open(lock, "xb") as file:
        file.write(data)
        lock.replace(path)


def test_a_chunk_removed_at_the_source_without_a_lock_is_kept_and_reported(source: Path, tmp_path: Path) -> None:
    destination = tmp_path / "destination.zarr"
    assert softcopy("--nprocs", "1", "--settle", "0", source, destination).returncode == 0
    (source / "c/0/0/0/0").unlink()
    done = softcopy("--nprocs", "1", "--finish-idle", "0", source, destination)
    assert done.returncode == 1
    assert "c/0/0/0/0" in done.stdout
    assert (destination / "c/0/0/0/0").is_file()


def test_a_source_that_vanishes_deletes_nothing_and_goes_on_when_it_is_back(tmp_path: Path) -> None:
    source, destination = tmp_path / "source.zarr", tmp_path / "destination.zarr"
    write("tensorstore", source, frames=2)
    with Softcopy("--nprocs", "1", "--settle", "1000", source, destination) as copy:
        until(lambda: destination.is_dir() and contents(source).items() <= contents(destination).items())
        before = contents(destination)
        aside = source.rename(tmp_path / "unplugged.zarr")
        until_status("Waiting for source")
        assert contents(destination) == before
        aside.rename(source)
        (source / "late.txt").write_text("late")
        until(lambda: (destination / "late.txt").exists())
        copy.interrupt()
    assert_same(source, destination)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs to become another user, as root")
def test_a_file_that_cannot_be_read_is_named_and_everything_else_arrives(source: Path, tmp_path: Path) -> None:
    destination = tmp_path / "destination.zarr"
    os.mkfifo(source / "c/0/0/0/1")
    done = softcopy("--nprocs", "1", "--finish-idle", "0", source, destination, timeout=60)
    assert done.returncode == 1
    assert "failed: c/0/0/0/1 is a fifo, not a file" in done.stdout
    assert (destination / "c/5/3/0/0").read_bytes() == (source / "c/5/3/0/0").read_bytes()


def test_targets_run_in_parallel_and_each_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "targets.yaml").write_text(
        "targets:\n"
        "  - source: a.zarr\n    destination: out/a.zarr\n    settle: 0\n"
        "  - source: b.zarr\n    destination: out/b.zarr\n    finish_idle: 0.5\n    nprocs: 1\n"
    )
    write("tensorstore", tmp_path / "a.zarr")
    with Softcopy(tmp_path / "targets.yaml") as copy:
        with Writer("tensorstore", tmp_path / "b.zarr", reset=4, delay=0.01):
            pass
        assert copy.wait() == 0, copy.output
    for name in "ab":
        assert_same(tmp_path / f"{name}.zarr", tmp_path / "out" / f"{name}.zarr")
        assert f"{name}.zarr -> " in copy.output


def test_help_and_copy_workers_do_without_zarr() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "softcopy_napari", "--help"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not imported & {"zarr", "numpy", "pydantic", "tensorstore", "napari"}
