"""What reads the command's output may go away, and nobody may be there at all: no copy ends for that."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from softcopy_napari.engine.receipt.receipt import find_receipt
from tests.engine.support import OLD
from tests.support.command import COMMAND, environment, softcopy, until
from tests.support.trees import assert_same
from tests.support.writers import write

posix_only = pytest.mark.skipif(os.name != "posix", reason="Windows has no such thing")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An acquisition that ended long ago."""
    path = tmp_path_factory.mktemp("output") / "source.zarr"
    write("tensorstore", path)
    for one in [path, *path.rglob("*")]:
        os.utime(one, ns=(OLD, OLD))
    return path


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
@pytest.mark.parametrize("verbose", [False, True])
def test_a_log_whose_disk_is_full_ends_no_copy(source: Path, tmp_path: Path, verbose: bool) -> None:
    destination = tmp_path / "destination.zarr"
    with open("/dev/full", "w") as full:
        arguments = ["--settle", "0", "--nprocs", "1", *["--verbose"] * verbose, str(source), str(destination)]
        done = subprocess.run([*COMMAND, *arguments], stdout=full, stderr=full, timeout=60)
    assert done.returncode == 0
    assert_same(source, destination)


@posix_only
def test_a_reader_that_goes_away_ends_no_copy(source: Path, tmp_path: Path) -> None:
    destination = tmp_path / "destination.zarr"
    command = [*COMMAND, "--settle", "0", "--nprocs", "1", str(source), str(destination)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as copy:
        assert copy.stdout is not None
        copy.stdout.readline()
        copy.stdout.close()
        assert copy.wait(60) == 0
    assert_same(source, destination)


@posix_only
def test_letters_that_a_log_does_not_have_are_spelled_out(source: Path, tmp_path: Path) -> None:
    destination = tmp_path / "Zebrafisch-中.zarr"
    done = subprocess.run(
        [*COMMAND, "--settle", "0", "--nprocs", "1", str(source), str(destination)],
        env={**environment(), "PYTHONIOENCODING": "latin-1:strict"},
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert b"Zebrafisch-\\u4e2d.zarr" in done.stdout
    assert_same(source, destination)


@posix_only
def test_a_destination_whose_name_is_no_text_gets_its_receipt(source: Path, tmp_path: Path) -> None:
    destination = tmp_path / os.fsdecode(b"copy \xff.zarr")
    done = softcopy("--settle", "0", "--nprocs", "1", source, destination)
    assert done.returncode == 0 and "note:" not in done.stdout
    found = find_receipt(destination)[1]
    assert found is not None and found.checksums == "copy \\udcff.zarr.xxh128"


@posix_only
def test_a_closed_session_ends_a_copy_only_where_nohup_did_not_forbid_it(source: Path, tmp_path: Path) -> None:
    here, log = tmp_path / "source.zarr", tmp_path / "log"
    shutil.copytree(source, here, copy_function=shutil.copyfile)  # changed just now: copies wait for some quiet
    arguments = ["--settle", "600", "--nprocs", "1", str(here)]
    copies = []
    for name, before in (("nohup", ["nohup"]), ("plain", [])):
        command = [*before, *COMMAND, *arguments, str(tmp_path / name)]
        with open(log, "a") as output:
            copies.append(
                subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # who runs us may use nohup
                )
            )
    try:
        for name, copy in zip(("nohup", "plain"), copies, strict=True):
            until(lambda name=name: (tmp_path / name / "zarr.json").exists())  # type: ignore[misc]
            copy.send_signal(signal.SIGHUP)
        assert copies[1].wait(30) == 130, log.read_text()
        assert copies[0].poll() is None, log.read_text()
        (here / "complete").touch()
        assert copies[0].wait(30) == 0, log.read_text()
    finally:
        for copy in copies:
            copy.kill()
            copy.wait()
    assert_same(here, tmp_path / "nohup")
