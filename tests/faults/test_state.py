"""The state folder's disk is full, while source and destination are well: the copy goes on, and tells no lies."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest

from softcopy_napari.engine.checksums import read_back_queue
from softcopy_napari.engine.inventory import digest_store
from softcopy_napari.engine.receipt.checksum_file import read_lines
from softcopy_napari.engine.receipt.receipt import receipt_paths
from softcopy_napari.engine.state_folder.folder import STATE_FOLDER_VARIABLE
from softcopy_napari.engine.states import TargetState
from tests.engine.support import until
from tests.faults.conftest import why_no_mounts
from tests.faults.lab import SOON, Lab, content, make_chunks
from tests.support.command import softcopy

may_mount = pytest.mark.skipif(bool(why_no_mounts()), reason=why_no_mounts())


def checksums(lab: Lab) -> dict[str, bytes]:
    """Of the receipt, which `xxhsum` has found to be right."""
    sums, _ = receipt_paths(lab.destination)
    assert subprocess.run(["xxhsum", "-c", "--quiet", sums], cwd=sums.parent).returncode == 0
    return {path: digest for digest, path in read_lines(sums, lab.destination)}


class Disk:
    """The disk with the digests: takes what it is told to, and no more."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left: int | None = None
        self.refused = 0
        self._write = os.pwrite
        monkeypatch.setattr(digest_store.os, "pwrite", self._take)

    def _take(self, fd: int, data: bytes, offset: int) -> int:
        if self.left is not None:
            data = data[: self.left]
            self.left -= len(data)
            if not data:
                self.refused += 1
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self._write(fd, data, offset)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    monkeypatch.setattr(read_back_queue, "_LONG_PAUSE", 0.2)
    return Disk(monkeypatch)


def on_a_small_disk(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state folder, on a disk of 40 kB."""
    state = lab.folder / "state"
    lab.mount(state, "size=40k,mode=700")
    monkeypatch.setenv(STATE_FOLDER_VARIABLE, str(state))
    return state


@pytest.mark.parametrize("verify", ["size", "checksum"])
@pytest.mark.parametrize("room", [0, 100])
def test_checksums_that_cannot_be_kept_end_no_copy_and_the_receipt_waits_for_room(
    lab: Lab, disk: Disk, room: int, verify: str
) -> None:
    """With room for six and a quarter: a quarter of a checksum is none."""
    disk.left = room
    make_chunks(lab.source, 20, more=1)
    lab.start(verify=verify)
    assert until(lambda: disk.refused and (lab.destination / "19" / "0").exists(), SOON), lab.words()
    assert until(lambda: any("checksums cannot be saved" in notice for notice in lab.now.notices), SOON), lab.words()
    running = lab.job
    assert running is not None
    running.order("finish")
    assert until(lambda: lab.now.state is TargetState.FINISHING and "make room there" in lab.now.reason, SOON)
    refused = disk.refused
    assert until(lambda: disk.refused > refused + 1, SOON), "it is tried again"
    assert not running.ended.is_set()
    disk.left = None
    assert lab.ends(SOON).state is TargetState.COMPLETE
    lab.assert_equal()
    assert len(checksums(lab)) == 21


def test_a_checksum_that_could_not_be_replaced_is_not_used_for_the_new_version(lab: Lab, disk: Disk) -> None:
    make_chunks(lab.source, 5, more=1)
    lab.start()
    assert lab.caught_up()
    disk.left = 0
    chunk = lab.source / "2" / "0"
    chunk.write_bytes(content(2, 1, 5000))
    assert until(lambda: (lab.destination / "2" / "0").read_bytes() == chunk.read_bytes(), SOON)
    assert until(lambda: disk.refused, SOON)
    disk.left = None
    lab.finish()
    lab.assert_equal()
    assert len(checksums(lab)) == 6


@may_mount
def test_without_room_for_a_ledger_files_are_copied_all_the_same_and_it_says_where_room_is_needed(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = on_a_small_disk(lab, monkeypatch)
    make_chunks(lab.source, 50_000 // 100, 10, more=50_000)
    running = lab.start()
    assert until(lambda: f"no ledger can be kept in {state}" in lab.now.reason, SOON), lab.words()
    assert until(lambda: (lab.destination / "499" / "0").exists(), SOON)
    subprocess.run(["mount", "-o", "remount,size=10m", str(state)], check=True)
    assert until(lambda: "no ledger" not in lab.now.reason and lab.now.arrays, SOON), lab.words()
    assert not running.ended.is_set()
    lab.finish()
    lab.assert_equal()


@may_mount
def test_the_command_copies_and_sums_up_though_no_word_can_be_left_in_the_state_folder(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = on_a_small_disk(lab, monkeypatch)
    (state / "ballast").write_bytes(bytes(40_960 - 4096))
    make_chunks(lab.source, 3)
    done = softcopy("--finish-idle", "0", str(lab.source), str(lab.destination))
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No space left on device" in done.stderr and "Complete" in done.stdout
    lab.assert_equal()


@may_mount
@pytest.mark.parametrize("there", [[], ["locks"], ["locks", "runs", "ledgers"]])
def test_a_state_folder_that_takes_no_other_file_is_named(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, there: list[str]
) -> None:
    state = lab.folder / "state"
    lab.mount(state, f"nr_inodes={1 + len(there)},mode=700")
    for name in there:
        (state / name).mkdir(mode=0o700)
    monkeypatch.setenv(STATE_FOLDER_VARIABLE, str(state))
    make_chunks(lab.source, 3)
    done = softcopy("--nprocs", "1", "--settle", "0", lab.source, lab.destination)
    assert done.returncode == 2, done.stderr
    assert f"the state folder {state}" in done.stderr and "cannot be used: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert not lab.destination.exists()
