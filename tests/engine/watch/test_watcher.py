"""One suite for every watcher: what a writer does must reach the job, whatever the system calls it."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from softcopy_napari.engine.fs.file_system_type import FileSystem, is_share
from softcopy_napari.engine.watch import events
from softcopy_napari.engine.watch.events import FileEvent, Watcher
from softcopy_napari.engine.watch.portable import PortableWatcher
from softcopy_napari.engine.watch.watcher import make_watcher
from softcopy_napari.engine.wording import describe
from tests.engine.support import replace, until, write

if sys.platform == "linux":
    from inotify_simple import Event, flags

    from softcopy_napari.engine.watch.linux import LinuxWatcher
    from softcopy_napari.engine.watch.source_events import SourceEvents

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="inotify")
WATCHERS: dict[str, Callable[[Path, Callable[[], None]], Watcher]] = {"PortableWatcher": PortableWatcher}
if sys.platform == "linux":
    WATCHERS["LinuxWatcher"] = LinuxWatcher
KINDS = sorted(WATCHERS)
IN_PYTHON = "LinuxWatcher without the C library"


class Watched:
    """A source that is watched, and all events so far."""

    def __init__(self, source: Path, kind: str) -> None:
        self.source = source
        self.woken = threading.Event()
        self.watcher = WATCHERS[kind](source, self.woken.set)
        self.seen: list[tuple[FileEvent, str]] = []

    def pop_events(self) -> list[tuple[FileEvent, str]]:
        while self.watcher.events:
            self.seen.append(self.watcher.events.popleft())
        return self.seen

    def sees(self, *events: FileEvent, path: str, timeout: float = 30.0) -> bool:
        """Whether one of these events comes for a path."""
        return bool(until(lambda: any((event, path) in self.pop_events() for event in events), timeout))

    def flush(self) -> None:
        """Wait until everything done so far has been reported, and forget it."""
        marker = write(self.source / "marker", b"")
        assert self.sees(FileEvent.WRITTEN, FileEvent.MODIFIED, path="marker")
        marker.unlink()
        assert self.sees(FileEvent.DELETED, path="marker")
        self.seen.clear()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source.zarr"
    folder.mkdir()
    return folder


@pytest.fixture(params=[*KINDS, IN_PYTHON] if sys.platform == "linux" else KINDS)
def watched(request: pytest.FixtureRequest, source: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    if request.param == IN_PYTHON:
        monkeypatch.setenv("SOFTCOPY_NATIVE", "0")
    yield from running(source, request.param.split()[0])


@pytest.fixture(params=["in C", "in Python"])
def linux(request: pytest.FixtureRequest, source: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    if request.param == "in Python":
        monkeypatch.setenv("SOFTCOPY_NATIVE", "0")
    yield from running(source, "LinuxWatcher")


def running(source: Path, kind: str) -> Iterator[Watched]:
    watched = Watched(source, kind)
    yield watched
    watched.watcher.stop()


# -- for all watchers --------------------------------------------------------------------------------------


def test_a_file_written_in_place_is_reported_and_so_is_its_closing_where_that_is_known(watched: Watched) -> None:
    with open(watched.source / "0.0", "wb") as file:
        assert watched.sees(FileEvent.OPENED, path="0.0")
        if watched.watcher.tells_closing:
            assert (FileEvent.WRITTEN, "0.0") not in watched.pop_events()
        file.write(b"x")
    if watched.watcher.tells_closing:
        assert watched.sees(FileEvent.WRITTEN, path="0.0")
    else:
        assert watched.sees(FileEvent.MODIFIED, path="0.0")


def test_a_file_renamed_into_place_is_reported_under_its_final_name(watched: Watched) -> None:
    replace(watched.source / "0.0", b"x")
    assert watched.sees(FileEvent.OPENED, path="0.0.__lock")
    assert watched.sees(FileEvent.RENAMED, path="0.0")


def test_for_how_long_a_lock_was_held_is_told_once(watched: Watched) -> None:
    replace(watched.source / "0.0", b"x")
    held = until(watched.watcher.pop_hold_times)
    assert isinstance(held, list) and len(held) == 1 and 0 <= held[0] < 5
    assert not watched.watcher.pop_hold_times()


def test_a_file_replaced_by_a_rename_is_reported_again(watched: Watched) -> None:
    for _ in range(3):
        replace(watched.source / "0.0", b"x")
        assert watched.sees(FileEvent.RENAMED, path="0.0")
        watched.seen.clear()


def test_a_deletion_is_reported_after_what_came_before_it(watched: Watched) -> None:
    """The order decides whether a chunk was deleted under its lock."""
    write(watched.source / "0.0", b"x")
    watched.flush()
    lock = write(watched.source / "0.0.__lock", b"")
    (watched.source / "0.0").unlink()
    lock.unlink()
    assert watched.sees(FileEvent.DELETED, path="0.0.__lock")
    order = [(event, path) for event, path in watched.seen if event in (FileEvent.OPENED, FileEvent.DELETED)]
    assert order == [(FileEvent.OPENED, "0.0.__lock"), (FileEvent.DELETED, "0.0"), (FileEvent.DELETED, "0.0.__lock")]


def test_files_in_a_new_folder_are_reported_once_it_is_watched(watched: Watched) -> None:
    (watched.source / "1").mkdir()
    assert watched.sees(FileEvent.FOLDER, path="1")
    watched.watcher.watch("1")
    (watched.source / "1" / "2").mkdir()
    assert watched.sees(FileEvent.FOLDER, path="1/2")
    watched.watcher.watch("1/2")
    write(watched.source / "1" / "2" / "3", b"x")
    assert watched.sees(FileEvent.WRITTEN, FileEvent.MODIFIED, path="1/2/3")


def test_a_folder_moved_into_the_source_is_reported(watched: Watched, tmp_path: Path) -> None:
    write(tmp_path / "elsewhere" / "0", b"x")
    os.rename(tmp_path / "elsewhere", watched.source / "1")
    assert watched.sees(FileEvent.FOLDER, path="1")


def test_a_folder_made_again_after_its_removal_is_reported_and_watched(watched: Watched) -> None:
    for number in range(3):
        (watched.source / "1").mkdir()
        assert watched.sees(FileEvent.FOLDER, path="1")
        watched.watcher.watch("1")
        write(watched.source / "1" / "0", b"x")
        assert watched.sees(FileEvent.WRITTEN, FileEvent.MODIFIED, path="1/0"), f"not the {number + 1}. time"
        shutil.rmtree(watched.source / "1")
        watched.flush()


def test_reading_the_source_is_not_reported(watched: Watched) -> None:
    """Else copying would look like writing, and no acquisition would ever be finished."""
    write(watched.source / "0.0", b"x")
    watched.flush()
    (watched.source / "0.0").read_bytes()
    list(os.scandir(watched.source))
    (watched.source / "0.0").stat()
    write(watched.source / "end", b"")
    assert watched.sees(FileEvent.WRITTEN, FileEvent.MODIFIED, path="end")
    assert {path for _, path in watched.seen} == {"end"}


@pytest.mark.skipif(os.name != "posix", reason="names that only POSIX systems allow")
@pytest.mark.parametrize("name", ["with space", "ünï", "line\nbreak", os.fsdecode(b"\xff\xfe")])
def test_odd_names_are_reported_as_the_system_has_them(watched: Watched, name: str) -> None:
    (watched.source / name).mkdir()
    assert watched.sees(FileEvent.FOLDER, path=name)
    watched.watcher.watch(name)
    write(watched.source / name / name, b"x")
    assert watched.sees(FileEvent.WRITTEN, FileEvent.MODIFIED, path=f"{name}/{name}")


def test_a_burst_of_files_is_reported_whole(watched: Watched) -> None:
    names = {f"0.{number}" for number in range(2000)}
    for name in names:
        write(watched.source / name, b"x")
    whole = (FileEvent.WRITTEN, FileEvent.MODIFIED)
    assert until(lambda: names <= {path for event, path in watched.pop_events() if event in whole}, 20.0)


def test_the_job_is_woken_by_the_first_event_after_it_has_taken_all(watched: Watched) -> None:
    for number in range(20):
        watched.pop_events()
        watched.woken.clear()
        write(watched.source / str(number), b"x")
        assert watched.woken.wait(30.0)
        watched.flush()


def test_the_removal_of_the_source_is_reported(watched: Watched) -> None:
    write(watched.source / "0.0", b"x")
    watched.flush()
    shutil.rmtree(watched.source)
    assert watched.sees(FileEvent.ROOT_GONE, FileEvent.ROOT_DELETED, path="")


@pytest.mark.parametrize(("how", "event"), [("deleted", FileEvent.ROOT_DELETED), ("renamed", FileEvent.ROOT_GONE)])
def test_a_source_that_is_renamed_is_not_taken_for_deleted(linux: Watched, how: str, event: FileEvent) -> None:
    if how == "renamed":
        linux.source.rename(linux.source.with_name("away"))
    else:
        shutil.rmtree(linux.source)
    assert linux.sees(FileEvent.ROOT_GONE, FileEvent.ROOT_DELETED, path="")
    assert {one for one, path in linux.seen if not path} == {event}


def test_the_removal_of_a_folder_in_it_is_not_the_end_of_the_source(watched: Watched) -> None:
    (watched.source / "1").mkdir()
    assert watched.sees(FileEvent.FOLDER, path="1")
    watched.watcher.watch("1")
    (watched.source / "1").rmdir()
    watched.flush()
    assert (FileEvent.ROOT_GONE, "") not in watched.seen
    write(watched.source / "0.0", b"x")
    assert watched.sees(FileEvent.WRITTEN, FileEvent.MODIFIED, path="0.0")


def test_stopping_ends_its_threads_and_closes_its_files(source: Path) -> None:
    process = psutil.Process()
    for kind in KINDS:
        warm = Watched(source, kind)  # what is made once for all
        warm.watcher.stop()
        threads, files = threading.active_count(), process.num_fds() if os.name == "posix" else 0
        for _ in range(3):
            watched = Watched(source, kind)
            watched.watcher.watch("no/such/folder")
            watched.watcher.stop()
        assert until(lambda threads=threads: threading.active_count() == threads)
        assert os.name != "posix" or until(lambda files=files: process.num_fds() == files)


def test_a_source_that_does_not_exist_cannot_be_watched_and_leaves_nothing_open(tmp_path: Path) -> None:
    process = psutil.Process()
    for kind in KINDS:
        files = process.num_fds() if os.name == "posix" else 0
        threads = threading.active_count()
        with pytest.raises(OSError):  # noqa: PT011 - which one depends on the system
            Watched(tmp_path / "none", kind)
        assert until(lambda threads=threads: threading.active_count() == threads), kind
        assert os.name != "posix" or until(lambda files=files: process.num_fds() == files), kind


# -- Linux -------------------------------------------------------------------------------------------------


@linux_only
def test_linux_gets_the_watcher_that_tells_of_closing(source: Path) -> None:
    watcher = make_watcher(source, lambda: None)
    assert watcher.tells_closing and not isinstance(watcher, PortableWatcher)
    watcher.stop()


@linux_only
def test_files_in_folders_that_have_just_been_made_are_reported_without_being_asked_for(linux: Watched) -> None:
    """tensorstore makes the folders of a chunk and writes it within a millisecond: nobody could ask in time."""
    chunk = linux.source / "0" / "1" / "2" / "0" / "0"
    chunk.parent.mkdir(parents=True)
    for folder in ("0", "0/1", "0/1/2", "0/1/2/0"):
        assert linux.sees(FileEvent.FOLDER, path=folder)
    replace(chunk, b"x")
    assert linux.sees(FileEvent.RENAMED, path="0/1/2/0/0")


@linux_only
def test_while_the_writer_is_at_work_nothing_is_acted_upon_and_nothing_is_forgotten(linux: Watched) -> None:
    linux.watcher.watch("")
    with open(linux.source / "1.__lock", "wb"):
        write(linux.source / "0", b"x")
        assert until(lambda: linux.watcher.unread)
        assert not linux.pop_events(), "the burst is not over"
    assert linux.sees(FileEvent.WRITTEN, path="0")
    assert linux.sees(FileEvent.WRITTEN, path="1.__lock")
    assert until(lambda: not linux.watcher.unread)


@linux_only
def test_a_file_that_stays_open_keeps_nothing_back_for_long(linux: Watched) -> None:
    with open(linux.source / "log", "wb"):
        write(linux.source / "0", b"x")
        assert linux.sees(FileEvent.WRITTEN, path="0")


@linux_only
def test_a_loss_of_events_is_reported(linux: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    def overflow(*_: object) -> tuple[list[Event], bool]:
        monkeypatch.undo()
        return [Event(-1, flags.Q_OVERFLOW, 0, "")], True

    monkeypatch.setattr(type(linux.watcher._inotify), "take_events", overflow)
    write(linux.source / "0", b"")  # so that it reads once more
    assert linux.sees(FileEvent.LOST, path="")
    assert linux.woken.is_set()


@linux_only
def test_a_lost_source_by_renaming_is_reported(linux: Watched, tmp_path: Path) -> None:
    os.rename(linux.source, tmp_path / "renamed")
    assert linux.sees(FileEvent.ROOT_GONE, path="")


def refusing(error: int) -> Callable[..., None]:
    """A call to the system that it does not grant."""

    def refuse(*_: object) -> None:
        raise OSError(error, os.strerror(error))

    return refuse


@linux_only
def test_when_watches_run_out_the_setting_is_named_and_the_rest_goes_on(
    linux: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SourceEvents, "add_watch", refusing(errno.ENOSPC))
    (linux.source / "1").mkdir()
    linux.watcher.watch("1")
    linux.watcher.watch("1")
    assert "sysctl fs.inotify.max_user_watches" in describe(linux.watcher.problem)
    monkeypatch.undo()
    write(linux.source / "0.0", b"x")
    assert linux.sees(FileEvent.WRITTEN, path="0.0")


@linux_only
@pytest.mark.parametrize(
    ("step", "error"),
    [("__init__", errno.EMFILE), ("add_watch", errno.ENOSPC)],
    ids=["no instance left", "no watch left"],
)
def test_where_nothing_can_be_watched_a_copy_goes_on_without_and_says_what_to_set(
    source: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: int
) -> None:
    files = psutil.Process().num_fds()
    monkeypatch.setattr(SourceEvents, step, refusing(error))
    watcher = make_watcher(source, lambda: None)
    assert "sysctl fs.inotify.max_user_watches=1000000 fs.inotify.max_user_instances=1024" in describe(watcher.problem)
    assert not watcher.tells_closing and not watcher.events
    watcher.watch("1")
    watcher.stop()
    assert psutil.Process().num_fds() == files


@linux_only
@pytest.mark.parametrize(("step", "error"), [("__init__", errno.ENOSYS), ("add_watch", errno.EACCES)])
def test_a_source_that_cannot_be_watched_for_another_reason_is_not_taken_for_one_without_watches(
    source: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: int
) -> None:
    monkeypatch.setattr(SourceEvents, step, refusing(error))
    with pytest.raises(OSError) as raised:  # noqa: PT011 - which one is asked for below
        make_watcher(source, lambda: None)
    assert raised.value.errno == error


@linux_only
@pytest.mark.parametrize(("kind", "silent"), [("nfs4", True), ("fuse.sshfs", True), ("ext4", False)])
def test_a_source_on_a_network_share_is_known_to_be_silent(
    source: Path, monkeypatch: pytest.MonkeyPatch, kind: str, silent: bool
) -> None:
    monkeypatch.setattr(events, "identify_file_system", lambda path: FileSystem(kind, is_share(kind)))
    watcher = make_watcher(source, lambda: None)
    watcher.stop()
    told = f"the source is on a network share ({kind}): looking for new files every few seconds"
    assert describe(watcher.problem) == (told if silent else "")


@linux_only
def test_a_folder_that_vanishes_before_it_is_watched_is_no_problem(linux: Watched) -> None:
    linux.watcher.watch("gone")
    assert linux.watcher.problem is None


@linux_only
def test_a_folder_that_became_a_file_or_may_not_be_read_does_not_end_watching(linux: Watched) -> None:
    write(linux.source / "1", b"a file now")
    linux.watcher.watch("1")
    assert "max_user_watches" not in describe(linux.watcher.problem)
    (linux.source / "2").mkdir()
    linux.watcher.watch("2")
    write(linux.source / "2" / "0", b"x")
    assert linux.sees(FileEvent.WRITTEN, path="2/0")


@linux_only
@pytest.mark.parametrize("moment", ["_event_or_loss", "_folder_gone"])
def test_a_moved_folder_stays_watched_when_another_takes_its_name(
    linux: Watched, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """The job watches the new name before the watching thread is through with the old one."""
    (linux.source / "1").mkdir()
    linux.watcher.watch("1")
    linux.flush()
    real = getattr(linux.watcher, moment)
    arrived, go_on = threading.Event(), threading.Event()

    def late(watch: int, mask: int, name: object) -> None:
        if mask & flags.MOVE_SELF:
            arrived.set()
            assert go_on.wait(30.0)
        real(watch, mask, name)

    monkeypatch.setattr(linux.watcher, moment, late)
    os.rename(linux.source / "1", linux.source / "2")
    assert linux.sees(FileEvent.FOLDER, path="2")
    assert arrived.wait(30.0)
    linux.watcher.watch("2")
    go_on.set()
    (linux.source / "1").mkdir()
    assert linux.sees(FileEvent.FOLDER, path="1")
    linux.watcher.watch("1")
    for folder in ("1", "2"):
        write(linux.source / folder / "0", b"x")
        assert linux.sees(FileEvent.WRITTEN, path=f"{folder}/0")


@linux_only
def test_a_folder_behind_a_link_that_is_moved_and_linked_again_stays_watched(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only where links are followed: the link leads to the same folder, whatever that is called by now."""
    real, link = tmp_path / "real", source / "link"
    real.mkdir()
    link.symlink_to(real)
    linked_again, asked = threading.Event(), threading.Event()
    watcher = LinuxWatcher(source, lambda: None, follow_links=True)
    still_there = watcher._still_there

    def ask_when_linked(watch: int, folder: str) -> bool:
        assert linked_again.wait(30.0)
        asked.set()
        return still_there(watch, folder)

    monkeypatch.setattr(watcher, "_still_there", ask_when_linked)
    watcher.watch("link")
    moved = real.rename(tmp_path / "moved")
    link.unlink()
    link.symlink_to(moved)
    linked_again.set()
    assert asked.wait(30.0)
    write(moved / "0", b"x")
    assert until(lambda: (FileEvent.WRITTEN, "link/0") in watcher.events)
    watcher.stop()


@linux_only
def test_files_below_a_renamed_folder_are_reported_under_its_new_name(linux: Watched) -> None:
    (linux.source / "1" / "sub").mkdir(parents=True)
    for folder in ("1", "1/sub"):
        linux.watcher.watch(folder)
    os.rename(linux.source / "1", linux.source / "2")
    assert linux.sees(FileEvent.FOLDER, path="2")
    linux.flush()
    for folder in ("2", "2/sub"):  # as the walk that the event asks for does
        linux.watcher.watch(folder)
    write(linux.source / "2" / "sub" / "0", b"x")
    assert linux.sees(FileEvent.WRITTEN, path="2/sub/0")
    assert not [path for _, path in linux.seen if path.startswith("1/")]


def in_new_folder(linux: Watched, swap: Callable[[Path], None]) -> bool:
    """Whether a file is seen in a folder that was put in the place of a watched one."""
    folder = linux.source / "1"
    folder.mkdir()
    assert linux.sees(FileEvent.FOLDER, path="1")
    linux.watcher.watch("1")
    linux.flush()
    swap(folder)
    assert linux.sees(FileEvent.FOLDER, path="1")
    linux.watcher.watch("1")
    write(folder / "0", b"x")
    return linux.sees(FileEvent.WRITTEN, path="1/0")


@linux_only
def test_a_folder_made_in_the_place_of_one_that_was_moved_away_is_watched(linux: Watched, tmp_path: Path) -> None:
    def swap(folder: Path) -> None:
        os.rename(folder, tmp_path / "old")
        folder.mkdir()

    assert in_new_folder(linux, swap)


@linux_only
def test_a_folder_made_again_while_someone_was_in_the_old_one_is_watched(linux: Watched) -> None:
    """One of our own walks, for example."""
    still_open = []

    def swap(folder: Path) -> None:
        still_open.append(os.open(folder, os.O_RDONLY))
        folder.rmdir()
        folder.mkdir()

    try:
        assert in_new_folder(linux, swap)
    finally:
        os.close(still_open[0])


@linux_only
def test_files_in_a_renamed_folder_are_reported_under_its_new_name(linux: Watched) -> None:
    (linux.source / "1").mkdir()
    linux.watcher.watch("1")
    os.rename(linux.source / "1", linux.source / "2")
    assert linux.sees(FileEvent.FOLDER, path="2")
    linux.watcher.watch("2")
    write(linux.source / "2" / "0", b"x")
    assert linux.sees(FileEvent.WRITTEN, path="2/0")


@linux_only
def test_a_watcher_that_breaks_says_so_and_has_everything_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*_: object) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr(LinuxWatcher, "_event", break_down)
    watched = Watched(tmp_path, "LinuxWatcher")
    write(tmp_path / "0", b"")
    assert watched.sees(FileEvent.LOST, path="")
    assert watched.woken.is_set()
    assert "looking for new files every few seconds" in describe(watched.watcher.problem)
    assert not watched.watcher.tells_closing
    watched.watcher.stop()
