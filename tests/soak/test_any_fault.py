"""The same on disks that fail: reads and writes that end in errors, come short, or hang, while all else happens."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from hypothesis import Phase
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.soak.model import Destination, Source
from tests.soak.test_any_order import AnyOrder, run, wait_for
from tests.support.faultfs import FaultFs, Rule, why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "FUSE works")

# Side, what happens, step, and what the system says. Steps that the writer here takes too are none of them.
FAULTS = [
    ("source", "fail", "read", errno.EIO),
    ("source", "fail", "read", errno.ESTALE),
    ("source", "fail", "listing", errno.EIO),
    ("source", "short", "read", 0),
    ("source", "hang", "read", 0),
    ("destination", "fail", "write", errno.EIO),
    ("destination", "fail", "write", errno.ENOSPC),
    ("destination", "fail", "write", errno.EDQUOT),
    ("destination", "fail", "create", errno.ENOSPC),
    ("destination", "fail", "create", errno.EROFS),
    ("destination", "fail", "mkdir", errno.EIO),
    ("destination", "fail", "utimens", errno.EIO),
    ("destination", "fail", "rename", errno.ESTALE),
    ("destination", "short", "write", 0),
]


class AnyFault(AnyOrder):
    """Both sides are shown by file systems that fail on purpose."""

    disks: dict[str, FaultFs]

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[tuple[str, Rule]] = []

    def make_sides(self, name: str) -> tuple[Source, Destination]:
        """Each on a disk of its own."""
        self.name = name
        for disk in self.disks.values():
            (disk.place / name).mkdir()
        source, destination = self.disks["source"], self.disks["destination"]
        return (
            Source(source.place / name / "source.zarr", source.folder / name / "source.zarr"),
            Destination(destination.place / name / "destination", destination.folder / name / "destination"),
        )

    @precondition(lambda self: self.copy is not None)
    @rule(fault=st.sampled_from(FAULTS), times=st.sampled_from([1, 3, 0]))
    def let_something_fail(self, fault: tuple[str, str, str, int], times: int) -> None:
        side, what, step, error = fault
        disk, where = self.disks[side], f"{self.name}/{'source.zarr' if side == 'source' else 'destination'}/*"
        match what:
            case "fail":
                made = disk.fail(step, where, error, times=times)
            case "short":
                made = disk.short(step, where, size=700, times=times)
            case _:
                made = disk.hang(step, where, times=times)
        self.faults.append((what, made))

    @precondition(lambda self: self.faults)
    @rule()
    def mend_what_fails(self) -> None:
        for _, fault in self.faults:
            fault.lift()
        self.faults.clear()

    def take_a_side_away_or_bring_it_back(self) -> None:
        """No rule here: only the disk as a whole is taken away."""

    @precondition(lambda self: self.copy is not None and self.destination.at_hand)
    @rule()
    def take_the_destination_away(self) -> None:
        self.mend_what_fails()  # else it may never have come to mark its place
        wait_for(lambda: self.destination.markers() - self.older_markers, "it has marked its place", self._snapshot)
        self.destination.move_away()

    @property
    def _clear(self) -> bool:
        return super()._clear and not self.faults

    def _wake_the_workers(self) -> None:
        super()._wake_the_workers()
        for what, fault in self.faults:
            if what == "hang":
                fault.lift()

    def _end_well(self) -> None:
        self.mend_what_fails()
        super()._end_well()


def try_orders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, examples: int, steps: int, **more: object) -> None:
    with (
        FaultFs(tmp_path / "source below", tmp_path / "source shown") as source,
        FaultFs(tmp_path / "destination below", tmp_path / "destination shown") as destination,
    ):
        machine = type("AnyFault", (AnyFault,), {"disks": {"source": source, "destination": destination}})
        try:
            run(machine, tmp_path, monkeypatch, examples, steps, **more)
        finally:
            for disk in (source, destination):
                disk.lift_all()


def test_a_few_orders_on_disks_that_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try_orders(tmp_path, monkeypatch, 2, 10, derandomize=True)


@pytest.mark.soak
@pytest.mark.timeout(1100)
def test_many_orders_on_disks_that_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try_orders(tmp_path, monkeypatch, 20, 25, phases=(Phase.generate,), database=None)
