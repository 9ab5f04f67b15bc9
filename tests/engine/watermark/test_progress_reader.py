"""Who waits for a time point goes on when it is there, and not before; and learns if it never comes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from softcopy_napari.engine.watermark import progress_reader
from softcopy_napari.engine.watermark.progress_lines import Claim, ProgressState, encode_claim, encode_line
from softcopy_napari.engine.watermark.progress_reader import Goal, GoalError, ProgressReader, Waiter, WaitResult

COMPLETE, READ_BACK = encode_line("complete", verified=False), encode_line("complete", verified=True)
STOPPED = encode_line("end", state="stopped")


def claim(copied: int, array: str = "0", verified: int = 0, axis: str = "t", key: str = "array") -> bytes:
    return encode_claim(key, array, Claim(axis, copied, verified, 10))


def begin(destination: str = "/nas/a.zarr", verify: str = "checksum", run: str = "1") -> bytes:
    return encode_line("begin", run=run, destination=destination, verify=verify)


def check(until: str, *lines: bytes, **goal: Any) -> WaitResult:
    state = ProgressState()
    for line in (begin(), *lines):
        state.apply_line(line)
    return Goal.parse(until, **goal).check(state)


@pytest.mark.parametrize(
    ("until", "lines", "goal", "verdict"),
    [
        ("t=3", [], {}, WaitResult.WAITING),
        ("t=3", [claim(3)], {}, WaitResult.WAITING),
        ("t=3", [claim(4)], {}, WaitResult.REACHED),
        ("3", [claim(4)], {}, WaitResult.REACHED),
        ("3", [claim(4), claim(3, "1")], {}, WaitResult.WAITING),
        ("3", [claim(4), claim(3, "1")], {"array": "0"}, WaitResult.REACHED),
        ("3", [claim(4), claim(3, "1")], {"array": "2"}, WaitResult.WAITING),
        ("t=3", [claim(4), claim(0, "labels", axis="z")], {}, WaitResult.REACHED),
        ("t=3", [claim(4, axis="")], {}, WaitResult.REACHED),
        ("t=3", [claim(4), encode_line("promised", missing=1)], {}, WaitResult.WAITING),
        ("t=3", [claim(4), encode_line("promised", missing=1)], {"array": "0"}, WaitResult.REACHED),
        ("t=3", [claim(4), claim(2)], {}, WaitResult.WAITING),
        ("t=3", [claim(4), begin()], {}, WaitResult.WAITING),
        ("t=3", [claim(3), STOPPED], {}, WaitResult.ENDED),
        ("t=3", [claim(3), COMPLETE], {}, WaitResult.ENDED),
        ("t=3", [claim(3), COMPLETE, encode_line("resumed")], {}, WaitResult.WAITING),
        ("t=3", [claim(4), STOPPED], {}, WaitResult.REACHED),
        ("t=3", [claim(9, verified=3)], {"verified": True}, WaitResult.WAITING),
        ("t=3", [claim(9, verified=4)], {"verified": True}, WaitResult.REACHED),
        ("t=0", [claim(1, "A/1", key="well")], {"well": "A/1"}, WaitResult.REACHED),
        ("t=0", [claim(1, "A/1", key="well")], {"well": "A/2"}, WaitResult.WAITING),
        ("end", [claim(10)], {}, WaitResult.WAITING),
        ("end", [claim(10), COMPLETE], {}, WaitResult.REACHED),
        ("end", [claim(10), COMPLETE], {"verified": True}, WaitResult.ENDED),
        ("end", [claim(10), READ_BACK], {"verified": True}, WaitResult.REACHED),
        ("end", [STOPPED], {}, WaitResult.ENDED),
        ("t=3", [encode_line("untracked", path="odd")], {"array": "odd/"}, WaitResult.WAITING),
        ("t=3", [encode_line("untracked", path="odd"), COMPLETE], {"array": "odd"}, WaitResult.REACHED),
    ],
)
def test_what_is_waited_for(until: str, lines: list[bytes], goal: dict[str, Any], verdict: WaitResult) -> None:
    assert check(until, *lines, **goal) is verdict


@pytest.mark.parametrize("until", ["", "t", "t=", "=3", "-1", "t=-1", "t=1.5", "t:3", "END", "9" * 40])
def test_what_cannot_be_read_is_said(until: str) -> None:
    with pytest.raises(GoalError, match="t=120"):
        Goal.parse(until)


def test_an_axis_that_is_not_the_slowest_one_is_said_and_which_that_is() -> None:
    with pytest.raises(GoalError, match="no array has z as its slowest axis, but t"):
        check("z=3", claim(4))
    with pytest.raises(GoalError, match="slowest axis of 0 is t, not z"):
        check("z=3", claim(4), array="0")


def test_a_reader_takes_whole_lines_and_notices_another_file(tmp_path: Path) -> None:
    destination, path = tmp_path / "a.zarr", tmp_path / "a.zarr.progress.jsonl"
    reader = ProgressReader(destination)
    assert reader.read().begun is None
    first = begin(str(destination))
    path.write_bytes(first + claim(3)[:-1])
    assert reader.read().arrays == {}
    path.write_bytes(first + claim(3) + claim(5))
    assert reader.read().arrays["0"].copied == 5
    path.write_bytes(begin(str(destination), run="2") + claim(1, "1") * 9)
    assert reader.read().arrays.keys() == {"1"}
    path.unlink()
    assert reader.read().arrays == {}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(progress_reader.time, "monotonic", lambda: now[0])
    return now


def test_a_copy_that_had_ended_before_may_be_started_again(tmp_path: Path, clock: list[float]) -> None:
    """`softcopy A B & softcopy wait B --until t=3` on the second day."""
    destination, path = tmp_path / "a.zarr", tmp_path / "a.zarr.progress.jsonl"
    path.write_bytes(begin(str(destination)) + claim(2) + STOPPED)
    waiter, second = (Waiter(destination, Goal.parse("t=3")) for _ in range(2))
    assert waiter.check() is second.check() is WaitResult.WAITING
    clock[0] += 11.0
    assert waiter.check() is WaitResult.ENDED
    with path.open("ab") as file:
        file.write(begin(str(destination), run="2"))
    assert second.check() is WaitResult.WAITING
    with path.open("ab") as file:
        file.write(claim(2) + STOPPED)
    assert second.check() is WaitResult.ENDED


def test_one_that_ends_while_somebody_waits_has_ended(tmp_path: Path) -> None:
    destination, path = tmp_path / "a.zarr", tmp_path / "a.zarr.progress.jsonl"
    path.write_bytes(begin(str(destination)) + claim(2))
    waiter = Waiter(destination, Goal.parse("t=3"))
    assert waiter.check() is WaitResult.WAITING
    with path.open("ab") as file:
        file.write(STOPPED)
    assert waiter.check() is WaitResult.ENDED


def test_that_nothing_is_read_back_is_said(tmp_path: Path, clock: list[float]) -> None:
    destination = tmp_path / "a.zarr"
    (tmp_path / "a.zarr.progress.jsonl").write_bytes(begin(str(destination), verify="size") + claim(9))
    waiter = Waiter(destination, Goal.parse("t=3", verified=True))
    assert waiter.check() is WaitResult.WAITING, "another run may begin at the same time"
    clock[0] += 11.0
    with pytest.raises(GoalError, match="--verify checksum"):
        waiter.check()
