"""The file system that fails does so as it is told, and only then."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import until
from tests.support.faultfs import FaultFs, why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())


@pytest.fixture
def faults(tmp_path: Path) -> Iterator[FaultFs]:
    with FaultFs(tmp_path / "below", tmp_path / "shown") as faults:
        yield faults


def test_without_rules_it_is_as_any_other_folder(faults: FaultFs) -> None:
    deep = faults.place / "a" / "ünï\n"
    deep.mkdir(parents=True)
    (deep / "x").write_bytes(content := os.urandom(3_000_000))
    os.utime(deep / "x", ns=(5, 1_700_000_000_123_456_789))
    os.rename(deep / "x", deep / "y")
    (deep / "link").symlink_to("y")
    below = faults.folder / "a" / "ünï\n" / "y"
    assert below.read_bytes() == (deep / "y").read_bytes() == (deep / "link").read_bytes() == content
    assert (deep / "y").stat().st_mtime_ns == 1_700_000_000_123_456_789
    assert (deep / "y").stat().st_ino == below.stat().st_ino
    assert sorted(os.listdir(deep)) == ["link", "y"]
    (deep / "y").unlink()
    assert not below.exists()
    assert os.statvfs(deep).f_files == os.statvfs(faults.folder).f_files


def test_errors_come_where_and_as_often_as_told(faults: FaultFs) -> None:
    for name in "ab":
        (faults.folder / name).write_bytes(b"x")
    rule = faults.fail("open", "a", error=errno.EACCES, skip=1, times=1)
    assert (faults.place / "a").read_bytes() == b"x"
    with pytest.raises(OSError, match="Permission denied"):
        (faults.place / "a").read_bytes()
    assert (faults.place / "a").read_bytes() == (faults.place / "b").read_bytes() == b"x"
    until(lambda: rule.met == ["a"])
    rule = faults.fail("unlink rename", "*")
    with pytest.raises(OSError, match="Input/output error"):
        (faults.place / "a").unlink()
    rule.lift()
    (faults.place / "a").unlink()


def test_reads_and_writes_may_be_short_and_bits_flip(faults: FaultFs) -> None:
    (faults.folder / "x").write_bytes(b"0123456789")
    fd = os.open(faults.place / "x", os.O_RDWR)
    faults.short("read write", size=4)
    assert os.pread(fd, 10, 0) == b"0123"
    assert os.pwrite(fd, b"abcdef", 0) == 4
    faults.lift_all()
    os.close(fd)
    faults.flip("x", offset=9)
    assert (faults.place / "x").read_bytes() == b"abcd456788"
    assert (faults.folder / "x").read_bytes() == b"abcd456789"


def test_a_test_acts_at_a_step(faults: FaultFs) -> None:
    (faults.folder / "x").write_bytes(b"old")
    rule = faults.call("read", "x", lambda path: (faults.folder / path).write_bytes(b"new"))
    later = faults.call("stat", "x", lambda path: os.utime(faults.folder / path, (5, 5)), since="read")
    assert (faults.place / "x").stat().st_mtime > 5 and not later.met
    assert (faults.place / "x").read_bytes() == b"new"
    assert rule.met == ["x"]
    assert (faults.place / "x").stat().st_mtime == 5 and later.met == ["x"]


@pytest.mark.parametrize("for_good", [False, True])
def test_what_hangs_goes_on_when_it_is_let_go_and_ends_with_the_file_system(tmp_path: Path, for_good: bool) -> None:
    with FaultFs(tmp_path / "below", tmp_path / "shown") as faults:
        (faults.folder / "x").write_bytes(b"x")
        command = [sys.executable, "-c", f"print(open({str(faults.place / 'x')!r}).read())"]
        rule = faults.hang("read", for_good=for_good)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reader:
            until(lambda: rule.met)
            assert (faults.place / "x").stat().st_size == 1, "others can go on"
            rule.lift()
            assert reader.communicate(timeout=20)[0] == "x\n"
        rule = faults.hang("read", for_good=for_good)
        reader = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        until(lambda: rule.met)
        reader.kill()
        if for_good:
            with pytest.raises(subprocess.TimeoutExpired):
                reader.wait(0.3)
        else:
            reader.wait(5)
    reader.wait(5)
    assert list((tmp_path / "shown").iterdir()) == []


def test_times_are_as_coarse_and_as_far_behind_as_told(tmp_path: Path) -> None:
    with FaultFs(tmp_path / "below", tmp_path / "shown", unit=2_000_000_000, behind=3600_000_000_000) as faults:
        (faults.place / "x").write_bytes(b"x")
        os.utime(faults.place / "x", ns=(0, 1_700_000_003_500_000_000))
        assert (faults.place / "x").stat().st_mtime_ns == 1_700_000_002_000_000_000
        (faults.place / "x").write_bytes(b"y")
        below = (faults.folder / "x").stat().st_mtime_ns
        assert 0 <= below - 3600_000_000_000 - (faults.place / "x").stat().st_mtime_ns < 2_000_000_000
