"""Any order of freeing, kills, undoing, expiry, bad disks and writers: no only whole copy of a byte is deleted."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from softcopy_napari.engine.receipt.freed_record import FILES
from tests.engine.freeing.lab import FreeLab
from tests.engine.support import write
from tests.support.free_process import FreeProcess

NAMES = ("zarr.json", "c/0/0", "c/0/1", "c/1")
paths = st.sampled_from(NAMES)
kills = st.one_of(st.just(0), st.integers(1, 45))
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="it is killed in children of a process")


class FreeingOrder(RuleBasedStateMachine):
    """A source, its copy, and everything that may happen to them."""

    root: Path
    folders: Iterator[int]
    process: FreeProcess

    def __init__(self) -> None:
        super().__init__()
        self.lab = FreeLab(self.root / str(next(self.folders)), NAMES)
        self.sides = self.lab.source, self.lab.destination
        self.written: dict[str, bytes] = {}
        """What a writer has put at the source, of which there is no copy."""

    def whole_near(self, path: str) -> bool:
        """Whether the source or the grace folder has a file as the receipt says."""
        return self.lab.contents[path] in (self.lab.here.get(path), self.lab.kept.get(path))

    # -- what its user does ---------------------------------------------------------------------------

    @rule(kill=kills, keep_days=st.sampled_from([0.0, 0.0, 5.0]))
    def free(self, kill: int, keep_days: float) -> None:
        self.process.run("free", *self.sides, kill=kill, keep_days=keep_days)

    @rule(kill=kills)
    def undo(self, kill: int) -> None:
        self.process.run("undo", *self.sides, kill=kill)

    @rule(kill=kills)
    def expire(self, kill: int) -> None:
        bad = [path for path in self.lab.kept if self.lab.there.get(path) != self.lab.contents.get(path)]
        self.process.run("expire", *self.sides, kill=kill)
        assert not [path for path in bad if path not in self.lab.kept]

    @precondition(lambda self: self.lab.here == self.lab.contents and not self.written)
    @rule()
    def copy_once_more(self) -> None:
        self.lab.copy()

    # -- bad luck at the destination, while there is another copy ------------------------------------------

    @rule(path=paths, how=st.sampled_from(["flip", "truncate", "grow", "delete", "link"]))
    def spoil(self, path: str, how: str) -> None:
        copy = self.lab.destination / path
        if not self.whole_near(path) or not copy.is_file() or copy.is_symlink():
            return
        if copy.stat().st_nlink > 1:  # what is written there would be written to its other name, too
            how = "delete"
        content = bytearray(copy.read_bytes() or b"x")
        match how:
            case "flip":
                content[len(content) // 2] ^= 1
                self.lab.spoil(path, bytes(content))
            case "truncate":
                self.lab.spoil(path, bytes(content[:-1]))
            case "grow":
                self.lab.spoil(path, bytes(content) + b"x")
            case _:
                copy.unlink()
        if how == "link":  # to the very file that is to be freed
            near = (self.lab.source / path, self.lab.grace / FILES / path)
            copy.hardlink_to(next(file for file in near if file.exists()))

    @rule(path=paths)
    def mend(self, path: str) -> None:
        if (self.lab.destination / path).exists():
            (self.lab.destination / path).unlink()
        write(self.lab.destination / path, self.lab.contents[path])

    # -- a writer at the source, which destroys no only copy -----------------------------------------------

    @rule(path=paths)
    def rewrite(self, path: str) -> None:
        if self.lab.there.get(path) == self.lab.contents[path] and (self.lab.source / path).exists():
            (self.lab.source / path).unlink()  # which may have another name at the destination
            self.written[path] = b"another version of " + path.encode()
            write(self.lab.source / path, self.written[path], old=True)

    @rule(name=st.sampled_from(["c/2", "new.txt"]))
    def add(self, name: str) -> None:
        self.written[name] = b"written later"
        write(self.lab.source / name, self.written[name], old=True)

    @precondition(lambda self: self.written)
    @rule()
    def clear_away(self) -> None:
        for name in self.written:
            (self.lab.source / name).unlink(missing_ok=True)
        self.written.clear()

    # -- what must hold -------------------------------------------------------------------------------

    @invariant()
    def every_file_of_the_receipt_is_whole_somewhere(self) -> None:
        assert self.lab.lost() == []

    @invariant()
    def nothing_that_has_no_copy_has_gone(self) -> None:
        here = self.lab.here
        assert {name: here.get(name) for name in self.written} == self.written


def run(tmp_path: Path, examples: int, steps: int, **more: object) -> None:
    """Try many orders."""
    with FreeProcess() as process:
        machine = type("Orders", (FreeingOrder,), {"root": tmp_path, "folders": itertools.count(), "process": process})
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                print_blob=True,
                **more,  # type: ignore[arg-type]
            ),
        )


def test_a_few_orders(tmp_path: Path) -> None:
    run(tmp_path, 8, 10, derandomize=True)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_many_orders(tmp_path: Path) -> None:
    run(tmp_path, 150, 30, phases=(Phase.generate,), database=None)
