"""An engine that is killed at any moment loses nothing and tears nothing, and the next one goes on from there."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.engine.support import temporaries
from tests.support.command import Softcopy, until
from tests.support.preloaded import workers_of
from tests.support.trees import assert_same
from tests.support.writers import REPO

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills processes")

SLOW = {"rest": 3.0}
# Kind of writer, its options, how often an engine is killed, and after how many seconds at most. One that finds files
# which have just been written leaves them alone for two seconds.
SHORT = [
    ("tensorstore", {"grow": False}, 4, 1.5),
    ("zarr_python", {}, 2, 3.5),
    ("acquire", {}, 2, 2.5),
    ("folder", {}, 2, 3.5),
]
LONG = [
    ("tensorstore", {}, 120, 2.0), ("tensorstore", {"zarr_format": 2}, 180, 2.0),
    ("zarr_python", {}, 50, 4.0), ("acquire", {}, 50, 3.0),
    ("acquire", SLOW, 20, 6.0), ("tensorstore", {"mode": "none"}, 20, 2.0),
    ("folder", {}, 60, 5.0),
]  # fmt: skip


@contextlib.contextmanager
def helper(module: str, *arguments: str) -> Iterator[list[dict[str, Any]]]:
    """Run a module of this folder until the end of the block; what it has printed, line by line, is there then."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"tests.soak.{module}", *arguments],
        cwd=REPO, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    said: list[dict[str, Any]] = []
    try:
        yield said
        out, errors = process.communicate(timeout=60)  # closes its input: it ends by itself
        assert process.returncode == 0, errors
        said += map(json.loads, out.splitlines())
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def catch_copying(workers: list[psutil.Process], destination: Path, timeout: float) -> None:
    """Stop workers in the middle of a copy, which takes a millisecond: stop them again and again until it is so."""
    deadline = time.monotonic() + timeout
    while workers:
        for worker in workers:
            worker.suspend()
        if temporaries(destination) or time.monotonic() > deadline:
            break
        for worker in workers:
            worker.resume()


def run_for(
    seconds: float,
    workers_too: bool,
    source: Path,
    destination: Path,
    rest: float,
    at_work: Callable[[], object] = lambda: True,
    options: Sequence[str] = (),
) -> None:
    """Start an engine and kill it some time after it is at work: alone, or with its workers in the middle of a copy.

    Workers of the one before it may still be there: it waits for them, and is not refused.
    """
    with Softcopy("--nprocs", "2", *options, source, destination) as copy:
        until(lambda: at_work() or copy.process.poll() is not None, 120)
        assert copy.process.poll() is None, f"it ended by itself: {copy.output}"
        with contextlib.suppress(subprocess.TimeoutExpired):
            copy.wait(seconds)
            pytest.fail(f"it ended by itself: {copy.output}")
        engine = psutil.Process(copy.process.pid)
        workers = workers_of(engine.pid) if workers_too else []
        with contextlib.suppress(psutil.NoSuchProcess):
            catch_copying(workers, destination, 1 + rest)
        for process in (*workers, engine):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(workers, timeout=5)


def kill_again_and_again(folder: Path, kind: str, options: dict[str, Any], kills: int, longest: float) -> None:
    source, destination = folder / "source.zarr", folder / "destination.zarr"
    choose = random.Random(f"{kind} {options}")
    destination.mkdir()
    caught, given = 0, ["--kind", "folder"] if kind == "folder" else []
    progress, begun = destination.with_name("destination.zarr.progress.jsonl"), 0

    def has_begun() -> bool:
        """Whether an engine has got so far that it copies: files that were just written are left alone for a while."""
        return kind != "folder" or (progress.exists() and progress.read_bytes().count(b'"event": "begin"') > begun)

    with helper("reader", str(destination)) as said:
        with helper("writers", kind, str(source), "1", json.dumps(options)):
            for begun in range(kills):  # noqa: B007 - which `has_begun` looks at
                seconds, workers_too = choose.uniform(0.3, longest), choose.random() < 0.5
                run_for(seconds, workers_too, source, destination, options.get("rest", 0.0), has_begun, given)
                caught += bool(temporaries(destination))
        with Softcopy("--nprocs", "2", "--finish-idle", "1", *given, source, destination) as copy:
            code = copy.wait(180)
        assert code == 0 and "Complete" in copy.output, copy.output
    problems, summary = said[:-1], said[-1]
    assert not problems, problems[:10]
    assert summary["read"] > 10 * kills
    assert kills < 20 or caught, "no engine was killed in the middle of a copy"
    # Those of receipts lie beside it.
    assert not [*destination.rglob(".softcopy-*"), *folder.glob(".softcopy-*")]
    assert_same(source, destination)


@pytest.mark.parametrize(("kind", "options", "kills", "longest"), SHORT, ids=[case[0] for case in SHORT])
def test_an_engine_killed_now_and_then(
    tmp_path: Path, kind: str, options: dict[str, Any], kills: int, longest: float
) -> None:
    kill_again_and_again(tmp_path, kind, options, kills, longest)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("kind", "options", "kills", "longest"), LONG, ids=[" ".join((case[0], *case[1])) for case in LONG]
)
def test_an_engine_killed_hundreds_of_times(
    tmp_path: Path, kind: str, options: dict[str, Any], kills: int, longest: float
) -> None:
    kill_again_and_again(tmp_path, kind, options, kills, longest)
