"""The torments of the other tests for small files, many of which the library (copy_files.c) copies in a call.

In one call it reads up to 64 of them, and then writes them. What it will not do is done by file_copier.py, which does
everything where there is no library: both are seen here.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from softcopy_napari.engine import native_library
from softcopy_napari.engine.dispatch.batch_size import BatchSize
from softcopy_napari.engine.states import TargetState
from softcopy_napari.engine.worker import native
from tests.engine.support import temporaries, until
from tests.faults.lab import SOON, Lab, make_chunks
from tests.faults.test_errors import AT_DESTINATION, AT_SOURCE, ERRORS
from tests.faults.test_races import CHANGES, STEPS, Versions, both, missed, other_content, rewritten
from tests.faults.test_room import paused
from tests.support.faultfs import FaultFs, Rule, why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())

TOGETHER = native.MAX_FILES
TEMPORARY = "?.zarr/.softcopy-*.tmp"
"""All files are written under one name: which one it is shows in the count of steps only."""
WHOLE_OR_NOT = ("write", "utimens", "close")
ON_TEMPORARIES = ("create", *WHOLE_OR_NOT)

needs_library = pytest.mark.skipif(
    not os.path.exists(native_library.LIBRARY), reason="the package was built without a C compiler"
)
LIBRARY = pytest.param(True, id="library", marks=needs_library)
with_and_without = pytest.mark.parametrize("library", [LIBRARY, pytest.param(False, id="no library")])
mostly_with = pytest.mark.parametrize(
    "library", [LIBRARY, pytest.param(False, id="no library", marks=pytest.mark.soak)]
)


@pytest.fixture(autouse=True)
def one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here each call takes long, and batches would stay small."""
    monkeypatch.setattr(BatchSize, "files", 512)


def choose(monkeypatch: pytest.MonkeyPatch, library: bool) -> None:
    """Have workers copy with the library or without."""
    monkeypatch.setenv("SOFTCOPY_NATIVE", str(int(library)))


def looked_at(lab: Lab, destination: FaultFs) -> Versions:
    """Have every file looked at when it is published: a later walk would put right what was not whole."""
    versions = Versions(lab)
    destination.call("rename", "*", versions.note_version, when="after", times=0)
    return versions


def many(lab: Lab) -> tuple[dict[str, FaultFs], Versions]:
    """As many files as the library takes together, on two sides that can fail."""
    sides = both(lab)
    make_chunks(lab.real_source, TOGETHER, together=True)
    return sides, looked_at(lab, sides["destination"])


def completes(lab: Lab, versions: Versions) -> None:
    end = lab.ends(SOON)
    assert end.state is TargetState.COMPLETE, f"{end.reason}; {end.failures}"
    assert end.failed_files == 0
    assert versions.torn == []
    lab.assert_equal()
    assert temporaries(lab.real_destination) == []


@with_and_without
def test_errors_that_pass_are_got_over_in_any_file_of_many(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, library: bool
) -> None:
    """Every error at every step, twice: once for the library, and once for what takes over from it."""
    choose(monkeypatch, library)
    sides, versions = many(lab)
    opened = sides["source"].delay("open", "?.zarr/[0-9]*", seconds=0.0)
    read_before_first: list[int] = []
    sides["destination"].call("rename", "?.zarr/[0-9]*", lambda _: read_before_first.append(len(opened.met)))
    rules: dict[object, Rule] = {}
    steps = [("source", *step) for step in AT_SOURCE]
    steps += [("destination", *step) for step in AT_DESTINATION if step[0] != "mkdir"]
    for number, (side, op, more) in enumerate(steps):
        for kind, error in enumerate(ERRORS):
            alone = f"?.zarr/{5 + number * len(ERRORS) + kind}"
            where, skip = (TEMPORARY, 5 + 8 * kind) if side == "destination" and op != "rename" else (alone, 0)
            case = (side, op, number, error)
            rules[case] = sides[side].fail(op, where, error=error, times=2, skip=skip, **more)
    lab.start(settle=0.0, nprocs=1)
    completes(lab, versions)
    assert [case for case, rule in rules.items() if not rule.met] == []
    # One by one, those are opened before it at whose turn a temporary could not be made or written.
    assert read_before_first[0] > TOGETHER / 2 if library else read_before_first[0] < TOGETHER / 4, read_before_first


@mostly_with
def test_short_reads_and_writes_of_many_files_lose_nothing(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, library: bool
) -> None:
    choose(monkeypatch, library)
    sides, versions = many(lab)
    rules = [
        sides["source"].short("read", "?.zarr/[0-9]*", size=700, chance=0.3),
        sides["destination"].short("write", TEMPORARY, size=700, chance=0.3),
    ]
    lab.start(settle=0.0, nprocs=1)
    completes(lab, versions)
    assert all(rule.met for rule in rules)


@mostly_with
@pytest.mark.parametrize(
    "op", [*WHOLE_OR_NOT, *(pytest.param(op, marks=pytest.mark.soak) for op in ("create", "rename"))]
)
def test_a_disk_that_is_full_in_the_middle_of_many_files_is_no_fault_of_theirs(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, op: str, library: bool
) -> None:
    choose(monkeypatch, library)
    faults = lab.faulty_destination()
    make_chunks(lab.source, TOGETHER, together=True)
    versions = looked_at(lab, faults)
    rule = faults.fail(op, error=errno.ENOSPC, skip=20)
    lab.start(settle=0.0, nprocs=1)
    assert "is full" in paused(lab).reason
    assert until(lambda: temporaries(lab.real_destination) == [])
    rule.lift()
    completes(lab, versions)


HALVED = 4


def halve(lab: Lab, source: FaultFs, versions: Versions, numbers: range) -> dict[str, Rule]:
    """Have files rewritten in place while they are read: what is read is half the one and half the other version."""
    rules = {}
    for number in numbers:
        file = lab.real_source / str(number)

        def begin(_: str, file: Path = file) -> None:
            with open(file, "r+b") as writer:
                writer.write(other_content(file, file.stat().st_size // 2))

        def end(_: str, file: Path = file) -> None:
            rewritten(file)
            versions.note(file)

        rules[f"{number}: first half"] = source.call("read", f"?.zarr/{number}", begin)
        rules[f"{number}: second half"] = source.call("stat", f"?.zarr/{number}", end, since="read")
    return rules


@mostly_with
def test_files_that_change_while_many_are_copied_arrive_in_their_last_version(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, library: bool
) -> None:
    """Each file has one change at one step, as in test_races.py; of some a half is written before, and one after."""
    choose(monkeypatch, library)
    sides = both(lab)
    steps = sorted(STEPS, key=lambda step: step[1] not in ON_TEMPORARIES)  # to those it counts which file comes when
    cases = [(step, name) for step in steps for name in CHANGES]
    make_chunks(lab.real_source, len(cases) + HALVED, more=1, together=True)
    versions = looked_at(lab, sides["destination"])
    rules = halve(lab, sides["source"], versions, range(len(cases), len(cases) + HALVED))
    for number, ((side, op, more), name) in enumerate(cases):
        file = lab.real_source / str(number)

        def change(_: str, file: Path = file, act: Callable[[Path], object] = CHANGES[name]) -> None:
            act(file)
            versions.note(file)

        on_temporary = side == "destination" and op != "rename"
        where, skip = (TEMPORARY, number + 1) if on_temporary else (f"?.zarr/{number}", 0)
        rules[f"{number}: {name} at {side}'s {op} {more}"] = sides[side].call(op, where, change, skip=skip, **more)
    lab.start(nprocs=1)
    assert until(lambda: all(rule.met for rule in rules.values()), SOON), missed(rules)
    lab.finish()
    assert versions.torn == []
    assert versions.published >= len(cases)
    lab.assert_equal()
    assert temporaries(lab.real_destination) == []
