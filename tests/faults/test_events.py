"""Events that the system drops, and folders that it will not watch, some or all: all is found, and told once."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from softcopy_napari.engine.states import ChunkState
from tests.engine.support import OLD, replace, until
from tests.faults.lab import SOON, Lab, content, make_chunks
from tests.support.command import COMMAND, environment
from tests.support.trees import assert_same

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify")

QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")


def small_queue(lab: Lab, events: int) -> None:
    """Have the job's watcher get a small queue; it keeps the one with which it began, so others hardly notice."""
    before = QUEUE.read_text()
    try:
        QUEUE.write_text(str(events))
    except OSError as error:
        pytest.skip(f"may not set {QUEUE}: {error.strerror}")
    try:
        lab.start()
        assert lab.caught_up()
    finally:
        QUEUE.write_text(before)


def test_more_events_than_the_system_keeps_lose_no_chunk_and_are_told_of_once(lab: Lab) -> None:
    """Three writers at once: new folders, new files, and files written again."""
    make_chunks(lab.source, 200, 100, more=1201)
    small_queue(lab, 16)

    def write(first: int, count: int, version: int) -> None:
        for number in range(first, first + count):
            (lab.source / str(number)).mkdir(exist_ok=True)
            replace(lab.source / str(number) / "0", content(number, version, 200))

    writers = [threading.Thread(target=write, args=args) for args in ((0, 200, 1), (200, 600, 0), (800, 600, 0))]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert until(lambda: lab.now.counts[ChunkState.COPIED] == 1400, SOON), lab.words()
    told = [notice for notice in lab.now.notices if "the system dropped file events" in notice]
    assert len(told) == 1
    lab.finish()
    lab.assert_equal()


@pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare is needed")
@pytest.mark.parametrize(
    ("limit", "words", "remedy"),
    [
        pytest.param("watches", "not all folders can be watched", "max_user_watches=1000000", id="too few watches"),
        pytest.param("instances", "folders cannot be watched", "max_user_instances=1024", id="nothing to watch with"),
    ],
)
def test_more_folders_than_may_be_watched_are_copied_and_the_remedy_is_told_once(
    tmp_path: Path, limit: str, words: str, remedy: str
) -> None:
    """In a user namespace, which has limits of its own."""
    source, destination = tmp_path / "s.zarr", tmp_path / "d.zarr"
    make_chunks(source, 60, 100, more=40)
    limits = {"watches": 25, "instances": 0}
    limited = f'echo {limits[limit]} > /proc/sys/user/max_inotify_{limit} && exec "$@"'
    unshare = ["unshare", "--user", "--map-root-user", "sh", "-c", limited, "sh"]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip("may not limit watches here")
    copy = subprocess.Popen(
        [*unshare, *COMMAND, str(source), str(destination)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(),
    )
    try:
        assert until(lambda: (destination / "59" / "0").exists(), SOON)
        for number in range(60, 99):
            replace_in(source / str(number), content(number, 0, 100))
        replace(source / "3" / "0", content(3, 1, 300))
        (source / "complete").touch()
        output, _ = copy.communicate(timeout=60)
    finally:
        if copy.poll() is None:
            copy.kill()
            copy.communicate()
    assert copy.returncode == 0, output
    told = [line for line in output.splitlines() if words in line and f"fs.inotify.{remedy}" in line]
    assert len(told) == 2, f"once while it runs, and once at the end: {output}"
    assert_same(source, destination)
    assert (destination / "3" / "0").stat().st_mtime > OLD


def replace_in(folder: Path, data: bytes) -> None:
    folder.mkdir()
    replace(folder / "0", data)
