"""What only the system's calls show: all is on the disk before "complete" is said, and what is read back comes from it.

Power may fail right after "complete"; and a page cache would give back what was written, whatever the disk has made of
it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.lab import make_chunks
from tests.support.command import COMMAND, environment, softcopy
from tests.support.trees import assert_same


def why_not() -> str:
    strace = shutil.which("strace")
    if strace is None:
        return "strace is not installed (Debian: strace)"
    return "" if subprocess.run([strace, "true"], capture_output=True).returncode == 0 else "strace may not trace here"


pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())


@dataclass
class Call:
    """A call to the system, with the lines of the trace in which it begins and ends."""

    text: str
    begin: int
    end: int


def calls_of(trace: Path) -> list[Call]:
    """What a process and its children asked of the system; calls that were interrupted by others put together."""
    calls: list[Call] = []
    waiting: dict[str, Call] = {}
    for number, line in enumerate(trace.read_text(errors="replace").splitlines()):
        pid, _, text = line.partition(" ")
        text = text.strip()
        if text.endswith("<unfinished ...>"):
            waiting[pid] = Call(text.removesuffix("<unfinished ...>").rstrip(), number, number)
        elif (match := re.match(r"<\.\.\. \w+ resumed>(.*)", text)) and pid in waiting:
            call = waiting.pop(pid)
            calls.append(Call(call.text + match[1], call.begin, number))
        else:
            calls.append(Call(text, number, number))
    return calls


def traced(names: str, trace: Path, *arguments: str) -> list[Call]:
    """Run the command to its end; returns its calls to the system of these names."""
    strace = ["strace", "-f", "--seccomp-bpf", "-y", "-e", f"trace={names}", "-s", "300", "-o", str(trace)]
    done = subprocess.run(
        [*strace, *COMMAND, *arguments], capture_output=True, text=True, env=environment(), timeout=90
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return calls_of(trace)


@pytest.mark.parametrize("verify", ["size", pytest.param("checksum", marks=pytest.mark.soak)])
@pytest.mark.parametrize("resumed", [False, True], ids=["first run", "all there already"])
def test_everything_is_flushed_after_the_last_file_and_before_complete_is_said(
    tmp_path: Path, resumed: bool, verify: str
) -> None:
    source, destination, trace = tmp_path / "s.zarr", tmp_path / "d.zarr", tmp_path / "trace"
    make_chunks(source, 20)
    arguments = ["--settle", "0", "--verify", verify, str(source), str(destination)]
    if resumed:  # an earlier run may have been killed before it flushed anything
        assert softcopy(*arguments).returncode == 0
    calls = traced("rename,renameat,renameat2,syncfs,fsync,write", trace, *arguments)
    assert_same(source, destination)
    there, parent = re.escape(str(destination)), re.escape(str(tmp_path))

    def those(pattern: str) -> list[Call]:
        return [call for call in calls if re.match(pattern, call.text)]

    # What is tried out at the start keeps a temporary's name.
    renamed = those(rf"rename\w*\(\d+<{there}[/>].*= 0")
    published = [call for call in renamed if not re.search(r'\.tmp"\) *=', call.text)]
    assert len(published) == (0 if resumed else 21)
    flushed = those(rf"syncfs\(\d+<{there}>\) *= 0")
    said = those(r"write\(1<.*: Complete")
    assert flushed and said
    assert max((call.end for call in published), default=-1) < flushed[-1].begin
    assert flushed[-1].end < said[0].begin
    for name in ("xxh128", "receipt.json"):
        receipt = those(rf'rename\w*\(.*"{there}\.{name}"\) *= 0')[-1]
        temporary = re.search(r'"([^"]*\.tmp)"', receipt.text)
        assert temporary is not None
        assert any(call.end < receipt.begin for call in those(rf"fsync\(\d+<{re.escape(temporary[1])}>\) *= 0"))
        folder = those(rf"fsync\(\d+<{parent}>\) *= 0")
        assert any(receipt.end < call.begin and call.end < said[0].begin for call in folder)


def test_what_is_verified_is_dropped_from_the_cache_before_it_is_read_back(tmp_path: Path) -> None:
    """At once or later. Written out first: what is not on the disk yet stays in the cache, whoever wants it dropped."""
    source, destination, trace = tmp_path / "s.zarr", tmp_path / "d.zarr", tmp_path / "trace"
    make_chunks(source, 5)
    names = "fdatasync,fadvise64,readv,pread64"
    for command in (("--settle", "0", "--verify", "checksum", str(source)), ("verify",)):
        calls = traced(names, trace, *command, str(destination))
        for number in range(5):
            file = re.escape(f"<{destination}/{number}/0>")
            steps = [match[1] for call in calls if (match := re.match(rf"(\w+)\(\d+{file}", call.text))]
            advice = [call.text for call in calls if re.match(rf"fadvise64\(\d+{file}", call.text)]
            assert steps[:2] == ["fdatasync", "fadvise64"] and "read" in steps[2], steps
            assert re.search(r"0, 0, POSIX_FADV_DONTNEED\) *= 0", advice[0]), advice
