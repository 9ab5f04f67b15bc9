"""A check in this process, its workers in theirs: what it says when it is held up, ended, or cannot look everywhere."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from softcopy_napari.engine.dispatch import local_processes
from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.fs.capabilities import infer_time_unit
from softcopy_napari.engine.inventory.comparison import note_comparison
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.job.check_job import CheckJob
from softcopy_napari.engine.job.missing_files import MissingFiles
from softcopy_napari.engine.job.target_resources import TargetResources
from softcopy_napari.engine.protocol.messages import Findings
from softcopy_napari.engine.server import Engine
from softcopy_napari.engine.state_folder.destination_lock import DestinationBusy, DestinationLock
from softcopy_napari.engine.state_folder.ledger_folders import ledger_folder
from softcopy_napari.engine.states import ChunkState, TargetState
from softcopy_napari.engine.targets.build import make_target
from softcopy_napari.engine.targets.target import Settings, Target
from softcopy_napari.engine.targets.targets_file import dump_targets, load_targets
from softcopy_napari.engine.worker.folder_comparer import FolderComparer
from softcopy_napari.engine.worker.folder_diff import FolderDiff
from tests.engine.support import make_array, make_layout, tree, until, write


@pytest.fixture
def target(tmp_path: Path) -> Target:
    target = make_target(tmp_path / "source.zarr", tmp_path / "destination", Settings(nprocs=2))
    return target.model_copy(update={"check": True})


@pytest.fixture
def check(target: Target) -> Iterator[Callable[[], CheckJob]]:
    """Makes a check that is not started yet, and ends it."""
    made: list[CheckJob] = []

    def make() -> CheckJob:
        made.append(
            CheckJob(
                TargetResources(target, DestinationLock(target.destination, "checked")), "1", ledger_folder() / "1"
            )
        )
        return made[-1]

    yield make
    for one in made:
        one.order("stop")
        assert one.ended.wait(30.0)


def ends(check: CheckJob) -> TargetState:
    check.start()
    assert check.ended.wait(20.0)
    return check.snapshot().state


def test_a_check_can_be_paused_and_goes_on(check: Callable[[], CheckJob], target: Target) -> None:
    make_array(target.source, (3, 4))
    make_array(target.destination, (3, 4))
    one = check()
    assert one.snapshot().state is TargetState.CHECKING and one.snapshot().findings == Findings()
    one.order("pause")
    one.start()
    assert until(lambda: one.snapshot().state is TargetState.PAUSED)
    assert one.snapshot().chunk_files == 0
    one.order("resume")
    assert one.ended.wait(30.0)
    end = one.snapshot()
    assert (end.state, end.counts[ChunkState.COPIED], end.other_files) == (TargetState.COMPLETE, 12, 1)


def test_a_check_that_was_stopped_says_that_it_has_not_seen_everything(
    check: Callable[[], CheckJob], target: Target
) -> None:
    make_array(target.source, (3,))
    one = check()
    one.order("pause")
    one.order("finish")  # means nothing here
    one.order("stop")
    assert ends(one) is TargetState.STOPPED
    assert one.snapshot().reason == "check again to compare everything"


def test_a_source_that_goes_away_is_not_taken_for_an_empty_one(check: Callable[[], CheckJob], target: Target) -> None:
    one = check()
    assert ends(one) is TargetState.FAILED
    assert one.snapshot().reason == f"{target.source} is gone"


UNLISTABLE = """
import json
import os
from softcopy_napari.engine.worker import folder_comparer, process
listing = folder_comparer.listing
def refuse(place, folder):
    if os.path.basename(folder) == "sub":
        raise OSError(5, "Input/output error")
    return listing(place, folder)
folder_comparer.listing = refuse
process.main()
"""


def test_a_folder_that_cannot_be_listed_is_named_and_nothing_is_called_equal(
    check: Callable[[], CheckJob], target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_processes, "_COMMAND", [sys.executable, "-c", UNLISTABLE])
    for side in (target.source, target.destination):
        make_array(side, (2,))
        write(side / "sub" / "notes", b"x", old=True)
    one = check()
    assert ends(one) is TargetState.FAILED
    assert one.snapshot().reason == "sub cannot be listed: Input/output error"


DYING = """
import json
import os
from softcopy_napari.engine.worker import folder_comparer, process
took = folder_comparer.FolderComparer._parts
def die(self, folder, *more):
    for part in took(self, folder, *more):
        yield part
        try:
            os.close(os.open(os.environ["SOFTCOPY_STATE_DIR"] + "/died", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            continue
        os._exit(1)
folder_comparer.FolderComparer._parts = die
folder_comparer.PART = 5
process.main()
"""


def test_what_a_worker_that_died_had_found_counts_once(
    check: Callable[[], CheckJob], target: Target, monkeypatch: pytest.MonkeyPatch, state_folder_in_tmp: Path
) -> None:
    monkeypatch.setattr(local_processes, "_COMMAND", [sys.executable, "-c", DYING])
    make_array(target.source, (40,))
    make_array(target.destination, (20,))
    one = check()
    assert ends(one) is TargetState.INCOMPLETE
    assert (state_folder_in_tmp / "died").exists()
    found = one.snapshot().findings
    assert found is not None
    assert (found.chunk_files_missing, found.chunk_files_different) == (20, 0)
    assert found.missing_paths == tuple(str(n) for n in range(20, 40))
    assert one.snapshot().notices != ()


def test_metadata_that_cannot_be_read_are_told_and_their_files_compared_all_the_same(
    check: Callable[[], CheckJob], target: Target
) -> None:
    for side in (target.source, target.destination):
        make_array(side / "good", (2,))
        make_array(side / "bad", (2,))
        write(side / "bad" / ".zarray", b"{nonsense", old=True)
    (target.destination / "bad" / "1").unlink()
    one = check()
    assert ends(one) is TargetState.INCOMPLETE
    end = one.snapshot()
    assert end.findings is not None and end.findings.missing_paths == ("bad/1",)
    assert any("Its files were compared as plain files" in notice for notice in end.notices)


def test_an_array_that_becomes_another_while_it_is_checked_is_counted_anew(tmp_path: Path) -> None:
    inventory = Inventory(tmp_path)
    inventory.register_array(make_layout((4,)))
    missing = MissingFiles(inventory)
    missing.add_folder_diff(FolderDiff("", different=["3"], absent=["3"]))
    inventory.register_array(make_layout((8,)))
    note_comparison(inventory, "", [], ["7"])
    missing.add_folder_diff(FolderDiff("", different=["7"], absent=["7"]))
    assert missing.make_findings([], {}) == Findings(chunk_files_missing=1, missing_paths=("7",))


def test_one_engine_checks_one_target_and_copies_another(target: Target, tmp_path: Path) -> None:
    make_array(target.source, (3,))
    other = make_target(target.source, tmp_path / "copy", Settings(nprocs=1, settle=0.0))
    engine = Engine([target, other])
    engine.start()
    assert engine.wait(30.0)
    engine.close()
    checked, copied = engine.snapshot().targets
    assert (checked.state, copied.state) == (TargetState.INCOMPLETE, TargetState.COMPLETE)
    assert copied.findings is None
    assert not target.destination.exists() and tree(other.destination) == tree(target.source)


def test_a_destination_that_is_being_checked_is_not_filled_meanwhile(target: Target) -> None:
    lock = DestinationLock(target.destination, "checked")
    try:
        with pytest.raises(DestinationBusy, match=rf"a check \(process {os.getpid()}\) is reading"):
            DestinationLock(target.destination)
    finally:
        lock.release()


def test_no_targets_file_can_ask_for_a_check(target: Target, tmp_path: Path) -> None:
    path = tmp_path / "targets.yaml"
    path.write_text("targets:\n  - {source: a, destination: b, check: true}\n")
    with pytest.raises(TargetsError, match="check"):
        load_targets(path, Settings())
    copied = target.model_copy(update={"check": False, "destination": tmp_path / "copy"})
    dump_targets([target, copied], path)
    assert load_targets(path, Settings()) == (copied.model_copy(update={"nprocs": 2}),)
    with pytest.raises(TargetsError, match="no targets"):
        dump_targets([target], path)


# -- read-only comparisons ---------------------------------------------------------------------------------


class Times:
    """A folder as `os.stat` would tell of it."""

    def __init__(self, modified: int, changed: int) -> None:
        self.st_mtime_ns, self.st_ctime_ns = modified, changed


S, MS = 1_000_000_000, 1_000_000


@pytest.mark.parametrize(
    ("times", "unit"),
    [
        ([(1_700_000_001_123_456_789, 1_700_000_001_123_456_789)], 1),
        ([(1_700_000_000 * S, 1_700_000_001_123_456_789)], 1),  # set by someone
        ([(1_700_000_001_123_456_700, 1_700_000_001_123_456_700)], 100),  # NTFS
        ([(1_700_000_000 * S, 1_700_000_001_123_456_700)], 100),
        ([(1_700_000_001 * S, 1_700_000_001 * S)], S),  # HFS+, ext3
        ([(1_700_000_002 * S, 1_700_000_001 * S + 10 * MS)], 2 * S),  # FAT
        ([(1_700_000_002 * S, 1_700_000_002 * S), (1_700_000_001 * S, 1_700_000_001 * S)], S),
    ],
)
def test_how_finely_a_disk_keeps_times_is_told_without_trying(times: list[tuple[int, int]], unit: int) -> None:
    assert infer_time_unit(*(Times(*one) for one in times)) == unit  # type: ignore[arg-type]


def test_only_a_read_only_comparison_looks_for_what_is_lacking(target: Target) -> None:
    make_array(target.source, (3,))
    make_array(target.destination, (2,))
    for read_only, lacking in ((False, []), (True, ["2"])):
        comparison = FolderComparer(str(target.source), str(target.destination), "0a1b2c3d", read_only)
        (part,) = comparison.compare_folders([("", 0)], 0.0)
        assert part.different == ["2"] and part.absent == lacking


def test_chunk_files_that_cannot_be_whole_are_named_whether_they_have_arrived_or_not(
    check: Callable[[], CheckJob], target: Target
) -> None:
    metadata = {
        "zarr_format": 2, "shape": [3000], "chunks": [10], "dtype": "|u1", "compressor": None, "filters": None,
        "fill_value": 0, "order": "C",
    }  # fmt: skip
    for side in (target.source, target.destination):
        write(side / ".zarray", json.dumps(metadata).encode(), old=True)
        for number in range(299):
            write(side / str(number), b"image"[: 4 if number in (7, 260) else 5] * 2, old=True)
    write(target.source / "299", b"", old=True)
    one = check()
    assert ends(one) is TargetState.INCOMPLETE
    found = one.snapshot().findings
    assert found is not None and (found.chunk_files_missing, found.damaged) == (1, 3)
    assert found.damaged_paths == ("260 ends early: 8 of 10 bytes", "299 is empty", "7 ends early: 8 of 10 bytes")
    assert one.snapshot().reason.endswith("damaged at the source: 3 chunks")
