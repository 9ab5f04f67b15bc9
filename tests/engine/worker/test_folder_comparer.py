"""Comparing a folder decides what is copied: what it overlooks is lost, what it invents is copied for ever."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from softcopy_napari.engine.fs.root_folder import RootFolder
from softcopy_napari.engine.worker import file_comparer, folder_comparer
from softcopy_napari.engine.worker.copy_outcome import CopyOutcome
from softcopy_napari.engine.worker.extra_files import ExtraFiles
from softcopy_napari.engine.worker.file_copier import FileCopier
from softcopy_napari.engine.worker.folder_batch import UNCHANGED, FolderBatch
from softcopy_napari.engine.worker.folder_comparer import PART, FolderComparer
from softcopy_napari.engine.worker.folder_diff import FolderDiff
from tests.engine.support import OLD, temporaries, write
from tests.support.faultfs import FaultFs, why_not

OWN = "0a1b2c3d"
QUIET = 2.0
posix_only = pytest.mark.skipif(os.name != "posix", reason="links, fifos, odd names")


class Sides:
    def __init__(self, folder: Path) -> None:
        self.source = folder / "source"
        self.destination = folder / "destination"
        self.source.mkdir()
        self.comparison = FolderComparer(str(self.source), str(self.destination), OWN)

    def parts(self, folder: str = "", known: int = 0) -> list[FolderDiff]:
        found = list(self.comparison.compare_folders([(folder, known)], QUIET))
        assert not any(isinstance(part, FolderBatch) for part in found)
        return [part for part in found if isinstance(part, FolderDiff)]

    def compare(self, folder: str = "") -> FolderDiff:
        """Compare a folder with few names."""
        (part,) = self.parts(folder)
        assert part.last and part.final and not part.error
        return part

    def both(self, name: str, here: bytes = b"x", there: bytes = b"x", time_there: int = OLD) -> None:
        write(self.source / name, here, old=True)
        write(self.destination / name, there)
        os.utime(self.destination / name, (OLD, time_there))

    def copy_all(self, folder: str, names: list[str]) -> None:
        places = RootFolder(str(self.source)), RootFolder(str(self.destination))
        self.destination.mkdir(exist_ok=True)
        for place in places:
            place.open()
        transfer = FileCopier(*places, ".softcopy-x.tmp", lambda: False, lambda n: None)
        for name in names:
            result = transfer.copy_file(f"{folder}/{name}" if folder else name)
            assert result.outcome is CopyOutcome.COPIED, result
        for place in places:
            place.close()


@pytest.fixture
def sides(tmp_path: Path) -> Sides:
    return Sides(tmp_path)


def test_files_are_the_same_only_with_equal_size_and_time(sides: Sides) -> None:
    sides.both("same")
    sides.both("size", there=b"xy")
    sides.both("newer at the destination", time_there=OLD + 1)
    sides.both("older at the destination", time_there=OLD - 1)
    write(sides.source / "missing", b"", old=True)
    part = sides.compare()
    assert part.same == ["same"]
    assert sorted(part.different) == ["missing", "newer at the destination", "older at the destination", "size"]
    assert part.fresh == [] and part.extra == []


def test_copies_that_are_newer_than_their_sources_are_told_from_what_is_to_be_copied_anyway(sides: Sides) -> None:
    for name in ("0.0", "note.txt", ".zattrs"):
        sides.both(name, there=b"changed", time_there=OLD + 60)
    sides.both("0.1", time_there=OLD - 60)
    sides.both("0.2", time_there=OLD + 1)  # less than clocks may differ
    sides.both("0.3")
    part = sides.compare()
    assert sorted(part.newer) == ["0.0", "note.txt"], "metadata have rules of their own"
    assert sorted(part.different) == [".zattrs", "0.0", "0.1", "0.2", "note.txt"]


def test_a_destination_that_does_not_exist_yet_lacks_everything(sides: Sides) -> None:
    write(sides.source / "a" / "0", b"x", old=True)
    assert sides.compare("a").different == ["0"]
    assert sides.compare().folders == ["a"]


def test_a_destinations_folder_or_link_in_a_files_place_is_different(sides: Sides) -> None:
    write(sides.source / "folder", b"x", old=True)
    (sides.destination / "folder").mkdir(parents=True)
    sides.both("real")
    if os.name == "posix":
        write(sides.source / "link", b"x", old=True)
        (sides.destination / "link").symlink_to("real")
        os.utime(sides.destination / "link", (OLD, OLD), follow_symlinks=False)
    part = sides.compare()
    assert part.same == ["real"]


@posix_only
def test_links_are_the_same_only_if_they_say_the_same_and_never_followed(sides: Sides) -> None:
    (sides.source / "elsewhere").mkdir()
    sides.destination.mkdir()
    for name, here, there in (("same", "elsewhere", "elsewhere"), ("other", "elsewhere", "x"), ("new", "/", "")):
        (sides.source / name).symlink_to(here)
        if there:
            (sides.destination / name).symlink_to(there)
    sides.both("file for a link")
    (sides.source / "file for a link").unlink()
    (sides.source / "file for a link").symlink_to("elsewhere")
    part = sides.compare()
    assert part.same == ["same"]
    assert sorted(part.different) == ["file for a link", "new", "other"]
    assert part.folders == ["elsewhere"]


@posix_only
def test_after_copying_everything_nothing_differs_whatever_it_is_called(sides: Sides) -> None:
    names = ["0.0", " ", "ünï", "line\nbreak", os.fsdecode(b"\xff\xfe"), "-", ".hidden", "%s", "..."]
    for name in names:
        write(sides.source / "sub" / name, name.encode("utf-8", "surrogateescape"))
    (sides.source / "sub" / "link").symlink_to(os.fsdecode(b"\xff"))
    sides.copy_all("sub", sides.compare("sub").different)
    part = sides.compare("sub")
    assert part.different == [] and part.extra == []
    assert set(part.same) == {*names, "link"}


@pytest.mark.parametrize(("age", "fresh"), [(0.0, True), (1.0, True), (-1.0, True), (10.0, False), (-3600.0, False)])
def test_only_what_changed_just_now_is_fresh(sides: Sides, age: float, fresh: bool) -> None:
    """A file from the future (a microscope's wrong clock) must not wait until its time has come."""
    write(sides.source / "x", b"x")
    os.utime(sides.source / "x", (time.time() - age,) * 2)
    assert sides.compare().fresh == (["x"] if fresh else [])


def test_a_fresh_file_that_is_up_to_date_is_not_reported(sides: Sides) -> None:
    write(sides.source / "x", b"x")
    sides.copy_all("", ["x"])
    part = sides.compare()
    assert (part.same, part.different, part.fresh) == (["x"], [], [])


def test_what_only_the_destination_has_is_reported_and_kept(sides: Sides) -> None:
    sides.both("0.0")
    write(sides.destination / "1.0", b"x")
    write(sides.destination / "sub" / "x", b"x")
    assert sorted(sides.compare().extra) == ["1.0", "sub/"]
    assert (sides.destination / "1.0").exists()


def test_a_file_that_appears_after_the_source_was_listed_is_not_gone(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides.both("a")
    write(sides.destination / "late", b"x")
    find = ExtraFiles.find_extra_files

    def find_late(self: ExtraFiles, *rest: object) -> list[str]:
        write(sides.source / "late", b"x")
        return find(self, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(ExtraFiles, "find_extra_files", find_late)
    assert sides.compare().extra == []


def test_locks_and_scratch_are_not_for_copying(sides: Sides) -> None:
    for name in ("0.0", "0.0.__lock", "0.1_ac2c8228768eb53c.__lock", f"0.{'0' * 32}.partial", "a.tmp", ".__lock"):
        write(sides.source / name, b"x")
    part = sides.compare()
    assert part.different == ["0.0"]
    assert sorted(part.locks) == [".__lock", "0.0", "0.1"]
    assert sorted(part.scratch) == [f"0.{'0' * 32}.partial", "a.tmp"]


@pytest.mark.parametrize("name", ["cache.tmp", "a.__lock"])
def test_a_folder_named_like_a_temporary_is_a_folder(sides: Sides, name: str) -> None:
    write(sides.source / name / "precious", b"x")
    part = sides.compare()
    assert part.folders == [name]
    assert part.scratch == part.locks == []


def test_left_over_temporaries_of_other_runs_are_removed_and_those_of_this_run_kept(sides: Sides) -> None:
    sides.both("0.0")
    own, other = f".softcopy-{OWN}-1.tmp", ".softcopy-99999999-1.tmp"
    theirs = write(sides.source / ".softcopy-99999999-2.tmp", b"")  # of whoever copies to our source
    write(sides.destination / own, b"")
    write(sides.destination / other, b"")
    write(sides.destination / ".softcopy-notes", b"")
    part = sides.compare()
    assert part.extra == [".softcopy-notes"]
    assert {p.name for p in temporaries(sides.destination)} == {own, ".softcopy-notes"}
    assert theirs.exists()


def test_a_folder_that_cannot_be_removed_is_not_mistaken_for_a_temporary(sides: Sides) -> None:
    sides.both("0.0")
    (sides.destination / ".softcopy-99999999-1.tmp").mkdir()
    sides.compare()
    assert (sides.destination / ".softcopy-99999999-1.tmp").is_dir()


def test_an_empty_folder_is_reported_until_it_is_at_the_destination(sides: Sides) -> None:
    (sides.source / "a").mkdir()
    assert sides.compare("a").empty
    (sides.destination / "a").mkdir(parents=True)
    assert not sides.compare("a").empty


def test_a_folder_that_went_away_is_missing_and_one_that_cannot_be_listed_is_an_error(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    (part,) = sides.parts("no/such")
    assert part.missing and part.last and part.final and not part.error

    def fail(path: str) -> object:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "scandir", fail)
    (part,) = sides.parts()
    assert part.error == "Input/output error"
    assert part.last and part.final and not part.missing


@posix_only
@posix_only
def test_a_file_or_link_in_a_folders_place_means_that_the_folder_has_gone(sides: Sides, tmp_path: Path) -> None:
    write(sides.source / "a", b"")
    write(tmp_path / "elsewhere" / "x", b"")
    (sides.source / "b").symlink_to(tmp_path / "elsewhere")
    for folder in ("a", "b"):
        (part,) = sides.parts(folder)
        assert part.missing and part.last


def test_a_file_that_vanishes_while_its_folder_is_listed_is_nowhere(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        write(sides.source / name, b"x", old=True)
    real = folder_comparer.listing

    @contextlib.contextmanager
    def listing(place: RootFolder, folder: str) -> Iterator[Iterator[os.DirEntry[str]]]:
        with real(place, folder) as entries:
            listed = list(entries)
            (sides.source / "a").unlink()
            yield iter(listed)

    monkeypatch.setattr(folder_comparer, "listing", listing)
    assert sides.compare().different == ["b"]


def test_metadata_come_with_the_first_part_even_if_thousands_of_names_come_before(sides: Sides) -> None:
    for number in range(folder_comparer.PART + 10):
        (sides.source / str(number)).touch()
    write(sides.source / ".zarray", b"{}")
    write(sides.source / "zarr.json", b"[]")
    parts = sides.parts()
    assert parts[0].metadata == {".zarray": b"{}", "zarr.json": b"[]"}
    assert not any(part.metadata for part in parts[1:])


def test_several_folders_are_answered_in_order_and_only_the_last_part_is_final(sides: Sides) -> None:
    for name in ("a", "b"):
        write(sides.source / name / "x", b"", old=True)
    parts = list(sides.comparison.compare_folders([("a", 0), ("none", 0), ("b", 0)], QUIET))
    assert [(p.folder, p.last, p.final) for p in parts] == [
        ("a", True, False),
        ("none", True, False),
        ("b", True, True),
    ]


@pytest.mark.parametrize("count", [49, 50, 51, 100, PART + 1])
def test_a_folder_with_thousands_of_names_is_reported_whole_and_each_name_once(
    sides: Sides, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    if count < PART:
        monkeypatch.setattr(folder_comparer, "PART", 50)
    names = {f"0.{number}" for number in range(count)}
    sides.destination.mkdir()
    for name in names:
        (sides.source / name).touch()
    (sides.destination / "0.7").touch()
    stat = (sides.source / "0.7").stat()
    os.utime(sides.destination / "0.7", ns=(0, stat.st_mtime_ns))
    (sides.destination / "gone").touch()
    parts = sides.parts()
    found = [name for part in parts for name in (*part.same, *part.different)]
    assert sorted(found) == sorted(names)
    assert [name for part in parts for name in part.same] == ["0.7"]
    assert [name for part in parts for name in part.extra] == ["gone"]
    assert [part.last for part in parts] == [False] * (len(parts) - 1) + [True]
    assert all(len(part.same) + len(part.different) <= folder_comparer.PART for part in parts)
    assert all(part.modified == parts[0].modified for part in parts)
    newest = max((sides.source / name).stat().st_mtime_ns for name in names)
    assert parts[-1].newest >= newest


def test_more_names_than_are_remembered_are_still_not_gone(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real: 32,768 names. Fewer here: it is the change of method that is to be crossed."""
    monkeypatch.setattr(folder_comparer, "_MAX_NAMES", 100)
    sides.destination.mkdir()
    for number in range(150):
        (sides.source / str(number)).touch()
        (sides.destination / str(number)).touch()
    (sides.destination / "gone").touch()
    parts = sides.parts()
    assert [name for part in parts for name in part.extra] == ["gone"]


def test_a_folder_of_many_names_takes_little_memory(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are remembered up to a number, 32,768 in earnest."""
    import tracemalloc

    monkeypatch.setattr(folder_comparer, "_MAX_NAMES", 5_000)
    for number in range(9_000):
        os.close(os.open(sides.source / str(number), os.O_CREAT | os.O_WRONLY))
    seen = 0
    tracemalloc.start()
    try:
        for part in sides.comparison.compare_folders([("", 0)], QUIET):
            seen += len(part.different)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert seen == 9_000
    assert peak < 1_500_000


def test_a_slow_share_gives_a_sign_of_life_long_before_its_worker_counts_as_hung(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 15 ms a name, which shares across a building take when busy, 2048 names take 30 s: the worker is
    killed, the folder goes to the next worker, and so on for ever. Here a name takes 2 s by a clock that is turned."""
    now, longest, last = [1000.0], 0.0, 1000.0
    real = file_comparer.is_up_to_date

    def slow(here: os.stat_result, there: os.stat_result, unit: int) -> bool:
        now[0] += 2.0
        return real(here, there, unit)

    monkeypatch.setattr(file_comparer, "is_up_to_date", slow)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    for number in range(100):
        sides.both(str(number))
    for _ in sides.comparison.compare_folders([("", 0)], QUIET):
        longest, last = max(longest, now[0] - last), now[0]
    assert longest < 10


@pytest.mark.skipif(bool(why_not()), reason=why_not())
@pytest.mark.parametrize("native", ["0", "1"])
def test_a_share_is_not_asked_for_each_name_of_a_folder_that_is_empty_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, native: str
) -> None:
    monkeypatch.setenv("SOFTCOPY_NATIVE", native)
    for number in range(100):
        write(tmp_path / "source" / str(number), b"x", old=True)
    (tmp_path / "data" / "copy").mkdir(parents=True)
    with FaultFs(tmp_path / "data", tmp_path / "place") as faults:
        asked = faults.delay("stat", "copy/*", seconds=0.0)
        comparer = FolderComparer(str(tmp_path / "source"), str(tmp_path / "place" / "copy"), "run")
        for different in (100, 99):
            *_, part = comparer.compare_folders([("", 0)], QUIET)
            assert isinstance(part, FolderDiff) and len(part.different) == different
            if different == 100:
                write(tmp_path / "data" / "copy" / "7", b"x", old=True)
                asked.lift()
                assert not [path for path in asked.met if path.removeprefix("copy/").isdecimal()]


@posix_only
@pytest.mark.parametrize("unit", [100, 1000, 10**7, 10**9, 2 * 10**9], ids=["NTFS", "us", "exFAT", "HFS+", "FAT"])
def test_a_destination_that_keeps_times_less_finely_is_up_to_date_after_a_copy(
    sides: Sides, monkeypatch: pytest.MonkeyPatch, unit: int
) -> None:
    """Else everything would be copied again and again, and the target would never be complete."""
    real = os.utime
    monkeypatch.setattr(os, "utime", lambda path, ns: real(path, ns=(ns[0] // unit * unit, ns[1] // unit * unit)))
    for number in range(20):
        write(sides.source / str(number), b"x")
        real(sides.source / str(number), ns=(0, (OLD - number) * 10**9 + 123_456_789))
    sides.copy_all("", sides.compare().different)
    assert len(sides.compare().same) == 20
    write(sides.source / "7", b"y")  # another version, as long as the first
    real(sides.source / "7", ns=(0, (OLD - 7 + 4) * 10**9))
    assert sides.compare().different == ["7"]
    assert temporaries(sides.destination) == []


def test_a_destination_that_keeps_times_finely_is_held_to_that(sides: Sides) -> None:
    write(sides.source / "x", b"x", old=True)
    sides.copy_all("", ["x"])
    os.utime(sides.source / "x", ns=(0, OLD * 10**9 + 1))
    assert sides.compare().different == ["x"]


# -- folders that need not be listed -----------------------------------------------------------------------


def test_a_folder_with_its_known_time_is_not_listed_and_one_that_changed_is(sides: Sides) -> None:
    write(sides.source / "0", b"x", old=True)
    os.utime(sides.source, (OLD, OLD))
    known = sides.compare().modified
    assert known == OLD * 10**9
    (batch,) = sides.comparison.compare_folders([("", known)], QUIET)
    if isinstance(batch, FolderBatch):
        assert [folder[:2] for folder in batch.folders] == [("", UNCHANGED)] and not batch.files and batch.final
    else:
        assert batch.unchanged and batch.last and batch.final and not batch.different
    write(sides.source / "1", b"x", old=True)
    os.utime(sides.source, (OLD + 60, OLD + 60))
    (part,) = sides.parts(known=known)
    assert not part.unchanged and sorted(part.different) == ["0", "1"]


def test_a_folder_that_changed_just_now_is_listed_again_whatever_its_time(sides: Sides) -> None:
    """Another change could leave the same time."""
    write(sides.source / "0", b"x")
    assert sides.compare().modified == 0
    os.utime(sides.source, (time.time() + 3600,) * 2)  # the server's clock is ahead of ours
    assert sides.compare().modified == 0


@pytest.mark.skipif(bool(why_not()), reason=why_not())
@pytest.mark.parametrize("native", [True, False])
def test_what_another_computer_wrote_a_moment_ago_is_seen_when_attributes_are_asked_for_afresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, native: bool
) -> None:
    """A network mount answers from its cache for up to a minute: the last walk would compare an older version."""
    if not native:
        monkeypatch.setenv("SOFTCOPY_NATIVE", "0")
    with FaultFs(tmp_path / "below", tmp_path / "shown", cached=60.0) as faults:
        write(faults.folder / "0", b"version 1", old=True)
        write(tmp_path / "there" / "0", b"version 1", old=True)
        comparison = FolderComparer(str(faults.place), str(tmp_path / "there"), OWN)

        def different(fresh: bool) -> list[str]:
            (part,) = comparison.compare_folders([("", 0)], QUIET, fresh_attributes=fresh)
            return part.different

        assert different(fresh=False) == []
        write(faults.folder / "0", b"version 2")
        assert different(fresh=False) == [], "nothing is cached here: this test shows nothing"
        assert different(fresh=True) == ["0"]
