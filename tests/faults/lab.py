"""One target whose source and destination can be made to fail. The job runs here, its workers do not."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from softcopy_napari.engine.protocol.messages import TargetSnapshot
from softcopy_napari.engine.states import TargetState
from tests.engine.jobs import Jobs
from tests.engine.support import OLD, make_layout, tree, write, zarray
from tests.support.faultfs import FaultFs

SOON = 30.0
"""Seconds after which what should come true is taken to be wrong; the machine may be busy with other tests."""


class Lab(Jobs):
    """A source and a destination, where they are shown and where they really lie, and a job between them.

    Attributes
    ----------
    source, destination : Path
        As the job has them.
    real_source, real_destination : Path
        Where they lie: what is done there is seen by nobody.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.folder = folder
        self.real_source, self.real_destination = self.source, self.destination
        self._faulty: list[FaultFs] = []
        self._ends = contextlib.ExitStack()

    def faulty_source(self, unit: int = 1, **habits: Any) -> FaultFs:
        """Put the source on a file system that fails, or has habits of its own, see `FaultFs`."""
        faults = self._show("source", unit=unit, **habits)
        self.source, self.real_source = faults.place / "s.zarr", faults.folder / "s.zarr"
        self.real_source.mkdir()
        return faults

    def faulty_destination(self, unit: int = 1, **habits: Any) -> FaultFs:
        """Put the destination on a file system that fails, or has habits of its own, see `FaultFs`."""
        faults = self._show("destination", unit=unit, **habits)
        self.destination, self.real_destination = faults.place / "d.zarr", faults.folder / "d.zarr"
        return faults

    def _show(self, name: str, **habits: Any) -> FaultFs:
        faults = FaultFs(self.folder / f"{name} below", self.folder / f"{name} shown", **habits)
        self._faulty.append(self._ends.enter_context(faults))
        return faults

    def make_folders(self) -> None:
        """Have the source's folders at the destination already: files in them are copied by another path."""
        for folder in self.real_source.rglob("*/"):
            (self.real_destination / folder.relative_to(self.real_source)).mkdir(parents=True, exist_ok=True)

    def on_its_own(self, callback: Callable[[], object]) -> None:
        """Have something undone at the end of the test."""
        self._ends.callback(callback)

    def mount(self, place: Path, options: str = "size=64m", kind: str = "tmpfs", what: str = "tmpfs") -> None:
        """Mount something at a place, until the end of the test at the latest."""
        place.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", kind, "-o", options, what, str(place)], check=True, capture_output=True)
        self._ends.callback(
            subprocess.run, ["umount", "--lazy", str(place)], capture_output=True
        )  # if it is still there

    def finish(self, state: TargetState = TargetState.COMPLETE) -> None:
        """Say that the acquisition is finished, and wait for the end."""
        assert self.job is not None
        self.job.order("finish")
        end = self.ends(SOON)
        assert end.state is state, f"{end.state}: {end.reason}; {end.failures}"

    def assert_equal(self) -> None:
        """Fail unless both sides hold the same, and nothing else of ours."""
        here, there = tree(self.real_source), tree(self.real_destination)
        unlike = sorted(path for path in here.keys() | there.keys() if here.get(path) != there.get(path))
        assert not unlike, unlike

    def words(self) -> str:
        """Where the job stands, for those who wait in vain."""
        now = self.now
        return f"{now.state}: {now.reason}; {list(now.counts)} {now.failures} {now.notices}"

    def close(self) -> None:
        """Let go what hangs, end the job, and leave no mount."""
        for faults in self._faulty:
            with contextlib.suppress(AssertionError, OSError):
                faults.lift_all()
        try:
            self.stop()
        finally:
            self._ends.close()


def copied(lab: Lab, **settings: Any) -> TargetSnapshot:
    """Copy what is there to the end, which the user says has come."""
    lab.start(**settings).order("finish")
    return lab.ends(SOON)


def unmount(place: Path) -> None:
    """Unmount, whoever is still in there."""
    subprocess.run(["umount", "--lazy", str(place)], check=True, capture_output=True)


def make_chunks(
    folder: Path, count: int, size: int = 5000, start: int = 0, more: int = 0, together: bool = False
) -> None:
    """An array of old chunk files, each in a folder of its own (`0/0`, `1/0`, ...): so a step tells whose it is.

    Or all of them in one (`0`, `1`, ...), `together`: so many go through the library in one call. With `more` chunk
    files promised, the acquisition is not over.
    """
    beside = () if together else (1,)
    write(folder / ".zarray", zarray((start + count + more, *beside), "/"), old=True)
    layout = make_layout((start + count, *beside), separator="/")
    for number in range(start, start + count):
        file = write(folder / layout.key(number), content(number, 0, size), old=True)
        os.utime(file.parent, (OLD, OLD))
    os.utime(folder, (OLD, OLD))


def content(number: int, version: int, size: int) -> bytes:
    """What a version of a chunk file holds: never the same as any part of another."""
    word = b"%d:%d;" % (number, version)
    return (word * (size // len(word) + 1))[:size]
