"""Small files copied together by the C library: the same as file_copier.py does one by one, or left to it."""

from __future__ import annotations

import _ctypes
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from xxhash import xxh3_128_digest

from softcopy_napari.engine import native_library
from softcopy_napari.engine.fs.capabilities import Capabilities
from softcopy_napari.engine.fs.held_file_system import flush_files
from softcopy_napari.engine.fs.root_folder import RootFolder
from softcopy_napari.engine.wording import describe
from softcopy_napari.engine.worker import native
from softcopy_napari.engine.worker.copy_outcome import CopyOutcome, CopyResult
from softcopy_napari.engine.worker.file_copier import FileCopier
from softcopy_napari.engine.worker.folder_comparer import FolderComparer
from softcopy_napari.engine.worker.publish_rules import PublishRules
from softcopy_napari.engine.zarr_layout.chunk_check import ChunkEncoding
from tests.engine.support import replace, temporaries, tree, write, writer_at_work

pytestmark = pytest.mark.skipif(
    not os.path.exists(native_library.LIBRARY), reason="the package was built without a C compiler"
)

OLD = 1_700_000_000_123_456_789
ROOM = native._ROOM


class Sides:
    """A source and a destination that has the same folders, and a transfer between them."""

    def __init__(self, folder: Path) -> None:
        self.source, self.destination = folder / "source", folder / "destination"
        for side in (self.source, self.destination):
            (side / "a").mkdir(parents=True)
        self.unit = 1
        self.alone: list[str] = []
        """Files that the library left to file_copier.py."""

    def make(self, name: str, size: int = 10, modified: int = OLD) -> str:
        path = self.source / "a" / os.fsdecode(name)
        write(path, (name.encode(errors="surrogateescape") * (size // len(name) + 1))[:size])
        os.utime(path, ns=(OLD, modified))
        return f"a/{name}"

    def copy(self, paths: list[str], rules: PublishRules = PublishRules()) -> list[CopyResult]:  # noqa: B008
        """Copy files, see that nothing is left behind, and that the digests are those of the files."""
        source = RootFolder(str(self.source))
        places = source, RootFolder(str(self.destination), "keep", like=source)
        transfer = FileCopier(*places, ".softcopy-r-1.tmp", lambda: False, lambda size: None)
        transfer.unit = self.unit
        assert transfer.native is not None
        one_by_one = transfer.copy_file

        def copy(path: str, *rest: object) -> CopyResult:
            self.alone.append(path)
            return one_by_one(path, *rest)  # type: ignore[arg-type]

        transfer.copy_file = copy  # type: ignore[method-assign]
        open_files = psutil.Process().num_fds()
        for place in places:
            place.open()
        results = list(transfer.copy_files(paths, frozenset(), rules))
        for place in places:
            place.close()
        assert psutil.Process().num_fds() == open_files, "a file was left open"
        assert temporaries(self.destination) == []
        for path, result in zip(paths, results, strict=True):
            if result.outcome is CopyOutcome.COPIED and not (self.source / path).is_symlink():
                data = (self.destination / path).read_bytes()
                assert (result.size, result.digest) == (len(data), xxh3_128_digest(data))
        return results


@pytest.fixture
def sides(tmp_path: Path) -> Sides:
    return Sides(tmp_path)


def test_small_files_are_copied_together_with_times_and_modes(sides: Sides) -> None:
    paths = [sides.make(str(number), number * 37) for number in range(200)]
    os.chmod(sides.source / "a" / "7", 0o440)
    assert {result.outcome for result in sides.copy(paths)} == {CopyOutcome.COPIED}
    assert sides.alone == []
    assert tree(sides.source) == tree(sides.destination)
    for path in paths:
        here, there = os.stat(sides.source / path), os.stat(sides.destination / path)
        assert (here.st_mtime_ns, here.st_size) == (there.st_mtime_ns, there.st_size)
    assert os.stat(sides.destination / "a" / "7").st_mode & 0o777 == 0o640, "as far as we must write it again"


@pytest.mark.parametrize("together", [True, False])
def test_a_chunk_that_cannot_be_whole_is_left_out_and_those_beside_it_are_copied(sides: Sides, together: bool) -> None:
    paths = [sides.make(str(number), 99 if number % 3 == 1 else 100) for number in range(70)]
    rules = PublishRules(ChunkEncoding("raw", 100))
    results = sides.copy(paths, rules) if together else [sides.copy([path], rules)[0] for path in paths]
    torn = [result.outcome is CopyOutcome.TORN for result in results]
    assert torn == [number % 3 == 1 for number in range(70)] and sides.alone == paths[1::3]
    assert {describe(results[number].reason) for number in range(1, 70, 3)} == {"ends early: 99 of 100 bytes"}
    assert len(tree(sides.destination)) == 47
    as_they_are = sides.copy(paths, rules._replace(as_it_is=True))
    assert [result.outcome is CopyOutcome.DAMAGED for result in as_they_are] == torn
    assert describe(as_they_are[1].reason) == "ends early: 99 of 100 bytes" and as_they_are[1].size == 99
    assert tree(sides.source) == tree(sides.destination)


def test_no_second_file_is_begun_when_a_writer_begins_to_work(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    together: list[int] = []
    copy = native.NativeCopier.copy

    def count(self: native.NativeCopier, *rest: Any, **more: Any) -> Any:
        found = copy(self, *rest, **more)
        together.append(len(found))
        return found

    monkeypatch.setattr(native.NativeCopier, "copy", count)
    paths = [sides.make(f"{number}") for number in range(10)]
    with writer_at_work():
        assert {result.outcome for result in sides.copy(paths)} == {CopyOutcome.COPIED}
    assert together == [1] * 10 and not sides.alone
    together.clear()
    sides.copy([sides.make(f"{number}") for number in range(10)])
    assert together == [10]


def test_an_older_copy_is_replaced(sides: Sides) -> None:
    path = sides.make("x", 100)
    write(sides.destination / path, b"older and longer" * 100)
    sides.copy([path])
    assert sides.alone == [] and tree(sides.source) == tree(sides.destination)


@pytest.mark.parametrize("size", [0, 1, ROOM - 1, ROOM, ROOM + 1])
def test_files_of_every_size_are_copied(sides: Sides, size: int) -> None:
    paths = [sides.make("before"), sides.make("x", size), sides.make("after")]
    assert [result.outcome for result in sides.copy(paths)] == [CopyOutcome.COPIED] * 3
    assert sides.alone == (["a/x"] if size >= ROOM else [])
    assert tree(sides.source) == tree(sides.destination)


@pytest.mark.parametrize("name", ["with space", "with\nbreak", "näme", os.fsdecode(b"not \xff utf-8"), "x" * 255])
def test_names_of_every_kind_are_copied(sides: Sides, name: str) -> None:
    assert sides.copy([sides.make(name)])[0].outcome is CopyOutcome.COPIED
    assert sides.alone == [] and tree(sides.source) == tree(sides.destination)


def test_what_is_no_plain_file_is_left_to_those_who_know_it(sides: Sides) -> None:
    folder = sides.source / "a"
    paths = [sides.make("plain")]
    (folder / "link").symlink_to("plain")
    os.mkfifo(folder / "fifo")
    (folder / "folder").mkdir()
    paths += ["a/link", "a/fifo", "a/folder", "a/nothing", sides.make("last")]
    outcomes = [result.outcome.name for result in sides.copy(paths)]
    assert outcomes == ["COPIED", "COPIED", "FAILED", "FOLDER", "VANISHED", "COPIED"]
    assert sides.alone == paths[1:5]
    assert os.readlink(sides.destination / "a" / "link") == "plain"


def test_a_file_is_left_alone_before_the_tick_of_its_last_change_is_over(sides: Sides) -> None:
    now = time.time_ns()
    sides.unit = 2_000_000_000
    paths = [
        sides.make("old"),
        sides.make("fresh for this destination", modified=now - 1_000_000_001),
        sides.make("in the future", modified=now + 3_600_000_000_001),
    ]
    sides.copy(paths)
    assert sides.alone == paths[1:]
    sides.unit, sides.alone = 1, []
    paths = [
        sides.make("a second old", modified=now - 1_000_000_001),
        sides.make("of a clock that is coarse", modified=(now // 10_000_000 - 30) * 10_000_000),
    ]
    sides.copy(paths)
    assert sides.alone == paths[1:]


def grown(path: Path) -> None:
    with open(path, "ab") as file:
        file.write(b"more")


def rewritten_with_its_time_set_back(path: Path) -> None:
    before = path.stat()
    with open(path, "r+b") as file:
        file.write(b"other")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    "act",
    [
        grown,
        rewritten_with_its_time_set_back,
        lambda path: os.truncate(path, 3),
        lambda path: replace(path, b"replaced"),
        lambda path: replace(path, bytes(10)),
        os.unlink,
    ],
    ids=["grown", "rewritten", "truncated", "replaced", "replaced by as much", "deleted"],
)
def test_a_file_that_changes_between_reading_and_writing_is_not_published_as_it_was(
    sides: Sides, monkeypatch: pytest.MonkeyPatch, act: Callable[[Path], object]
) -> None:
    paths = [sides.make("0"), sides.make("x"), sides.make("2")]
    digests = []

    def hash_and_act(data: bytes) -> bytes:
        digests.append(xxh3_128_digest(data))
        if len(digests) == 3:  # all have been read
            act(sides.source / "a" / "x")
        return digests[-1]

    monkeypatch.setattr(native, "xxh3_128_digest", hash_and_act)
    results = sides.copy(paths)
    assert sides.alone == ["a/x"]
    if act is os.unlink:
        assert results[1].outcome is CopyOutcome.VANISHED and not (sides.destination / "a" / "x").exists()
    elif results[1].outcome is CopyOutcome.COPIED:
        assert tree(sides.source) == tree(sides.destination)
    else:
        assert results[1].outcome is CopyOutcome.CHANGED and not (sides.destination / "a" / "x").exists()


def test_a_temporary_of_a_copy_whose_clean_up_failed_does_no_harm(sides: Sides) -> None:
    write(sides.destination / "a" / ".softcopy-r-1.tmp", b"left over")
    assert sides.copy([sides.make("x")])[0].outcome is CopyOutcome.COPIED
    assert tree(sides.source) == tree(sides.destination)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can be somebody else")
def test_files_of_somebody_else_are_copied(sides: Sides) -> None:
    """Access times may be left alone by a file's owner only."""
    path = sides.make("x")
    code = (
        "import os, sys; from pathlib import Path; from tests.engine.worker.test_native import Sides, native; "
        "native.load_copier(bytearray(1 << 20)); "  # now: what a checkout in /root holds is root's alone
        "sides = Sides.__new__(Sides); os.setegid(65534); os.seteuid(65534); "
        "sides.source, sides.destination, sides.unit, sides.alone = Path(sys.argv[1]), Path(sys.argv[2]), 1, []; "
        "print(sides.copy(['a/x'])[0].outcome.name, sides.alone)"
    )
    for folder in (sides.destination, sides.destination / "a"):
        os.chmod(folder, 0o777)
    for folder in sides.source.parents:  # pytest keeps its folders to itself
        if folder.stat().st_mode & 0o777 == 0o700:
            os.chmod(folder, 0o711)
    done = subprocess.run(
        [sys.executable, "-c", code, str(sides.source), str(sides.destination)], capture_output=True, text=True
    )
    assert done.stdout.strip() == "COPIED []", done.stderr
    assert (sides.destination / path).read_bytes() == (sides.source / path).read_bytes()


KINDS = st.sampled_from(["small", "large", "empty", "link", "missing", "fresh"])


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kinds=st.lists(KINDS, max_size=90))
def test_any_mixture_comes_to_the_same_as_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, kinds: list[str]
) -> None:
    sides = Sides(tmp_path_factory.mktemp("mixture"))
    paths = []
    for number, kind in enumerate(kinds):
        name = f"{number}"
        if kind == "link":
            (sides.source / "a" / name).symlink_to("0")
        elif kind != "missing":
            sides.make(name, {"small": 5000, "large": ROOM, "empty": 0, "fresh": 50}[kind])
            if kind == "fresh":
                os.utime(sides.source / "a" / name)
        paths.append(f"a/{name}")
    outcomes = [result.outcome for result in sides.copy(paths)]
    assert outcomes == [CopyOutcome.VANISHED if kind == "missing" else CopyOutcome.COPIED for kind in kinds]
    assert tree(sides.source) == tree(sides.destination)


BESIDE = st.sampled_from(["same", "longer", "later", "earlier", "a unit later", "link", "folder", "fifo", "nothing"])


def compared(folder: Path, read_only: bool, unit: int) -> dict[str, object]:
    """What a comparison tells of one folder."""
    comparison = FolderComparer(str(folder / "source"), str(folder / "destination"), "run", read_only)
    comparison._destination._capabilities = Capabilities(time_unit=unit)
    (part,) = comparison.compare_folders([("a", 0)], 2.0)
    found = {name: sorted(value) if isinstance(value, list) else value for name, value in vars(part).items()}
    assert not found["error"]
    return found


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kinds=st.lists(st.tuples(st.sampled_from(["old", "fresh", "future", "link", "fifo"]), BESIDE), max_size=70),
    there=st.booleans(),
    read_only=st.booleans(),
    unit=st.sampled_from([1, 2_000_000_000]),
)
def test_any_mixture_compares_as_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, kinds: list[tuple[str, str]], there: bool, read_only: bool, unit: int
) -> None:
    sides = Sides(tmp_path_factory.mktemp("compared"))
    if not there:
        (sides.destination / "a").rmdir()
    for number, (here, beside) in enumerate(kinds):
        name = f"{number}"
        source, destination = sides.source / "a" / name, sides.destination / "a" / name
        if here == "link":
            source.symlink_to("0")
        elif here == "fifo":
            os.mkfifo(source)
        else:
            sides.make(name, 10)
            if here != "old":
                then = time.time_ns() + (0 if here == "fresh" else 10**12)
                os.utime(source, ns=(then, then))
        if not there or beside == "nothing":
            continue
        if beside == "link":
            destination.symlink_to("0")
        elif beside == "folder":
            destination.mkdir()
        elif beside == "fifo":
            os.mkfifo(destination)
        else:
            write(destination, b"x" * (11 if beside == "longer" else 10))
            shift = {"later": 1, "earlier": -1, "a unit later": unit}.get(beside, 0)
            os.utime(destination, ns=(0, os.lstat(source).st_mtime_ns + shift))
    with pytest.MonkeyPatch.context() as patch:
        by_library = compared(sides.source.parent, read_only, unit)
        patch.setenv("SOFTCOPY_NATIVE", "0")
        assert compared(sides.source.parent, read_only, unit) == by_library


def test_a_worker_without_the_library_copies_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_library, "LIBRARY", native_library.LIBRARY + ".nothing")
    assert native.load_copier(bytearray(1 << 20)) is None and native.load_comparer() is None
    monkeypatch.undo()
    monkeypatch.setenv("SOFTCOPY_NATIVE", "0")
    assert native.load_copier(bytearray(1 << 20)) is None


def test_a_library_of_an_older_version_is_left_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_library, "LIBRARY", _ctypes.__file__)  # it has none of the functions
    assert native.load_copier(bytearray(1 << 20)) is None and native.load_comparer() is None


def test_a_library_of_another_version_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout was updated, and not built again."""
    monkeypatch.setattr(native_library, "_INTERFACE", native_library._INTERFACE + 1)
    assert native.load_copier(bytearray(1)) is None and native.load_comparer() is None
    with pytest.raises(OSError, match="another version"):
        native_library.load_library()


def test_files_too_deep_for_the_library_are_flushed_one_by_one(tmp_path: Path) -> None:
    deep = "/".join(["f"] * 40)
    paths = ["a/0", f"{deep}/0", "gone"]
    for path in paths[:2]:
        write(tmp_path / path, b"content")
    folder, copier = RootFolder(str(tmp_path)), native.load_copier(bytearray(1 << 20))
    folder.open()
    assert copier is not None and folder.fd is not None
    try:
        assert copier.flush(folder.fd, paths, 1) == [0, None, None]
        left: list[str] = []
        opens = folder.open_file
        folder.open_file = lambda path, flags, mode=0o777: left.append(path) or opens(path, flags, mode)  # type: ignore[method-assign, func-returns-value]
        together = native.flush_together(copier, folder.fd, 1)
        assert flush_files(folder, paths, lambda: True, together) == (3, {})
        assert {f"{deep}/0", "gone"} <= set(left) and "a/0" not in left
    finally:
        folder.close()
