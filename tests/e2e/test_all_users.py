"""On a shared computer root sees the copies of all, each other user learns that there are some, and nothing of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from softcopy_napari.terminal.status_report import StatusReport
from tests.engine.support import make_array
from tests.support.command import environment, softcopy, until

pytestmark = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="only root can act as another user here"
)
ALICE, BOB = 52_301, 52_302


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that everybody can enter."""
    try:
        subprocess.run([sys.executable, "-c", "import softcopy_napari"], user=ALICE, cwd="/", check=True)
    except (OSError, subprocess.SubprocessError):
        pytest.skip("this Python lies where only root can run it")
    folder = Path(tempfile.mkdtemp(prefix="softcopy-shared-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def run_as(uid: int, state: Path, *arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "softcopy_napari", *map(str, arguments)],
        user=uid,
        group=uid,
        extra_groups=[],
        env={**environment(), "SOFTCOPY_STATE_DIR": str(state), "HOME": "/nonexistent"},
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def alice(shared: Path) -> Iterator[tuple[Path, int]]:
    """A copy that another user runs; its destination, and the process."""
    source, home = make_array(shared / "a.zarr", (2, 2), chunks=False, old=False), shared / "alice"
    home.mkdir()
    os.chown(home, ALICE, ALICE)
    running = run_as(ALICE, home / "state", source, home / "copy")
    if running.poll() is None:
        until(lambda: any((home / "state" / "runs").glob("*.json")) or running.poll() is not None)
    yield home / "copy", running.pid
    running.terminate()
    running.communicate()


def test_root_sees_what_others_copy_although_their_state_folders_are_elsewhere(alice: tuple[Path, int]) -> None:
    destination, pid = alice
    report = StatusReport.model_validate_json(softcopy("status", "--json", "--all-users").stdout)
    (copy,) = (one for one in report.copies if one.destination == str(destination))
    assert (copy.user, copy.pid, copy.running) == (f"user {ALICE}", pid, True)
    shown = softcopy("status", "--all-users").stdout
    assert f"{copy.source} -> {destination}  (process {pid})" in shown


def test_others_learn_that_a_copy_runs_and_nothing_of_what_it_copies(alice: tuple[Path, int], shared: Path) -> None:
    _, pid = alice
    home = shared / "bob"
    home.mkdir()
    os.chown(home, BOB, BOB)
    output, errors = run_as(BOB, home / "state", "status", "--json", "--all-users").communicate()
    report = json.loads(output) if output else pytest.fail(errors)
    assert report["copies"] == []
    (line,) = (words for words in report["not_shown"] if f"(process {pid})" in words)
    assert line == f"user {ALICE}: a copy engine runs (process {pid}). Only that user and root can see what it copies"
    assert "a.zarr" not in output
