"""Writers that pause for 40 s between time points, copied by the command with its defaults, which waits for 30 s.

None is called complete while it goes on; and after it has ended, its user is not kept waiting.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from pathlib import Path

import pytest

from softcopy_napari.engine.client import engines
from tests.support.command import Softcopy, softcopy, until
from tests.support.pausing_writers import KINDS, OME_KINDS
from tests.support.trees import assert_same
from tests.support.writers import REPO

PAUSE, FRAMES = 40, 3
SOON = 20.0
"""Seconds within which a copy ends after it was told: 17 of them are told at once."""
ALL = [*KINDS, *OME_KINDS]


def start_writer(kind: str, source: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.support.pausing_writers", str(PAUSE), str(FRAMES), f"{kind}={source}"]
    return subprocess.Popen(command, cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def assert_ends(copy: Softcopy, kind: str, why: str, told: float) -> float:
    """Fail unless a copy becomes complete soon, for a reason; return the seconds that it took."""
    assert copy.wait(60) == 0, f"{kind}: {copy.output}"
    took = time.monotonic() - told
    assert why in copy.output, f"{kind}: {copy.output}"
    assert took < SOON, f"{kind} ended after {took:.1f} s"
    return took


@pytest.mark.soak
@pytest.mark.timeout(400)
def test_no_kind_of_writer_is_called_complete_in_its_pauses_and_each_ends_soon_when_it_is_over(tmp_path: Path) -> None:
    sources = {kind: tmp_path / f"{kind}.zarr" for kind in ALL}
    by_order = {kind: tmp_path / "by order" / f"{kind}.zarr" for kind in ALL}
    by_marker = {kind: tmp_path / "by marker" / f"{kind}.zarr" for kind in ALL}
    with contextlib.ExitStack() as ends:
        copies = {
            (kind, way): ends.enter_context(Softcopy(sources[kind], place[kind]))
            for way, place in (("order", by_order), ("marker", by_marker))
            for kind in ALL
        }
        until(lambda: len(engines()) == len(copies), 120)
        writers = {kind: start_writer(kind, sources[kind]) for kind in ALL}
        for writer in writers.values():
            ends.callback(writer.communicate)
            ends.callback(writer.kill)
        began = time.monotonic()
        while any(writer.poll() is None for writer in writers.values()):
            goes_on = {kind for kind, writer in writers.items() if writer.poll() is None}
            ended = {name for name, copy in copies.items() if copy.process.poll() is not None}
            early = {(kind, way): copies[kind, way].wait() for kind, way in ended if kind in goes_on}
            assert not early, [copies[name].output for name in early]
            time.sleep(0.2)
        assert time.monotonic() - began > (FRAMES - 1) * PAUSE
        for kind, writer in writers.items():
            assert writer.wait() == 0, f"{kind}: {writer.communicate()[0]}"

        told = time.monotonic()
        assert softcopy("finish", *by_order.values()).returncode == 0
        took = {kind: assert_ends(copies[kind, "order"], kind, "you said", told) for kind in ALL}
        print("ended by order after", {kind: round(seconds, 1) for kind, seconds in took.items()})

        told = time.monotonic()
        for source in sources.values():
            (source / "complete").touch()
        took = {kind: assert_ends(copies[kind, "marker"], kind, "a file named 'complete'", told) for kind in ALL}
        print("ended by marker after", {kind: round(seconds, 1) for kind, seconds in took.items()})
    for kind in ALL:
        assert_same(sources[kind], by_marker[kind])
        (sources[kind] / "complete").unlink()
        assert_same(sources[kind], by_order[kind])
        for destination in (by_order[kind], by_marker[kind]):
            verified = softcopy("verify", destination)
            assert verified.returncode == 0 and "OK" in verified.stdout, f"{kind}: {verified.stdout}"
