"""What file_copier.py guarantees, with a source that does at the worst moment what a writer may do."""

from __future__ import annotations

import errno
import os
import stat
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from softcopy_napari.engine.fs.file_times import is_up_to_date
from softcopy_napari.engine.fs.root_folder import RootFolder
from softcopy_napari.engine.wording import describe
from softcopy_napari.engine.worker import file_copier, file_streams
from softcopy_napari.engine.worker.copy_outcome import CopyOutcome, CopyResult
from softcopy_napari.engine.worker.file_copier import BUFFER_SIZE, FileCopier
from softcopy_napari.engine.worker.file_streams import BLOCK_SIZE
from softcopy_napari.engine.worker.publish_rules import PublishRules
from softcopy_napari.engine.zarr_layout.chunk_check import ChunkEncoding
from tests.engine.support import replace, temporaries, tree, write

OLD = 1_700_000_000_123_456_789
posix_only = pytest.mark.skipif(os.name != "posix", reason="links and fifos")


def why(result: CopyResult) -> str:
    """Return the reason of a result in words."""
    return describe(result.reason)


class Sides:
    """A source and a destination, and a transfer between them."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "source"
        self.destination = folder / "destination"
        self.source.mkdir()
        self.destination.mkdir()
        self.stop = False
        self.told: list[int] = []
        source = RootFolder(str(self.source))
        self.places = source, RootFolder(str(self.destination), "keep", like=source)
        self.transfer = FileCopier(*self.places, ".softcopy-r-1.tmp", lambda: self.stop, self.told.append)

    def copy(
        self,
        path: str,
        delete_if_gone: bool = False,
        rules: PublishRules = PublishRules(),  # noqa: B008
    ) -> CopyResult:
        """Copy a file; whatever comes of it, no temporary may be left."""
        open_files = psutil.Process().num_fds() if os.name == "posix" else 0
        for place in self.places:
            place.open()
        result = self.transfer.copy_file(path, delete_if_gone, rules)
        for place in self.places:
            place.close()
        if os.name == "posix":
            assert psutil.Process().num_fds() == open_files, "a file was left open"
        assert temporaries(self.destination) == []
        assert temporaries(self.source) == []
        return result


@pytest.fixture
def sides(tmp_path: Path) -> Sides:
    return Sides(tmp_path)


def during(monkeypatch: pytest.MonkeyPatch, name: str, act: Callable[[], object], before: bool = True) -> None:
    """Have something happen at the source just before, or after, the first call of a function of `os`."""
    real = getattr(os, name)
    done: list[int] = []

    def hooked(*args: object, **kwargs: object) -> object:
        if name in ("stat", "open") and args[0] != "x":  # folders are looked at, too
            return real(*args, **kwargs)
        first, done[:] = not done, [1]
        if first and before:
            act()
        result = real(*args, **kwargs)
        if first and not before:
            act()
        return result

    monkeypatch.setattr(os, name, hooked)


# -- what a copy is ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 5000, BUFFER_SIZE - 1, BUFFER_SIZE, BUFFER_SIZE + 1, 2 * BUFFER_SIZE])
def test_content_size_time_and_digest_are_the_sources(sides: Sides, size: int) -> None:
    content = os.urandom(size)
    write(sides.source / "a" / "0.0", content)
    os.utime(sides.source / "a" / "0.0", ns=(5, 1_700_000_000_123_456_789))
    result = sides.copy("a/0.0")
    assert (result.outcome, result.size) == (CopyOutcome.COPIED, size)
    assert result.digest == xxhash.xxh3_128_digest(content)
    copy = sides.destination / "a" / "0.0"
    assert copy.read_bytes() == content
    assert copy.stat().st_mtime_ns == 1_700_000_000_123_456_789
    assert is_up_to_date((sides.source / "a" / "0.0").stat(), copy.stat())
    assert sum(sides.told) == (size if size > BLOCK_SIZE else 0) or size % BLOCK_SIZE


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=12), st.integers(0, 6))
def test_reads_that_return_less_than_asked_for_lose_nothing(
    tmp_path_factory: pytest.TempPathFactory, reads: list[int], extra: int
) -> None:
    sides = Sides(tmp_path_factory.mktemp("short"))
    content = os.urandom(sum(reads) + extra)
    write(sides.source / "x", content)
    real, sizes = file_streams.read_into, [n for n in reads if n]

    def read(fd: int, view: memoryview) -> int:
        return real(fd, view[: sizes.pop()] if sizes else view)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(file_streams, "read_into", read)
        result = sides.copy("x")
    # A short read of the last bytes is taken for the end only once all are there.
    assert result.outcome is CopyOutcome.COPIED
    assert (sides.destination / "x").read_bytes() == content
    assert result.digest == xxhash.xxh3_128_digest(content)


def test_writes_that_take_less_than_they_are_given_lose_nothing(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    content = os.urandom(10_000)
    write(sides.source / "x", content)
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:777]))
    assert sides.copy("x").outcome is CopyOutcome.COPIED
    monkeypatch.undo()
    assert (sides.destination / "x").read_bytes() == content


@posix_only
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o755, 0o600, 0o444])
def test_who_may_read_or_run_the_source_may_do_so_with_the_copy(sides: Sides, mode: int) -> None:
    old_mask = os.umask(0o022)
    try:
        write(sides.source / "x", b"x").chmod(mode)
        assert sides.copy("x").outcome is CopyOutcome.COPIED
    finally:
        os.umask(old_mask)
    assert stat.S_IMODE((sides.destination / "x").stat().st_mode) == mode | 0o200


@pytest.mark.parametrize(
    "name",
    [
        "with space",
        "ünï-日本",
        "-rf",
        "%d %s",
        "a" * 200,
        pytest.param("line\nbreak", marks=posix_only),
        pytest.param("back\\slash", marks=posix_only),
        pytest.param("tab\tand \x07bell", marks=posix_only),
        pytest.param(os.fsdecode(b"not-utf8-\xff\xfe"), marks=posix_only),
    ],
)
def test_odd_names_are_copied(sides: Sides, name: str) -> None:
    write(sides.source / name / name, b"content")
    assert sides.copy(f"{name}/{name}").outcome is CopyOutcome.COPIED
    assert (sides.destination / name / name).read_bytes() == b"content"


def test_a_name_as_long_as_the_system_allows_is_copied(sides: Sides) -> None:
    write(sides.source / ("n" * 255), b"x")
    assert sides.copy("n" * 255).outcome is CopyOutcome.COPIED


@posix_only
def test_reading_leaves_no_trace_at_the_source(sides: Sides) -> None:
    file = write(sides.source / "x", b"x" * 10)
    os.utime(file, ns=(1, 2))
    os.utime(sides.source, ns=(3, 4))
    before = file.stat(), sides.source.stat()
    assert sides.transfer.copy_file("x").outcome is CopyOutcome.COPIED
    assert (file.stat(), sides.source.stat()) == before


def test_a_read_only_source_folder_can_be_copied(sides: Sides) -> None:
    write(sides.source / "sub" / "x", b"x")
    (sides.source / "sub").chmod(0o555)
    try:
        assert sides.copy("sub/x").outcome is CopyOutcome.COPIED
        write(sides.destination / "sub" / "y", b"the copy's folder takes more")
    finally:
        (sides.source / "sub").chmod(0o755)


# -- never half a file -------------------------------------------------------------------------------------


def test_a_reader_of_the_destination_never_sees_half_a_file(sides: Sides) -> None:
    size = 300_000
    write(sides.source / "x", b"0" * size)
    assert sides.copy("x").outcome is CopyOutcome.COPIED
    torn: list[bytes] = []
    seen: set[int] = set()
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            data = (sides.destination / "x").read_bytes()
            seen.add(data[0])
            if len(data) != size or len(set(data)) != 1:
                torn.append(data[:10])

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        for round_ in range(60):
            replace(sides.source / "x", bytes([48 + round_ % 10]) * size)
            assert sides.transfer.copy_file("x").outcome is CopyOutcome.COPIED
    finally:
        stop.set()
        watching.join()
    assert torn == []
    assert len(seen) > 1, "the reader saw no change: this test proves nothing"


CHANGES: dict[str, Callable[[Path], object]] = {
    "replaced": lambda file: replace(file, b"n" * file.stat().st_size),
    "replaced, time kept": lambda file: (
        replace(new := file.with_name("new"), b"n" * 100),
        os.utime(new, ns=(0, file.stat().st_mtime_ns)),
        os.rename(new, file),
    ),
    "rewritten in place": lambda file: file.write_bytes(b"n" * file.stat().st_size),
    "rewritten in place, time set back": lambda file: (
        (before := file.stat().st_mtime_ns),
        file.write_bytes(b"n" * file.stat().st_size),
        os.utime(file, ns=(0, before)),
    ),
    "truncated": lambda file: os.truncate(file, 10),
    "emptied": lambda file: os.truncate(file, 0),
    "grown": lambda file: file.open("ab").write(b"more"),
    "grown over the buffer": lambda file: os.truncate(file, BUFFER_SIZE + 5),
    "deleted": lambda file: file.unlink(),
    "moved away": lambda file: os.rename(file, file.with_name("elsewhere")),
    "a folder now": lambda file: (file.unlink(), file.mkdir()),
}
MOMENTS = [("stat", False), ("open", False), ("readv", True), ("readv", False), ("utime", True), ("utime", False)]


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.skipif(not hasattr(os, "readv"), reason="hooks into readv")
@pytest.mark.parametrize(("moment", "before"), MOMENTS)
@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_while_it_is_copied_is_thrown_away_and_the_old_copy_kept(
    sides: Sides, monkeypatch: pytest.MonkeyPatch, change: str, moment: str, before: bool
) -> None:
    file = write(sides.source / "x", b"first")
    assert sides.copy("x").outcome is CopyOutcome.COPIED
    replace(file, b"o" * 100)
    os.utime(file, ns=(OLD, OLD))  # else the copy waits for a tick, and what is hooked would be called once more
    during(monkeypatch, moment, lambda: CHANGES[change](file), before)
    # The hook itself may call what it hooks; only the copy is of interest.
    result = sides.copy("x")
    monkeypatch.undo()
    if moment == "stat" and change == "a folder now":
        assert result.outcome is CopyOutcome.FAILED  # it was never opened
    elif moment == "stat" and before and change in ("deleted", "moved away"):
        assert result.outcome is CopyOutcome.VANISHED
    else:
        assert result.outcome is CopyOutcome.CHANGED
    assert (sides.destination / "x").read_bytes() == b"first"
    if change in ("deleted", "moved away"):
        assert sides.copy("x").outcome is CopyOutcome.VANISHED
        assert (sides.destination / "x").read_bytes() == b"first"
    elif change != "a folder now":
        assert sides.copy("x").outcome is CopyOutcome.COPIED
        assert (sides.destination / "x").read_bytes() == file.read_bytes()


def test_what_changes_between_the_last_look_and_the_rename_is_still_a_version_that_was_whole(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(sides.source / "x", b"first")
    during(monkeypatch, "replace", lambda: file.write_bytes(b"second, longer"))
    assert sides.copy("x").outcome is CopyOutcome.COPIED
    assert (sides.destination / "x").read_bytes() == b"first"
    assert not is_up_to_date(file.stat(), (sides.destination / "x").stat())


def test_stopping_in_the_middle_of_a_large_file_leaves_the_old_copy_and_no_temporary(sides: Sides) -> None:
    file = write(sides.source / "x", b"old")
    assert sides.copy("x").outcome is CopyOutcome.COPIED
    write(file, bytes(3 * BUFFER_SIZE))
    sides.stop = True
    assert sides.copy("x").outcome is CopyOutcome.STOPPED
    assert len(sides.told) == 1
    assert (sides.destination / "x").read_bytes() == b"old"
    sides.stop = False
    assert sides.copy("x").outcome is CopyOutcome.COPIED


def test_a_comparison_that_is_stopped_tells_nothing_of_a_damaged_file(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A destination that keeps no times has its files compared by content."""
    rules = PublishRules(ChunkEncoding("raw", 4 * BUFFER_SIZE), as_it_is=True)
    for side in (sides.source, sides.destination):
        write(side / "x", bytes(3 * BUFFER_SIZE))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "utime", refuse)
    for place in sides.places:
        place.open()
    sides.transfer.begin_batch()
    for place in sides.places:
        place.close()
    sides.stop = True
    assert sides.copy("x", rules=rules).outcome is CopyOutcome.STOPPED
    sides.stop = False
    assert sides.copy("x", rules=rules).outcome is CopyOutcome.DAMAGED


def test_a_temporary_that_a_failed_clean_up_left_is_written_over(sides: Sides) -> None:
    write(sides.source / "x", b"new")
    write(sides.destination / ".softcopy-r-1.tmp", b"long old rest of a copy")
    assert sides.copy("x").outcome is CopyOutcome.COPIED
    assert (sides.destination / "x").read_bytes() == b"new"


@posix_only
def test_a_link_planted_in_the_temporarys_place_is_not_written_through(sides: Sides, tmp_path: Path) -> None:
    victim = write(tmp_path / "victim", b"precious")
    write(sides.source / "x", b"new")
    (sides.destination / ".softcopy-r-1.tmp").symlink_to(victim)
    assert sides.copy("x").outcome is CopyOutcome.COPIED
    assert victim.read_bytes() == b"precious"


def test_sweep_removes_the_temporary_of_a_dead_worker_and_nothing_else(sides: Sides) -> None:
    for name in (".softcopy-r-1.tmp", ".softcopy-r-2.tmp", "x"):
        write(sides.destination / "a" / name, b"")
    sides.transfer.remove_temporaries("a", ".softcopy-r-2.tmp")
    sides.transfer.remove_temporaries("no/such/folder", ".softcopy-r-2.tmp")
    assert {p.name for p in (sides.destination / "a").iterdir()} == {".softcopy-r-1.tmp", "x"}


# -- deletions ---------------------------------------------------------------------------------------------


def test_a_vanished_file_is_kept_at_the_destination_unless_its_writer_deleted_it(sides: Sides) -> None:
    write(sides.destination / "x", b"kept")
    assert sides.copy("x").outcome is CopyOutcome.VANISHED
    assert (sides.destination / "x").exists()
    assert sides.copy("x", delete_if_gone=True).outcome is CopyOutcome.DELETED
    assert not (sides.destination / "x").exists()
    assert sides.copy("x", delete_if_gone=True).outcome is CopyOutcome.DELETED


def test_a_deleted_file_that_was_written_again_is_copied(sides: Sides) -> None:
    write(sides.source / "x", b"again")
    write(sides.destination / "x", b"old")
    assert sides.copy("x", delete_if_gone=True).outcome is CopyOutcome.COPIED
    assert (sides.destination / "x").read_bytes() == b"again"


@posix_only
def test_a_source_that_another_folder_takes_the_place_of_is_told_from_it(sides: Sides, tmp_path: Path) -> None:
    write(sides.source / "x", b"x")
    write(sides.destination / "x", b"x")
    for place in sides.places:
        place.open()
    os.rename(sides.source, tmp_path / "unmounted")
    sides.source.mkdir()
    write(sides.source / "x", b"another")
    assert sides.transfer.copy_file("x").outcome is CopyOutcome.COPIED
    assert (sides.destination / "x").read_bytes() == b"x"
    with pytest.raises(OSError, match="another folder"):
        sides.places[0].open(identity=((was := (tmp_path / "unmounted").stat()).st_dev, was.st_ino))
    sides.places[1].close()
    assert (sides.destination / "x").exists()


def test_a_deletion_is_not_carried_out_when_the_whole_folder_has_gone_since(sides: Sides, tmp_path: Path) -> None:
    """Someone frees space while a chunk is locked: that is no chunk set back to its fill value."""
    write(sides.source / "a" / "0", b"x")
    write(sides.destination / "a" / "0", b"x")
    os.rename(sides.source / "a", tmp_path / "gone")
    assert sides.copy("a/0", delete_if_gone=True).outcome is CopyOutcome.VANISHED
    assert (sides.destination / "a" / "0").exists()


# -- what is no file ---------------------------------------------------------------------------------------


@posix_only
@pytest.mark.parametrize("target", ["x", "no/such/file", "/etc/passwd", "..", "sub"])
def test_links_are_copied_as_links_and_never_followed(sides: Sides, target: str) -> None:
    write(sides.source / "x", b"x")
    (sides.source / "sub").mkdir()
    (sides.source / "deep").mkdir()
    (sides.source / "deep" / "link").symlink_to(target)
    for _ in range(2):
        assert sides.copy("deep/link").outcome is CopyOutcome.COPIED
        assert os.readlink(sides.destination / "deep" / "link") == target


@posix_only
def test_a_link_at_the_destination_is_replaced_not_written_through(sides: Sides, tmp_path: Path) -> None:
    victim = write(tmp_path / "victim", b"precious")
    write(sides.source / "x", b"new")
    (sides.destination / "x").symlink_to(victim)
    assert sides.copy("x").outcome is CopyOutcome.COPIED
    assert victim.read_bytes() == b"precious"
    assert not (sides.destination / "x").is_symlink()


@posix_only
def test_a_fifo_or_socket_fails_with_a_reason_and_does_not_hang(sides: Sides) -> None:
    import socket

    os.mkfifo(sides.source / "fifo")
    result = sides.copy("fifo")
    assert (result.outcome, why(result)) == (CopyOutcome.FAILED, "is a fifo, not a file")
    here = os.getcwd()
    os.chdir(sides.source)  # a socket's path is short
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind("socket")
            assert why(sides.copy("socket")) == "is a socket, not a file"
    finally:
        os.chdir(here)


def test_an_empty_folder_is_made_at_the_destination(sides: Sides) -> None:
    (sides.source / "a" / "b").mkdir(parents=True)
    for _ in range(2):
        assert sides.copy("a/b").outcome is CopyOutcome.FOLDER
        assert (sides.destination / "a" / "b").is_dir()


# -- what the world does -----------------------------------------------------------------------------------


def test_a_folder_in_a_files_place_fails_with_a_reason_and_is_kept(sides: Sides) -> None:
    write(sides.source / "x", b"x")
    write(sides.destination / "x" / "inside", b"")
    result = sides.copy("x")
    assert result.outcome is CopyOutcome.FAILED
    assert "cannot be written" in why(result)
    assert (sides.destination / "x" / "inside").exists()


def test_a_file_in_a_folders_place_fails_with_a_reason_and_is_kept(sides: Sides) -> None:
    write(sides.source / "a" / "x", b"x")
    write(sides.destination / "a", b"file")
    result = sides.copy("a/x")
    assert result.outcome is CopyOutcome.FAILED
    assert "cannot be written" in why(result)
    assert (sides.destination / "a").read_bytes() == b"file"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_fails_and_the_reason_names_the_reading(sides: Sides) -> None:
    write(sides.source / "x", b"x").chmod(0)
    assert why(sides.copy("x")) == "cannot be read: Permission denied"


@pytest.mark.parametrize(
    ("function", "error", "reason"),
    [
        ("readv", OSError(5, "Input/output error"), "cannot be read: Input/output error"),
        ("write", OSError(5, "Input/output error"), "cannot be written: Input/output error"),
        ("utime", OSError(5, "Input/output error"), "cannot be written: Input/output error"),
        ("replace", OSError(116, "Stale file handle"), "cannot be written: Stale file handle"),
    ],
)
def test_an_error_says_which_side_is_at_fault_and_leaves_no_temporary(
    sides: Sides, monkeypatch: pytest.MonkeyPatch, function: str, error: OSError, reason: str
) -> None:
    file = write(sides.source / "x", b"old")
    assert sides.copy("x").outcome is CopyOutcome.COPIED
    replace(file, b"new content")

    def fail(*args: object, **kwargs: object) -> object:
        raise error

    for place in sides.places:
        place.open()
    monkeypatch.setattr(os, function, fail)
    result = sides.transfer.copy_file("x")
    monkeypatch.undo()
    for place in sides.places:
        place.close()
    assert (result.outcome, why(result)) == (CopyOutcome.FAILED, reason)
    assert (sides.destination / "x").read_bytes() == b"old"
    assert temporaries(sides.destination) == []


def test_a_file_whose_folder_became_a_file_has_vanished(sides: Sides) -> None:
    write(sides.source / "a", b"")
    assert sides.copy("a/x").outcome is CopyOutcome.VANISHED


@posix_only
def test_somebody_elses_files_are_copied_though_their_access_time_cannot_be_spared(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(sides.source / "x", b"x")
    write(sides.source / "y", b"y")
    real = os.open

    def refuse(path: str, flags: int, *args: int, **folder: int) -> int:
        if flags & getattr(os, "O_NOATIME", 0):
            raise PermissionError(1, "Operation not permitted")
        return real(path, flags, *args, **folder)

    monkeypatch.setattr(os, "open", refuse)
    assert sides.transfer.copy_file("x").outcome is CopyOutcome.COPIED
    assert sides.transfer.copy_file("y").outcome is CopyOutcome.COPIED


def test_another_size_time_or_kind_is_not_up_to_date(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", b"xy"), write(tmp_path / "b", b"xy")
    os.utime(a, ns=(0, 10**18 + 1))
    os.utime(b, ns=(0, 10**18 + 1))
    assert is_up_to_date(a.stat(), b.stat())
    os.utime(b, ns=(0, 10**18 + 3))
    assert not is_up_to_date(a.stat(), b.stat())
    assert is_up_to_date(a.stat(), b.stat(), unit=100) and not is_up_to_date(a.stat(), b.stat(), unit=2)
    write(b, b"xyz")
    os.utime(b, ns=(0, 10**18 + 1))
    assert not is_up_to_date(a.stat(), b.stat())


# -- files with holes --------------------------------------------------------------------------------------


def make_sparse(path: Path, size: int, pieces: list[tuple[int, bytes]]) -> bytes:
    """A file with data at some places and holes between them; returns its content."""
    write(path, b"")
    with open(path, "r+b") as file:
        file.truncate(size)
        for at, data in pieces:
            file.seek(at)
            file.write(data)
    return path.read_bytes()


@pytest.mark.skipif(not hasattr(os, "SEEK_HOLE"), reason="a system without holes")
@pytest.mark.parametrize("size", [1 << 20, BUFFER_SIZE, 3 * BUFFER_SIZE + 4321])
@pytest.mark.parametrize("pieces", ["nothing", "start", "middle", "end", "both ends"])
def test_holes_stay_holes_and_the_digest_is_that_of_the_whole_file(sides: Sides, size: int, pieces: str) -> None:
    data = os.urandom(5000)
    places = {"nothing": [], "start": [0], "middle": [size // 2], "end": [size - 5000], "both ends": [0, size - 5000]}
    content = make_sparse(sides.source / "x", size, [(at, data) for at in places[pieces]])
    os.utime(sides.source / "x", ns=(OLD, OLD))
    if (sides.source / "x").stat().st_blocks * 512 >= size:
        pytest.skip("this file system keeps no holes")
    for place in sides.places:
        place.open()
    (result,) = sides.transfer.copy_files(["x"], frozenset(), PublishRules())
    for place in sides.places:
        place.close()
    copy = sides.destination / "x"
    assert (result.outcome, result.size, result.digest) == (CopyOutcome.COPIED, size, xxhash.xxh3_128_digest(content))
    assert copy.read_bytes() == content
    assert copy.stat().st_blocks <= (sides.source / "x").stat().st_blocks
    assert copy.stat().st_mtime_ns == OLD


# --- chunks that prove themselves -----------------------------------------------------------------------------

NOW_OR_QUIET = PublishRules(ChunkEncoding("raw", 1000), quiet=1000.0)
"""Nothing tells that the writer is done: a file must prove whole."""
IMAGE = b"image" * 200


def test_a_chunk_that_proves_whole_is_copied_at_once(sides: Sides) -> None:
    write(sides.source / "x", IMAGE)
    assert sides.copy("x", rules=NOW_OR_QUIET).outcome is CopyOutcome.COPIED
    assert (sides.destination / "x").read_bytes() == IMAGE


@pytest.mark.parametrize(("content", "reason"), [
    (b"", "is empty"), (IMAGE[:-1], "ends early: 999 of 1,000 bytes"), (bytes(1000), ""),
    (IMAGE[:-64] + bytes(64), ""), (IMAGE + b"x", ""),
], ids=["nothing", "too short", "zeros", "still being filled", "too long"])  # fmt: skip
def test_a_chunk_that_does_not_prove_whole_waits_until_its_writer_is_quiet(
    sides: Sides, content: bytes, reason: str
) -> None:
    write(sides.source / "x", content)
    torn = sides.copy("x", rules=NOW_OR_QUIET)
    assert (torn.outcome, why(torn)) == (CopyOutcome.TORN, reason) and tree(sides.destination) == {}
    os.utime(sides.source / "x", ns=(0, time.time_ns() - 2000 * 10**9))
    later = sides.copy("x", rules=NOW_OR_QUIET).outcome
    assert later is (CopyOutcome.TORN if reason else CopyOutcome.COPIED)  # what cannot be whole is not, however quiet
    assert sides.copy("x", rules=NOW_OR_QUIET._replace(as_it_is=True)).outcome is (
        CopyOutcome.DAMAGED if reason else CopyOutcome.COPIED
    )
    assert tree(sides.source) == tree(sides.destination)


def test_a_file_with_holes_does_not_prove_whole(sides: Sides) -> None:
    """Whoever maps a file into memory may write its end first."""
    size = 1 << 20
    with open(sides.source / "x", "wb") as file:
        file.truncate(size - len(IMAGE))
        file.seek(0, os.SEEK_END)
        file.write(IMAGE)
    if os.stat(sides.source / "x").st_blocks * 512 >= size:
        pytest.skip("no holes on this file system")
    assert sides.copy("x", rules=PublishRules(ChunkEncoding("raw", size), quiet=1000.0)).outcome is CopyOutcome.TORN


def test_a_large_file_that_cannot_be_whole_is_not_read(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its writer may take hours, and it is looked at again and again."""
    write(sides.source / "x", bytes(file_streams.BUFFER_SIZE + 1), old=True)
    monkeypatch.setattr(file_copier, "copy_stream", lambda *_: pytest.fail("it was read"))
    result = sides.copy("x", rules=PublishRules(ChunkEncoding("zstd")))
    assert (result.outcome, why(result)) == (CopyOutcome.TORN, "does not begin as zstd data")


@pytest.mark.parametrize("at_start", [True, False])
@pytest.mark.parametrize("size", [1000, file_streams.BUFFER_SIZE + 7, 2 * file_streams.BUFFER_SIZE])
def test_a_checksum_is_made_of_what_is_read_anyway(sides: Sides, size: int, at_start: bool) -> None:
    content = os.urandom(size)
    checksum = zlib.crc32(content).to_bytes(4, "little")
    rules = PublishRules(ChunkEncoding("crc32", size, at_start), quiet=1000.0)
    whole = checksum + content if at_start else content + checksum
    write(sides.source / "x", whole)
    assert sides.copy("x", rules=rules).outcome is CopyOutcome.COPIED
    write(sides.source / "x", whole[: size // 2] + b"?" + whole[size // 2 + 1 :])
    result = sides.copy("x", rules=rules)
    assert (result.outcome, why(result)) == (CopyOutcome.TORN, "does not agree with its crc32")
    assert (sides.destination / "x").read_bytes() == whole


def test_a_refusal_at_the_largest_size_of_fat_is_said_to_be_that(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows says that an argument is invalid, FAT by FUSE that it is not permitted."""
    write(sides.source / "x", b"1234567890")
    monkeypatch.setattr(file_streams, "_FAT_LIMIT", 5)

    def refuse(*_: object) -> int:
        raise PermissionError(1, "Operation not permitted")

    for place in sides.places:
        place.open()
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", refuse)
        result = sides.transfer.copy_file("x")
    for place in sides.places:
        place.close()
    assert result.outcome is CopyOutcome.TOO_LARGE and "is too large" in why(result)
    assert temporaries(sides.destination) == []
