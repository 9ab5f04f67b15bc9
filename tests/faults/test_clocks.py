"""File servers have clocks of their own: what was changed at the destination must not seem to be older than it is."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil
import pytest

from softcopy_napari.engine.fs.root_folder import RootFolder
from softcopy_napari.engine.receipt.checksum_file import read_lines
from softcopy_napari.engine.receipt.receipt import find_receipt
from tests.engine.checksums.test_receipt_reader import of_content
from tests.engine.support import replace, until, write
from tests.faults.lab import SOON, Lab, content, make_chunks
from tests.support.command import Softcopy
from tests.support.faultfs import FaultFs, why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())


@pytest.mark.parametrize("behind", [30, -30])
def test_a_killed_runs_copy_does_not_get_the_checksum_of_the_version_before(lab: Lab, behind: int) -> None:
    """The run before was stopped, and knew the older version; its time is the computer's, the file's the server's."""
    faults = lab.faulty_destination(behind=behind * 10**9)
    make_chunks(lab.source, 6, together=True, more=1)
    lab.start(nprocs=1)
    assert lab.caught_up()
    lab.stop()
    newer = content(3, 7, 5000)
    replace(lab.source / "3", newer)
    os.utime(lab.source / "3", (time.time() - 2.2, time.time() - 2.2))
    rule = faults.hang("rename", "d.zarr/3", when="after")
    with Softcopy("--nprocs", "1", lab.source, lab.destination) as engine:
        assert until(lambda: rule.met, SOON)
        workers = psutil.Process(engine.process.pid).children(recursive=True)
        engine.process.kill()
        for worker in workers:
            worker.kill()
        engine.process.wait()
        rule.lift()
        psutil.wait_procs(workers, timeout=5)
    assert (lab.real_destination / "3").read_bytes() == newer
    lab.start(nprocs=1)
    lab.finish()
    lab.assert_equal()
    found = {path: digest for digest, path in read_lines(find_receipt(lab.destination)[0], lab.destination)}
    assert found["3"] == of_content(lab.source / "3")


@pytest.mark.parametrize("behind", [0, 30, -3600])
def test_a_destinations_own_clock_is_read_from_what_it_says_of_its_files(tmp_path: Path, behind: int) -> None:
    with FaultFs(tmp_path / "below", tmp_path / "shown", behind=behind * 10**9) as faults:
        place = RootFolder(str(faults.place))
        place.claim(".marker")
        place.open(marker=".marker")
        first, second = place.read_clock(".marker"), place.read_clock(".marker")
        place.close()
    assert abs(first + behind * 10**9 - time.time_ns()) < 10 * 10**9
    assert second >= first


def test_nothing_is_known_of_the_clock_where_change_times_are_what_was_set(tmp_path: Path) -> None:
    """Some cloud mounts have one time for both: it does not tell that a file was changed."""
    write(tmp_path / ".marker", b"")
    place = RootFolder(str(tmp_path))
    place.open()
    found = os.stat(tmp_path / ".marker")

    class Unchanging(RootFolder):
        def stat(self, path: str) -> os.stat_result:
            there = super().stat(path)
            return os.stat_result(there, {"st_ctime_ns": there.st_mtime_ns})

    assert place.read_clock(".marker") >= found.st_ctime_ns
    place.close()
    strange = Unchanging(str(tmp_path))
    strange.open()
    assert strange.read_clock(".marker") == 0
    strange.close()
