"""Disks that are unmounted, and what then lies in their place: nothing is written or deleted there; the copy waits."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from softcopy_napari.engine.states import ChunkState, TargetState
from tests.engine.support import tree, until
from tests.faults.conftest import why_no_mounts
from tests.faults.lab import SOON, Lab, content, make_chunks, unmount

pytestmark = pytest.mark.skipif(bool(why_no_mounts()), reason=why_no_mounts())


class Disk:
    """A folder that is mounted at another place, unmounted from there, and mounted again, as a disk or share is."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.lab = lab
        self.content = lab.folder / f"{name} disk"
        self.place = lab.folder / f"{name} mount"
        self.content.mkdir()
        self.attach()

    def attach(self) -> None:
        self.lab.mount(self.place, "bind", "none", str(self.content))

    def detach(self) -> None:
        unmount(self.place)

    def everything(self) -> list[Path]:
        return sorted(self.place.rglob("*"))


class LoopDisk(Disk):
    """The same with a file system of its own, which the source's writer has no part in."""

    def attach(self) -> None:
        image = self.lab.folder / "image"
        if not image.exists():
            subprocess.run(["truncate", "-s", "16m", str(image)], check=True)
            subprocess.run(["mkfs.ext4", "-q", str(image)], check=True, capture_output=True)
        self.lab.mount(self.place, "loop", "ext4", str(image))
        self.content = self.place


def on_disk(lab: Lab, side: str, folder: str) -> Disk:
    """Have a side lie on a disk of its own: in a folder on it, or all over it."""
    disk = Disk(lab, side)
    setattr(lab, side, disk.place / folder)
    setattr(lab, f"real_{side}", disk.content / folder)
    return disk


def arrived(lab: Lab) -> int:
    """How many chunk files have arrived; after the disk was away they are read back as well."""
    counts = lab.now.counts
    return counts[ChunkState.COPIED] + counts[ChunkState.VERIFIED]


def started(lab: Lab) -> None:
    """Copy the first ten chunk files; more are to come."""
    make_chunks(lab.real_source, 10, more=11)
    lab.start()
    assert lab.caught_up()


in_folder_or_top = pytest.mark.parametrize("folder", ["d.zarr", ""], ids=["folder", "whole disk"])


@in_folder_or_top
def test_an_unmounted_destination_is_waited_for_and_its_mount_point_left_alone(lab: Lab, folder: str) -> None:
    disk = on_disk(lab, "destination", folder)
    started(lab)
    disk.detach()
    make_chunks(lab.real_source, 10, start=10, more=1)
    assert until(lambda: lab.now.state is TargetState.PAUSED, SOON), lab.words()
    assert "Connect its disk again; copying continues by itself" in lab.now.reason
    assert not until(disk.everything, 1.5), disk.everything()
    disk.attach()
    assert until(lambda: arrived(lab) == 20, SOON), lab.words()
    lab.finish()
    lab.assert_equal()
    disk.detach()
    assert disk.everything() == []


@in_folder_or_top
def test_a_destination_unmounted_in_the_middle_of_copies_gets_nothing_into_its_mount_point(
    lab: Lab, folder: str
) -> None:
    """Again and again, while large files are on their way."""
    disk = on_disk(lab, "destination", folder)
    make_chunks(lab.real_source, 24, 5 << 20, more=1)
    lab.start(nprocs=3)
    for number in range(3):
        assert until(lambda number=number: arrived(lab) > 5 * number, SOON), lab.words()
        disk.detach()
        assert not until(disk.everything, 0.7), disk.everything()
        disk.attach()
    assert until(lambda: arrived(lab) == 24, SOON), lab.words()
    lab.finish()
    lab.assert_equal()
    disk.detach()
    assert disk.everything() == []


@in_folder_or_top
def test_an_unmounted_source_deletes_nothing_and_is_gone_on_with_when_it_is_back(lab: Lab, folder: str) -> None:
    disk = on_disk(lab, "source", folder)
    started(lab)
    before = tree(lab.real_destination)
    disk.detach()
    words = "is gone. Copying continues when it is back" if folder else "Waiting for the original"
    assert until(lambda: lab.now.state is TargetState.WAITING, SOON), lab.words()
    assert until(lambda: words in lab.now.reason or "holds no zarr metadata" in lab.now.reason, SOON), lab.now.reason
    assert not until(lambda: tree(lab.real_destination) != before, 1.0)
    make_chunks(lab.real_source, 10, start=10, more=1)
    disk.attach()
    assert until(lambda: arrived(lab) == 20, SOON), lab.words()
    lab.finish()
    lab.assert_equal()
    disk.detach()
    assert disk.everything() == []


@in_folder_or_top
def test_a_source_unmounted_in_the_middle_of_copies_loses_and_deletes_nothing(lab: Lab, folder: str) -> None:
    """With its lock taken first, a file that has gone would be one that its writer deleted."""
    disk = on_disk(lab, "source", folder)
    make_chunks(lab.real_source, 24, 5 << 20, more=1)
    lab.start(nprocs=3)
    for number in range(3):
        assert until(lambda number=number: arrived(lab) > 5 * number, SOON), lab.words()
        (lab.source / "0" / "0.__lock").touch()
        disk.detach()
        assert until(lambda: lab.now.state is TargetState.WAITING, SOON), lab.words()
        (lab.real_source / "0" / "0.__lock").unlink()
        disk.attach()
    assert until(lambda: arrived(lab) == 24, SOON), lab.words()
    lab.finish()
    lab.assert_equal()


def test_a_source_emptied_under_a_stale_mount_deletes_nothing(lab: Lab) -> None:
    """All at once everything has gone, though the source itself is there."""
    started(lab)
    before = tree(lab.destination)
    for number in range(10):
        shutil.rmtree(lab.source / str(number))
    assert not until(lambda: tree(lab.destination) != before, 2.0)
    lab.finish(TargetState.FAILED)
    assert lab.now.kept == 10
    assert tree(lab.destination) == before


OTHERS: dict[str, Callable[[Path], object]] = {
    "an empty folder": lambda folder: folder.mkdir(),
    "another array": lambda folder: make_chunks(folder, 10, 700, more=50),
    "the same array of another experiment": lambda folder: [
        make_chunks(folder, 10, 5000, more=11),
        [(folder / str(number) / "0").write_bytes(content(number, 9, 5000)) for number in range(10)],
    ],
    "a file": lambda folder: folder.write_bytes(b"x"),
    "a link to a folder": lambda folder: [
        make_chunks(folder.parent / "linked", 3, 700, more=50),
        folder.symlink_to("linked"),
    ],
}
QUICK = ("an empty folder", "the same array of another experiment")
others = pytest.mark.parametrize(
    "other", [pytest.param(other, marks=[] if other in QUICK else pytest.mark.soak) for other in OTHERS]
)


@others
def test_another_disk_in_the_sources_place_is_not_copied_over_the_first(lab: Lab, other: str) -> None:
    disk = on_disk(lab, "source", "s.zarr")
    started(lab)
    before = tree(lab.real_destination)
    disk.detach()
    strange = lab.folder / "another disk"
    strange.mkdir()
    OTHERS[other](strange / "s.zarr")
    lab.mount(disk.place, "bind", "none", str(strange))
    assert until(lambda: lab.now.state is TargetState.WAITING, SOON), lab.words()
    assert not until(lambda: tree(lab.real_destination) != before, 1.5)
    assert lab.now.state is TargetState.WAITING and lab.now.reason
    disk.detach()
    make_chunks(lab.real_source, 10, start=10, more=1)
    disk.attach()
    assert until(lambda: arrived(lab) == 20, SOON), lab.words()
    lab.finish()
    lab.assert_equal()


@others
def test_another_disk_in_the_destinations_place_gets_nothing(lab: Lab, other: str) -> None:
    disk = on_disk(lab, "destination", "d.zarr")
    started(lab)
    disk.detach()
    strange = lab.folder / "another disk"
    strange.mkdir()
    OTHERS[other](strange / "d.zarr")
    names = sorted(strange.rglob("*"))
    before = tree(strange)
    lab.mount(disk.place, "bind", "none", str(strange))
    make_chunks(lab.real_source, 10, start=10, more=1)
    assert until(lambda: lab.now.state is TargetState.PAUSED, SOON), lab.words()
    assert not until(lambda: tree(strange) != before or sorted(strange.rglob("*")) != names, 1.5)
    disk.detach()
    disk.attach()
    assert until(lambda: arrived(lab) == 20, SOON), lab.words()
    lab.finish()
    lab.assert_equal()
    assert tree(strange) == before


def test_both_sides_on_one_disk_that_goes_away_come_back_together(lab: Lab) -> None:
    disk = Disk(lab, "both")
    lab.source, lab.real_source = disk.place / "s.zarr", disk.content / "s.zarr"
    lab.destination, lab.real_destination = disk.place / "d.zarr", disk.content / "d.zarr"
    started(lab)
    disk.detach()
    make_chunks(lab.real_source, 10, start=10, more=1)
    assert until(lambda: lab.now.state is not TargetState.CAUGHT_UP, SOON)
    assert not until(disk.everything, 1.5), disk.everything()
    disk.attach()
    assert until(lambda: arrived(lab) == 20, SOON), lab.words()
    lab.finish()
    lab.assert_equal()


def test_a_destination_lost_while_the_end_is_near_is_not_called_complete(lab: Lab) -> None:
    """Everything was copied, and the destination goes before that was checked and flushed."""
    disk = on_disk(lab, "destination", "d.zarr")
    started(lab)
    disk.detach()
    assert lab.job is not None
    lab.job.order("finish")
    assert not lab.job.ended.wait(2.0), lab.now
    assert lab.now.state is TargetState.PAUSED, lab.now
    disk.attach()
    assert lab.ends(SOON).state is TargetState.COMPLETE
    lab.assert_equal()


def test_a_source_lost_while_the_end_is_near_is_not_called_complete(lab: Lab) -> None:
    disk = on_disk(lab, "source", "s.zarr")
    started(lab)
    disk.detach()
    assert lab.job is not None
    lab.job.order("finish")
    assert until(lambda: lab.now.state in (TargetState.FAILED, TargetState.WAITING, TargetState.COMPLETE))
    assert not lab.job.ended.wait(1.0) or lab.now.state is TargetState.FAILED, lab.now
    assert lab.now.state is not TargetState.COMPLETE
    assert len(list(lab.real_destination.rglob("*/0"))) == 10


@pytest.mark.skipif(shutil.which("umount") is None, reason="umount is needed")
def test_a_disk_can_be_unmounted_without_force_while_nothing_is_copied(lab: Lab) -> None:
    """A person who takes a disk away in good order is not told that it is busy."""
    try:
        disk = LoopDisk(lab, "destination")
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no disk can be made here: {error}")
    lab.destination = lab.real_destination = disk.place / "d.zarr"
    started(lab)
    assert until(lambda: subprocess.run(["umount", str(disk.place)], capture_output=True).returncode == 0)
    assert disk.everything() == []
    disk.attach()
    lab.finish()
    lab.assert_equal()
