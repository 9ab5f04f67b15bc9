"""What comes in between while the receipt is written: it holds for what lies at the destination, or it is not there."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import xxhash

from softcopy_napari.engine.fs.own_files import RECEIPTS, is_own_temporary
from softcopy_napari.engine.job.lifecycle import Phase
from softcopy_napari.engine.receipt import receipt_builder
from softcopy_napari.engine.receipt.checksum_file import read_lines
from softcopy_napari.engine.receipt.receipt import Receipt, find_receipt, write_receipt
from softcopy_napari.engine.states import TargetState
from tests.engine.support import replace, tree, until, write, zarray
from tests.faults.conftest import why_no_mounts
from tests.faults.lab import SOON, Lab, make_chunks

may_mount = pytest.mark.skipif(bool(why_no_mounts()), reason=why_no_mounts())


class Signing:
    """Holds the receipt back before its first line, until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.go_on, self.over = threading.Event(), threading.Event(), threading.Event()
        monkeypatch.setattr(receipt_builder, "write_receipt", self._write)

    def _write(
        self, destination: Path, lines: Iterable[tuple[bytes, str]], receipt: Receipt, mode: int | None = None
    ) -> Path:
        def held() -> Iterator[tuple[bytes, str]]:
            self.begun.set()
            assert self.go_on.wait(SOON)
            yield from lines

        try:
            return write_receipt(destination, held(), receipt, mode)
        finally:
            self.over.set()


@pytest.fixture
def signing(monkeypatch: pytest.MonkeyPatch) -> Signing:
    return Signing(monkeypatch)


def assert_receipt_holds(lab: Lab) -> None:
    """Fail unless every file of the destination has its line, and that is true."""
    found = {path: digest for digest, path in read_lines(find_receipt(lab.destination)[0], lab.destination)}
    there = {path: data for path, data in tree(lab.destination).items() if path not in RECEIPTS}
    assert found == {path: xxhash.xxh3_128_digest(data) for path, data in there.items()}


def make_grid(lab: Lab, rows: int, columns: int) -> None:
    write(lab.source / ".zarray", zarray((rows, columns), "."), old=True)
    for row in range(rows):
        for column in range(columns):
            write(lab.source / f"{row}.{column}", b"chunk %d %d" % (row, column), old=True)


@pytest.mark.parametrize("then", ["goes on", "is unplugged", "is killed"])
def test_a_receipt_holds_although_its_array_grows_while_it_is_written(lab: Lab, signing: Signing, then: str) -> None:
    """Also if the source or the engine goes away just then, so that nothing mends it."""
    make_grid(lab, 3, 3)
    running = lab.start()
    assert lab.caught_up()
    running.order("finish")
    assert signing.begun.wait(SOON)
    replace(lab.source / ".zarray", zarray((3, 4), "."))
    assert until(lambda: running._inventory.arrays[""].layout.grid == (3, 4), SOON)
    if then == "is unplugged":
        lab.real_source = lab.source.rename(lab.folder / "unplugged")
        assert until(lambda: running._phase is Phase.SIGNING_ALONE, SOON)
    if then == "is killed":
        running.order("pause")  # else the new metadata may be copied before it is
        assert until(lambda: running._paused, SOON)
    signing.go_on.set()
    if then == "is killed":
        assert signing.over.wait(SOON)
        lab.stop()
        assert_receipt_holds(lab)
        lab.start().order("finish")
    end = lab.ends(SOON)
    assert end.state.ended
    assert_receipt_holds(lab)
    if then != "is unplugged":
        assert end.state is TargetState.COMPLETE
        lab.assert_equal()


@may_mount
def test_a_walk_leaves_the_receipt_alone_that_this_run_is_writing(lab: Lab, signing: Signing) -> None:
    """It lies in the destination where that is a disk of its own; ten million lines take a minute."""
    lab.mount(lab.destination)
    make_chunks(lab.source, 4, together=True)
    running = lab.start(settle=0.0)
    assert signing.begun.wait(SOON)
    left = write(lab.destination / ".softcopy-0123456789abcdef.tmp", b"by an earlier run")
    temporaries = {path for path in lab.destination.iterdir() if is_own_temporary(path.name)}
    running._inbox.put(lambda: running._walks.request(""))
    assert until(lambda: not left.exists(), SOON), "nobody has walked"
    assert {path for path in lab.destination.iterdir() if is_own_temporary(path.name)} == temporaries - {left}
    assert len(temporaries) == 3, "the mark of this run, its receipt, and what an earlier one left"
    signing.go_on.set()
    assert lab.ends(SOON).state is TargetState.COMPLETE
    assert_receipt_holds(lab)
    assert not [path for path in lab.destination.iterdir() if is_own_temporary(path.name)]
