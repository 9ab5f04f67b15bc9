"""Copies, checks and verifications on a Dask cluster, whose scheduler and workers are commands started by hand."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.engine.support import make_old, temporaries
from tests.support.command import Softcopy, softcopy, until
from tests.support.dask_cluster import AdaptiveCluster, DaskCluster
from tests.support.trees import assert_same, chunk, flip
from tests.support.writers import Writer, write

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="kills processes"),
    pytest.mark.timeout(400),  # Dask takes seconds to start
]

LONG = 200.0
"""Seconds that a command may take where others use the processors."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    """A scheduler with two workers."""
    with DaskCluster(tmp_path_factory.mktemp("cluster")) as cluster:
        for _ in range(2):
            cluster.add_worker()
        cluster.wait()
        yield cluster


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory, cluster: DaskCluster) -> Path:
    """A folder with a source and its copy, which the cluster has made."""
    folder = tmp_path_factory.mktemp("copied")
    source, destination = folder / "source.zarr", folder / "copy.zarr"
    write("tensorstore", source, frames=6, planes=4)
    (source / "link").symlink_to("zarr.json")
    make_old(source)
    done = softcopy("--dask", cluster.address, "--settle", "0", source, destination, timeout=LONG)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def sides(copied: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A source and its copy, to be spoilt."""
    shutil.copytree(copied, tmp_path, symlinks=True, dirs_exist_ok=True)
    return tmp_path / "source.zarr", tmp_path / "copy.zarr"


def copy_processes(pid: int) -> list[psutil.Process]:
    """The copy processes below a Dask worker."""
    found = []
    for one in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it has just ended
            if "engine.worker.process" in " ".join(one.cmdline()):
                found.append(one)
    return found


# -- copying -----------------------------------------------------------------------------------------------


def test_what_a_cluster_has_copied_is_the_same_and_it_leaves_nothing_behind(cluster: DaskCluster, copied: Path) -> None:
    assert_same(copied / "source.zarr", copied / "copy.zarr")
    assert temporaries(copied / "copy.zarr") == []
    assert (copied / "copy.zarr.xxh128").exists()
    until(lambda: not any(copy_processes(worker.pid) for worker in cluster.workers))


def test_a_targets_file_names_the_scheduler_file_and_the_second_run_copies_nothing(
    cluster: DaskCluster, sides: tuple[Path, Path], tmp_path: Path
) -> None:
    targets = tmp_path / "targets.yaml"
    spelled = os.path.relpath(cluster.scheduler_file, tmp_path)
    targets.write_text(f"targets:\n- source: source.zarr\n  destination: copy.zarr\n  dask: {spelled}\n  settle: 0\n")
    done = softcopy(targets, timeout=LONG)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 files copied" in done.stdout


@pytest.mark.parametrize("rate", ["1 MB/s", "200 MB/s"])  # a report of progress every 8 s, and four a second
def test_a_copy_on_the_cluster_stops_when_its_engine_is_killed(tmp_path: Path, rate: str) -> None:
    source, destination = tmp_path / "source.zarr", tmp_path / "copy.zarr"
    write("tensorstore", source, frames=2)
    big = source / "big"
    big.touch()
    os.truncate(big, 1 << 40)  # it takes no room, and longer to copy than anybody waits
    with DaskCluster(tmp_path) as cluster:
        worker = cluster.add_worker()
        cluster.wait()
        with Softcopy("--dask", cluster.address, "--max-rate", rate, source, destination) as copy:
            until(lambda: at_work(worker.pid, big) and temporaries_of_copies(destination), LONG)
            copy.process.kill()
            copy.process.wait()
            until(lambda: not temporaries_of_copies(destination), LONG)
        until(lambda: not at_work(worker.pid, source), LONG)


def temporaries_of_copies(destination: Path) -> list[Path]:
    """Half-written files; the mark of a run is none."""
    return [path for path in temporaries(destination) if "-here" not in path.name]


def at_work(pid: int, place: Path) -> list[psutil.Process]:
    """Copy processes that have a file open, or one of a folder."""
    found = []
    for one in copy_processes(pid):
        with contextlib.suppress(psutil.Error):
            if any(Path(file.path).is_relative_to(place) for file in one.open_files()):
                found.append(one)
    return found


def test_workers_that_are_killed_while_a_writer_writes_lose_nothing_and_leave_nothing(tmp_path: Path) -> None:
    kill_workers(tmp_path, frames=150, kills=3)


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(3))
def test_workers_that_are_killed_all_the_time_lose_nothing(tmp_path: Path, seed: int) -> None:
    random.seed(seed)
    kill_workers(tmp_path, frames=1200, kills=15)


def kill_workers(folder: Path, frames: int, kills: int) -> None:
    """Kill workers while a writer writes; others come in their place."""
    source, destination = folder / "source.zarr", folder / "copy.zarr"
    with DaskCluster(folder) as cluster:
        for _ in range(3):
            cluster.add_worker()
        cluster.wait()
        with (
            Softcopy("--dask", cluster.address, "--nprocs", "3", "--settle", "2", source, destination) as copy,
            Writer("tensorstore", source, frames=frames, planes=1, delay=0.1) as writer,
        ):
            for _ in range(kills):
                before = count_files(destination)
                # Once it has done something, at a moment that nobody chooses.
                until(lambda before=before: count_files(destination) > before or not writer.running, LONG)  # type: ignore[misc]
                time.sleep(random.uniform(0, 0.5))
                cluster.kill(random.choice(cluster.workers))
                cluster.add_worker()
            writer.wait(timeout=LONG)
            code = copy.wait(timeout=LONG)
        assert code == 0, copy.output
    assert_same(source, destination)
    assert temporaries(destination) == []
    receipt = json.loads((folder / "copy.zarr.receipt.json").read_text())
    assert receipt["files"] == count_files(source)


def count_files(folder: Path) -> int:
    return sum(path.is_file() and not path.name.startswith(".softcopy") for path in folder.rglob("*"))


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_an_adaptive_cluster_grows_from_nothing_while_files_wait_and_shrinks_again(tmp_path: Path) -> None:
    source, destination = tmp_path / "source.zarr", tmp_path / "copy.zarr"
    write("tensorstore", source, frames=60, planes=4)
    make_old(source)
    with AdaptiveCluster(tmp_path, most=2) as cluster:
        with Softcopy(
            *("--dask", cluster.address, "--nprocs", "2", "--sleep-time", "0.15", "--settle", "0"), source, destination
        ) as copy:
            until(lambda: cluster.size() == 2, LONG)
            assert copy.process.poll() is None, "it grew because files waited"
            assert copy.wait(timeout=LONG) == 0, copy.output
        until(lambda: cluster.size() == 0, LONG)
    assert_same(source, destination)
    assert temporaries(destination) == []


# -- words -------------------------------------------------------------------------------------------------


def test_a_scheduler_that_is_not_there_is_named(tmp_path: Path) -> None:
    write("tensorstore", tmp_path / "source.zarr", frames=1)
    for given, words in (
        ("tcp://127.0.0.1:9", "no Dask scheduler answers at tcp://127.0.0.1:9"),
        (tmp_path / "none.json", "the scheduler file"),
        (tmp_path / "source.zarr" / "zarr.json", "is not a file that a Dask scheduler wrote"),
        ("ftp://host", "--dask must be the address of a Dask scheduler"),
    ):
        done = softcopy("--dask", given, tmp_path / "source.zarr", tmp_path / "copy.zarr", timeout=LONG)
        assert done.returncode == 2 and words in done.stderr, done.stderr
        assert not (tmp_path / "copy.zarr").exists()


def test_a_machine_that_sees_another_destination_is_named_and_not_used(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Real: the share is not mounted on a node. Here, with something else mounted in its place."""
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
        pytest.skip("no mount namespaces here")
    source, share = tmp_path / "source.zarr", tmp_path / "share"
    share.mkdir()
    write("tensorstore", source, frames=3)
    make_old(source)
    with DaskCluster(tmp_path_factory.mktemp("cluster")) as cluster:
        cluster.add_worker(before=f"mount -t tmpfs none '{share}'")
        cluster.wait()
        done = softcopy("--dask", cluster.address, "--settle", "0", source, share / "copy.zarr", timeout=LONG)
        assert done.returncode == 2
        assert f"does not see the destination as this computer does: mount it there as {share}" in done.stderr
        cluster.add_worker()  # one that sees it
        cluster.wait()
        done = softcopy("--dask", cluster.address, "--settle", "0", source, share / "copy.zarr", timeout=LONG)
        assert done.returncode == 0, done.stdout + done.stderr
    assert_same(source, share / "copy.zarr")


# -- check and verify --------------------------------------------------------------------------------------


def test_check_finds_on_a_cluster_what_it_finds_here(cluster: DaskCluster, sides: tuple[Path, Path]) -> None:
    source, destination = sides
    chunk(destination, 3).unlink()
    chunk(destination, 5).write_bytes(b"short")
    here = softcopy("check", source, destination)
    there = softcopy("check", "--dask", cluster.address, source, destination, timeout=LONG)
    assert (here.returncode, there.returncode) == (1, 1)
    assert findings(there.stdout) == findings(here.stdout) != ""


def findings(output: str) -> str:
    """The last summary, without what depends on the moment."""
    return "\n".join(line for line in output.rpartition("\n\n")[2].splitlines() if "took" not in line)


def test_verify_on_a_cluster_finds_what_is_wrong_and_reports_it(
    cluster: DaskCluster, sides: tuple[Path, Path], tmp_path: Path
) -> None:
    source, destination = sides
    report = tmp_path / "report.jsonl"
    options = ("verify", "--dask", cluster.address, "--report", report)
    for folders in ((destination,), (source, destination)):
        done = softcopy(*options, *folders, timeout=LONG)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "OK: all " in done.stdout
        assert json.loads(report.read_text())["good"] is True
    flip(chunk(destination, 2))
    chunk(destination, 4).unlink()
    for folders in ((destination,), (source, destination)):
        done = softcopy(*options, *folders, timeout=LONG)
        assert done.returncode == 1, done.stdout + done.stderr
        *faults, last = map(json.loads, report.read_text().splitlines())
        assert {(one["kind"], one["path"]) for one in faults} == {
            ("changed", chunk(source, 2).relative_to(source).as_posix()),
            ("missing", chunk(source, 4).relative_to(source).as_posix()),
        }
        links = len(folders) - 1  # receipts do not list them
        assert (last["complete"], last["good"], last["files"]) == (True, False, count_files(source) - 1 + links)


def test_a_verification_that_was_interrupted_goes_on(cluster: DaskCluster, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for number in range(3000):
        (source / f"{number}").write_bytes(os.urandom(2000))
    shutil.copytree(source, tmp_path / "copy")
    report = tmp_path / "report.jsonl"
    arguments = ("verify", "--dask", cluster.address, "--report", report, source, tmp_path / "copy")
    with Softcopy(*arguments) as command:
        journals = Path(os.environ["SOFTCOPY_STATE_DIR"]) / "verify"
        until(lambda: any(path.stat().st_size for path in journals.glob("*.journal")), LONG)
        command.interrupt()
    assert command.process.returncode == 130, command.output
    assert "The same command goes on from there" in command.output
    last = json.loads(report.read_text().splitlines()[-1])
    assert last["complete"] is False
    flip(tmp_path / "copy" / "17")  # read before or not: a fault is found, or it was right when it was read
    done = softcopy(*arguments, timeout=LONG)
    last = json.loads(report.read_text().splitlines()[-1])
    assert "going on where a run stopped" in done.stdout, done.stdout
    assert last["complete"] is True and last["files"] == 3000 and 0 < last["found_right_earlier"] < 3000
    assert list(journals.glob("*.journal")) == []
    assert softcopy(*arguments, "--afresh", timeout=LONG).returncode == 1, "nothing is remembered any more"


def test_workers_that_are_killed_during_a_verification_change_nothing(sides: tuple[Path, Path], tmp_path: Path) -> None:
    source, destination = sides
    for number in range(400):
        (source / f"more-{number}").write_bytes(os.urandom(100_000))
        shutil.copy2(source / f"more-{number}", destination)
    with DaskCluster(tmp_path) as cluster:
        for _ in range(2):
            cluster.add_worker()
        cluster.wait()
        with Softcopy("verify", "--dask", cluster.address, source, destination) as command:
            journals = Path(os.environ["SOFTCOPY_STATE_DIR"]) / "verify"
            until(lambda: any(path.stat().st_size for path in journals.glob("*.journal")), LONG)
            cluster.kill(cluster.workers[0])
            cluster.add_worker()
            assert command.wait(timeout=LONG) == 0, command.output
        assert f"All {count_files(source):,} files were compared" in command.output
