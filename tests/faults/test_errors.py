"""Reads and writes that fail or do half of what was asked, on either side: retried, and named if that does not help."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from softcopy_napari.engine.job.preflight import validate_target
from softcopy_napari.engine.source import source_identity
from softcopy_napari.engine.states import ChunkState, TargetState
from softcopy_napari.engine.targets.build import make_target
from softcopy_napari.engine.targets.target import Settings
from tests.engine.support import temporaries, tree, until
from tests.faults.lab import SOON, Lab, content, make_chunks
from tests.support.command import softcopy
from tests.support.faultfs import FaultFs, Rule, why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())

ERRORS = [errno.EIO, errno.ESTALE, errno.EINTR, errno.EACCES, errno.ETIMEDOUT]
AT_SOURCE = [("open", {}), ("stat", {"since": "open"}), ("read", {}), ("stat", {"since": "read"}), ("close", {})]
AT_DESTINATION = [(op, {}) for op in ("mkdir", "create", "write", "utimens", "close", "rename")]
SMALL = 50_000
LARGE = 5 << 20
WEE = 33_333


def chunk(number: int) -> str:
    return f"?.zarr/{number}/*"


@pytest.mark.parametrize("there", [False, True], ids=["", "its folder there"])
@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("side", ["source", "destination"])
def test_errors_that_pass_are_got_over(lab: Lab, side: str, times: int, there: bool) -> None:
    """Each chunk file has its own trouble: every error at every step of its copy."""
    faults = lab.faulty_source() if side == "source" else lab.faulty_destination()
    cases = [(op, more, error) for op, more in (AT_SOURCE if side == "source" else AT_DESTINATION) for error in ERRORS]
    cases = [case for case in cases if not (there and case[0] == "mkdir")]
    make_chunks(lab.real_source, len(cases))
    if there:
        lab.make_folders()
    rules = {}
    for number, (op, more, error) in enumerate(cases):
        where = f"?.zarr/{number}" if op == "mkdir" else chunk(number)
        rules[number, op, error] = faults.fail(op, where, error=error, times=times, **more)
    lab.start(settle=0.0)
    end = lab.ends(SOON)
    assert end.state is TargetState.COMPLETE, f"{end.reason}; {end.failures}"
    assert [case for case, rule in rules.items() if not rule.met] == []
    assert end.failed_files == 0
    lab.assert_equal()
    assert temporaries(lab.real_destination) == []


@pytest.mark.parametrize("side", ["source", "destination"])
def test_a_listing_that_fails_for_a_while_is_repeated(lab: Lab, side: str) -> None:
    faults = lab.faulty_source() if side == "source" else lab.faulty_destination()
    make_chunks(lab.real_source, 6)
    make_chunks(lab.real_destination, 3)
    rules = [
        faults.fail("listing", f"?.zarr/{number}", error=error, times=2)
        for number, error in enumerate([errno.EIO, errno.ESTALE, errno.EACCES])
    ]
    lab.start(settle=0.0)
    assert lab.ends(SOON).state is TargetState.COMPLETE
    assert all(rule.met for rule in rules)
    lab.assert_equal()


@pytest.mark.parametrize(
    ("size", "there"),
    [
        pytest.param(SMALL, False, id="small"),
        pytest.param(SMALL, True, id="small, its folder there"),
        pytest.param(LARGE, False, id="large"),
    ],
)
@pytest.mark.parametrize(
    "torment",
    [
        pytest.param(lambda at: [at["source"].short("read", size=700, times=5)], id="short reads for a while"),
        pytest.param(lambda at: [at["source"].short("read", "*/1/0", size=WEE)], id="short reads to the end"),
        pytest.param(lambda at: [at["destination"].short("write", size=700, times=5)], id="short writes for a while"),
        pytest.param(lambda at: [at["destination"].short("write", "*/1/*", size=WEE)], id="short writes to the end"),
        pytest.param(lambda at: [at[side].short(op, size=WEE, chance=0.5) for side, op in SHORT], id="both, often"),
    ],
)
def test_short_reads_and_writes_lose_nothing(
    lab: Lab, size: int, there: bool, torment: Callable[[dict[str, FaultFs]], list[Rule]]
) -> None:
    faults = {"source": lab.faulty_source(), "destination": lab.faulty_destination()}
    make_chunks(lab.real_source, 3, size)
    if there:
        lab.make_folders()
    rules = torment(faults)
    lab.start(settle=0.0)
    end = lab.ends(SOON)
    assert end.state is TargetState.COMPLETE, f"{end.reason}; {end.failures}"
    assert all(rule.met for rule in rules)
    lab.assert_equal()


SHORT = [("source", "read"), ("destination", "write")]


@pytest.mark.parametrize(
    ("side", "op", "words"),
    [
        ("source", "read", "cannot be read: Input/output error"),
        ("destination", "write", "cannot be written: Input/output error"),
        ("destination", "rename", "cannot be written: Input/output error"),
    ],
)
def test_an_error_that_stays_is_named_and_everything_else_arrives(lab: Lab, side: str, op: str, words: str) -> None:
    faults = lab.faulty_source() if side == "source" else lab.faulty_destination()
    make_chunks(lab.real_source, 20)
    rule = faults.fail(op, chunk(7))
    lab.start(settle=0.0)
    end = lab.ends(SOON)
    assert end.state is TargetState.FAILED
    assert [(failure.path, failure.reason) for failure in end.failures] == [("7/0", words)]
    assert f"7/0 {words}" in end.reason
    assert len(rule.met) >= 5, "it was not tried again and again"
    assert end.counts[ChunkState.COPIED] == 19 and end.counts[ChunkState.FAILED] == 1
    there = tree(lab.real_destination)
    assert there == {path: data for path, data in tree(lab.real_source).items() if path != "7/0"}


def test_a_reader_of_the_summary_learns_of_an_error_that_stays(lab: Lab) -> None:
    faults = lab.faulty_source()
    make_chunks(lab.real_source, 5)
    faults.fail("read", chunk(3))
    done = softcopy("--settle", "0", lab.source, lab.destination)
    assert done.returncode == 1
    assert "failed: 3/0 cannot be read: Input/output error" in done.stdout
    assert (lab.destination / "4" / "0").read_bytes() == content(4, 0, 5000)


def test_a_copy_that_failed_is_made_once_its_disk_is_well_again(lab: Lab) -> None:
    faults = lab.faulty_destination()
    make_chunks(lab.real_source, 5, more=1)
    rule = faults.fail("write", chunk(3))
    lab.start()
    assert until(lambda: lab.now.failures)
    assert lab.now.failures[0].path == "3/0"
    rule.lift()
    assert until(lambda: lab.now.counts[ChunkState.COPIED] == 5 and not lab.now.failures, SOON)
    lab.assert_equal()


@pytest.mark.parametrize("error", [errno.EIO, errno.ESTALE, errno.EACCES])
@pytest.mark.parametrize("op", ["read", "open", "listing"])
def test_a_bad_moment_of_the_share_at_the_start_is_named_and_waited_out(lab: Lab, op: str, error: int) -> None:
    faults = lab.faulty_source()
    make_chunks(lab.real_source, 3)
    rule = faults.fail(op, "*", error=error)
    validate_target(make_target(lab.source, lab.destination, Settings()))
    lab.start(settle=0.0)
    assert until(lambda: "cannot be read: " in lab.now.reason and lab.now.state is TargetState.WAITING, SOON), (
        lab.words()
    )
    assert not lab.destination.exists()
    rule.lift()
    assert lab.ends(SOON).state is TargetState.COMPLETE
    lab.assert_equal()


def test_metadata_that_can_never_be_read_end_the_copy_with_their_name(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_identity, "_UNREADABLE", 0.5)
    faults = lab.faulty_source()
    make_chunks(lab.real_source, 3)
    faults.fail("read", "*.zarray")
    lab.start()
    end = lab.ends(SOON)
    assert end.state is TargetState.FAILED and ".zarray: Input/output error" in end.reason
