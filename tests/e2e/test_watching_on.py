"""Engines that watch a source on after its copy is complete: they bring what comes later, and stand in nobody's way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import softcopy_napari
from softcopy_napari.engine.client import Copy
from softcopy_napari.engine.states import TargetState
from tests.engine.support import make_array, replace, until
from tests.support.command import softcopy
from tests.support.trees import assert_same


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    return make_array(tmp_path / "source.zarr", (4,)), tmp_path / "destination.zarr"


@pytest.fixture
def watched(sides: tuple[Path, Path]) -> Iterator[Copy]:
    """A copy that is complete, and whose engine watches on."""
    copy = softcopy_napari.start(*sides, nprocs=1, settle=0.0, linger=600.0)
    assert copy.wait(30.0).state is TargetState.COMPLETE
    yield copy
    copy.stop()


def ends(copy: Copy) -> bool:
    return bool(until(lambda: not psutil.pid_exists(copy.engine.run.pid)))


def test_a_copy_that_is_started_again_takes_over_from_the_engine_that_watches_on(
    watched: Copy, sides: tuple[Path, Path]
) -> None:
    done = softcopy("--nprocs", "1", "--finish-idle", "0", *sides)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_same(*sides)
    assert ends(watched)


def test_a_check_of_a_copy_that_is_watched_on_leaves_the_watch_alone(watched: Copy, sides: tuple[Path, Path]) -> None:
    done = softcopy("check", *sides)
    assert done.returncode == 0, done.stdout + done.stderr
    assert watched.snapshot().watching
    replace(sides[0] / "1", b"another version")
    assert until(lambda: (sides[1] / "1").read_bytes() == b"another version")


def test_a_stop_of_what_is_complete_leaves_it_complete(watched: Copy, sides: tuple[Path, Path]) -> None:
    assert watched.stop().state is TargetState.COMPLETE
    assert ends(watched)
