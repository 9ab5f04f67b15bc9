"""An engine that copies into a store is killed while a writer writes: nothing is lost, torn or double."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from softcopy_napari.engine.state_folder.folder import STATE_FOLDER_VARIABLE
from tests.engine.support import replace, tree, write, zarray
from tests.support.object_stores import ObjectStore

NAME = "lab/killed.zarr"
KILLS = 6
CHUNK = 4096


def copy(source: Path, url: str, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "softcopy_napari", "copy", str(source), url, "--nprocs", "2", *options]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def kill_all(process: subprocess.Popen[bytes]) -> None:
    """Kill an engine and its copy processes, as a power cut would."""
    for one in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    process.communicate()


@pytest.mark.timeout(300)
def test_an_engine_that_is_killed_at_any_time_loses_tears_and_doubles_nothing(
    tmp_path: Path, object_store: ObjectStore
) -> None:
    source, url = tmp_path / "source.zarr", object_store.url(NAME)
    assert os.environ[STATE_FOLDER_VARIABLE]  # of this test alone
    write(source / ".zarray", zarray((60, 4), "/", CHUNK))
    chance = random.Random(20)
    over = threading.Event()

    def write_chunks() -> None:
        for number in range(240):
            path = source / str(number // 4) / str(number % 4)
            path.parent.mkdir(exist_ok=True)
            replace(path, os.urandom(1) * CHUNK)
            if chance.random() < 0.2:  # some are written once more
                old = source / str(chance.randrange(number + 1) // 4) / "0"
                replace(old, os.urandom(1) * CHUNK)
            time.sleep(0.05)
        over.set()

    writer = threading.Thread(target=write_chunks)
    writer.start()
    for _ in range(KILLS):
        running = copy(source, url)
        time.sleep(chance.uniform(1.0, 4.0))
        kill_all(running)
        for path, content in object_store.objects(NAME).items():
            if path != ".zarray":
                assert len(content) == CHUNK and len(set(content)) == 1, f"{path} is torn"
    writer.join()
    assert over.is_set()
    last = copy(source, url, "--finish-idle", "1")
    output, _ = last.communicate(timeout=120)
    assert last.returncode == 0, output.decode()
    assert object_store.objects(NAME) == {path: data for path, data in tree(source).items() if not path.endswith("/")}
    again = copy(source, url, "--finish-idle", "1")
    output, _ = again.communicate(timeout=60)
    assert again.returncode == 0 and b"0 files copied" in output, output.decode()
