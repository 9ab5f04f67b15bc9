"""Whoever acts upon the progress file of an engine that is killed at any moment never acts upon something untrue."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from tests.soak.test_kills import helper, run_for
from tests.support.command import Softcopy
from tests.support.trees import assert_same

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills processes")

PLANES = 4


def follow_kills(folder: Path, options: dict[str, Any], kills: int, longest: float, *more: str) -> None:
    source, destination = folder / "source.zarr", folder / "destination.zarr"
    progress = destination.with_name("destination.zarr.progress.jsonl")
    choose = random.Random(str(options))
    destination.mkdir()
    begun = 0

    def has_begun() -> bool:
        return progress.exists() and progress.read_bytes().count(b'"event": "begin"') > begun

    with helper("follower", str(destination), str(PLANES)) as said:
        with helper("writers", "tensorstore", str(source), "1", json.dumps(options)):
            for begun in range(kills):  # noqa: B007 - which `has_begun` looks at
                seconds, workers_too = choose.uniform(0.0, longest), choose.random() < 0.5
                run_for(seconds, workers_too, source, destination, 0.0, has_begun, more)
        with Softcopy("--nprocs", "2", "--finish-idle", "1", *more, source, destination) as copy:
            code = copy.wait(180)
        assert code == 0 and "Complete" in copy.output, copy.output
    problems, done = said[:-1], said[-1]
    assert not problems, problems[:10]
    assert done["begun"] == kills + 1 and done["complete"]
    assert done["claimed"] == options["frames"]
    assert done["changed"] and done["read"] > 10 * kills
    assert_same(source, destination)


def test_what_is_claimed_holds_while_engines_are_killed(tmp_path: Path) -> None:
    follow_kills(tmp_path, {"grow": False, "frames": 3, "delay": 0.2}, 2, 3.0)


@pytest.mark.soak
@pytest.mark.timeout(1500)
@pytest.mark.parametrize(
    ("options", "more"),
    [
        ({"grow": True, "frames": 8, "delay": 0.1}, []),
        ({"grow": False, "frames": 6, "delay": 0.3}, ["--verify", "checksum"]),
        ({"grow": False, "frames": 4, "delay": 0.02, "mode": "none"}, []),
    ],
    ids=["growing", "read back", "quick"],
)
def test_what_is_claimed_holds_over_many_kills(tmp_path: Path, options: dict[str, Any], more: list[str]) -> None:
    follow_kills(tmp_path, options, 60, 4.0, *more)
