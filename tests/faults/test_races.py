"""A chunk file that changes at every step of its copy: what is published was once whole, and the last version wins.

Each chunk file of a run has one change at one step. A reader looks at every file that is published, at the moment
of its rename.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from softcopy_napari.engine.states import ChunkState, TargetState
from tests.engine.support import OLD, temporaries, until
from tests.faults.lab import SOON, Lab, content, make_chunks
from tests.support.faultfs import FaultFs, Rule, why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())

SMALL = 5000
LARGE = (4 << 20) + 300_000
"""Copied in two blocks."""

# What comes just before a step is just after the one before it.
Step = tuple[str, str, dict[str, object]]
STEPS: list[Step] = [
    ("source", "open", {}),
    ("source", "open", {"when": "after"}),
    ("source", "stat", {"since": "open"}),
    ("source", "stat", {"since": "open", "when": "after"}),
    ("destination", "create", {"when": "after"}),
    ("source", "read", {}),
    ("source", "read", {"when": "after"}),
    ("destination", "write", {"when": "after"}),
    ("destination", "utimens", {"when": "after"}),
    ("source", "stat", {"since": "read", "when": "after"}),
    ("destination", "rename", {}),
    ("destination", "rename", {"when": "after"}),
    ("source", "close", {}),
]
AT_DESTINATION = [step for step in STEPS if step[0] == "destination"]
IN_THE_MIDDLE: list[Step] = [("source", "read", {"skip": 2}), ("destination", "write", {"skip": 2, "when": "after"})]

SIZES = pytest.mark.parametrize(
    ("size", "there"),
    [
        pytest.param(SMALL, False, id="small"),
        pytest.param(SMALL, True, id="small, its folder there"),
        pytest.param(LARGE, False, id="large"),
    ],
)


class Versions:
    """All that chunk files ever were, and what was published of them."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.known: dict[Path, set[bytes]] = {}
        self.torn: list[str] = []
        self.published = 0
        for path in lab.real_source.rglob("[0-9]*"):
            if path.is_file():
                self.note(path)

    def note(self, path: Path) -> None:
        """A file at the source is whole just now."""
        self.known.setdefault(path.relative_to(self.lab.real_source), set()).add(path.read_bytes())

    def note_version(self, path: str) -> None:
        """A file was published just now."""
        file = self.lab.real_destination.parent / path
        if file.name.isdigit():
            self.published += 1
            if file.read_bytes() not in self.known[file.relative_to(self.lab.real_destination)]:
                self.torn.append(path)


def replaced(file: Path, size: int) -> None:
    new = file.with_name(f"new {file.name}.tmp")
    new.write_bytes(other_content(file, size))
    new.replace(file)


def rewritten(file: Path) -> None:
    with open(file, "r+b") as rewriting:
        rewriting.write(other_content(file, file.stat().st_size))


def other_content(file: Path, size: int) -> bytes:
    """What no other version of a chunk file holds, nor any of another one: alone in its folder or not."""
    folder = file.parent.name
    return content(int(folder if folder.isdigit() else file.name), 1, size)


def cut(file: Path, size: int) -> None:
    with open(file, "r+b") as cutting:
        cutting.truncate(size)


def grown(file: Path) -> None:
    with open(file, "ab") as growing:
        growing.write(b"more")


CHANGES: dict[str, Callable[[Path], object]] = {
    "replaced": lambda file: replaced(file, file.stat().st_size),
    "replaced by a longer one": lambda file: replaced(file, file.stat().st_size + 100),
    "rewritten in place": rewritten,
    "truncated": lambda file: cut(file, file.stat().st_size // 2),
    "emptied": lambda file: cut(file, 0),
    "grown": grown,
}


def arm(
    lab: Lab, sides: dict[str, FaultFs], steps: list[Step], acts: dict[str, Callable[[Path], object]]
) -> tuple[Versions, dict[str, Rule]]:
    """Have each chunk file meet with one act at one step."""
    versions = Versions(lab)
    rules: dict[str, Rule] = {}
    cases = [(step, name) for step in steps for name in acts]
    for number, ((side, op, more), name) in enumerate(cases):
        file = lab.real_source / str(number) / "0"

        def change(_: str, file: Path = file, act: Callable[[Path], object] = acts[name]) -> None:
            act(file)
            if file.exists():
                versions.note(file)

        words = f"{number}: {name} at {side}'s {op} {more}"
        rules[words] = sides[side].call(op, f"?.zarr/{number}/*", change, **more)
    sides["destination"].call("rename", "*", versions.note_version, when="after", times=0)
    return versions, rules


def both(lab: Lab) -> dict[str, FaultFs]:
    return {"source": lab.faulty_source(), "destination": lab.faulty_destination()}


@SIZES
@pytest.mark.parametrize("seen", [False, True], ids=["unseen", "seen"])
def test_a_chunk_that_changes_at_any_step_of_its_copy_arrives_in_its_last_version(
    lab: Lab, seen: bool, size: int, there: bool
) -> None:
    """Unseen: made below the file system that is watched, and no event tells of it."""
    if seen:
        sides = {"destination": lab.faulty_destination()}
        steps = [*AT_DESTINATION, IN_THE_MIDDLE[1]] if size == LARGE else AT_DESTINATION
    else:
        sides = both(lab)
        steps = [*STEPS[1:], *IN_THE_MIDDLE] if size == LARGE else STEPS
    changes = CHANGES if size == SMALL else {name: CHANGES[name] for name in list(CHANGES)[::2]}
    make_chunks(lab.real_source, len(steps) * len(changes), size, more=1)
    if there:
        lab.make_folders()
    versions, rules = arm(lab, sides, steps, changes)
    lab.start()
    assert until(lambda: all(rule.met for rule in rules.values()), SOON), missed(rules)
    if seen:  # nobody has to say that it is finished for the last version to arrive
        assert until(lambda: not unlike(lab, rules), SOON), (
            unlike(lab, rules),
            lab.now.state,
            lab.now.reason,
            lab.now.counts,
        )
    lab.finish()
    assert versions.torn == []
    assert versions.published >= len(rules)
    assert not unlike(lab, rules)
    lab.assert_equal()
    assert temporaries(lab.real_destination) == []


def missed(rules: dict[str, Rule]) -> list[str]:
    return [words for words, rule in rules.items() if not rule.met]


def unlike(lab: Lab, rules: dict[str, Rule]) -> list[str]:
    """Cases whose chunk file is not at the destination as it is at the source."""
    files = {words: Path(words.partition(":")[0], "0") for words in rules}
    return [
        words
        for words, file in files.items()
        if not (there := lab.real_destination / file).exists()
        or there.read_bytes() != (lab.real_source / file).read_bytes()
    ]


@SIZES
def test_a_chunk_that_vanishes_at_any_step_is_whole_or_not_there(lab: Lab, size: int, there: bool) -> None:
    """No lock was taken: its disk may have gone, or someone frees space. What was copied is kept, all else is lost."""
    sides = both(lab)
    steps = STEPS if size == SMALL else [*STEPS[1:], *IN_THE_MIDDLE]
    make_chunks(lab.real_source, len(steps) + 1, size, more=1)
    if there:
        lab.make_folders()
    versions, rules = arm(lab, sides, steps, {"deleted": lambda file: file.unlink()})
    lab.start()
    assert until(lambda: all(rule.met for rule in rules.values()), SOON), missed(rules)
    lab.finish(TargetState.FAILED)
    assert versions.torn == []
    left = {path.parent.name for path in lab.real_destination.rglob("*/0")}
    assert str(len(steps)) in left, "of those that stayed nothing is missing"
    assert lab.now.kept == len(left) - 1 and lab.now.lost == len(steps) - lab.now.kept, lab.words()
    for number in left:
        assert (lab.real_destination / number / "0").read_bytes() in versions.known[Path(number, "0")]
    assert temporaries(lab.real_destination) == []


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_a_chunk_set_back_to_its_fill_value_at_any_step_has_no_copy_in_the_end(lab: Lab, size: int) -> None:
    """Its writer deletes it under its lock, as tensorstore does; what there was of it before must go too."""
    sides = {"destination": lab.faulty_destination()}
    steps = [*AT_DESTINATION, IN_THE_MIDDLE[1]] if size == LARGE else AT_DESTINATION
    make_chunks(lab.real_source, len(steps) + 1, size, more=1)
    make_chunks(lab.real_destination, len(steps) + 1, 100, more=1)
    last = Path(str(len(steps)), "0")  # by which the copy is known to be this dataset's
    shutil.copy2(lab.real_source / last, lab.real_destination / last)
    last = Path(str(len(steps)), "0")  # by which it is known as a copy of this source
    shutil.copy2(lab.real_source / last, lab.real_destination / last)
    versions, rules = arm(lab, sides, steps, {"deleted under its lock": delete_under_lock})
    lab.start(overwrite=True)
    assert until(lambda: all(rule.met for rule in rules.values()), SOON), missed(rules)
    assert until(lambda: len(list(lab.real_destination.rglob("*/0"))) == 1, SOON)
    assert until(lambda: lab.now.counts[ChunkState.COPIED] == 1)
    lab.finish()
    assert versions.torn == []
    lab.assert_equal()


def delete_under_lock(file: Path) -> None:
    lock = file.with_name(f"{file.name}.__lock")
    lock.touch()
    file.unlink()
    lock.unlink()


@pytest.mark.parametrize("side", ["source", "destination"])
def test_a_chunk_rewritten_all_the_time_is_published_whole_or_not_at_all(lab: Lab, side: str) -> None:
    """At every read, or write, the file changes again; in the end the writer stops."""
    sides = both(lab)
    make_chunks(lab.real_source, 1, LARGE, more=1)
    versions = Versions(lab)
    file = lab.real_source / "0" / "0"
    count = 0

    def change(_: str) -> None:
        nonlocal count
        count += 1
        file.write_bytes(content(0, count, LARGE + count))
        versions.note(file)

    sides["destination"].call("rename", "*", versions.note_version, when="after", times=0)
    op = {"source": "read", "destination": "write"}[side]
    rule = sides[side].call(op, "?.zarr/0/*", change, times=12, when="after")
    lab.start()
    assert until(lambda: len(rule.met) == 12, SOON)
    assert until(lambda: versions.published, SOON)
    lab.finish()
    assert versions.torn == []
    lab.assert_equal()
    assert OLD < file.stat().st_mtime == (lab.real_destination / "0" / "0").stat().st_mtime
