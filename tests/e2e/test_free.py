"""`softcopy free` after a real copy, the setting `free`, and what is said of a source that was freed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from softcopy_napari.engine.state_folder import history
from tests.engine.support import make_array, tree, write
from tests.support import quick_free
from tests.support.command import environment, softcopy
from tests.support.receivers import Receiver

REPO = Path(__file__).parents[2]


def quick(*arguments: str | Path, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command with a source that need not have been quiet for a minute."""
    command = [*quick_free.COMMAND, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, cwd=REPO, env=environment(), input=text, check=False
    )


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    """A finished acquisition, and its complete copy."""
    source, destination = tmp_path / "scope" / "s.zarr", tmp_path / "nas" / "d.zarr"
    make_array(source, (2, 3))
    write(source / "notes.txt", b"of the acquisition", old=True)
    destination.parent.mkdir()
    done = softcopy(source, destination, "--settle", "0.2")
    assert done.returncode == 0, done.stdout + done.stderr
    return source, destination


def test_from_the_copy_to_the_freed_disk_and_back_and_to_the_end(sides: tuple[Path, Path]) -> None:
    source, destination = sides
    contents, grace = tree(source), source.with_name("s.zarr.freed")
    asked = softcopy("free", source, destination, "--yes")
    assert asked.returncode == 2 and "less than 60 s ago" in asked.stderr and tree(source) == contents

    freed = quick("free", source, destination, "--yes", "--keep-days", "0")
    assert freed.returncode == 0, freed.stderr
    assert "The source is freed: its 8 files" in freed.stdout and f"softcopy free --undo {source}" in freed.stdout
    assert tree(source) == {} and tree(grace / "files") == tree(destination) == contents
    again = softcopy(source, destination)
    assert again.returncode == 2 and "was freed on" in again.stderr and "free --undo" in again.stderr
    assert tree(destination) == contents

    assert softcopy("free", "--undo", source).returncode == 0
    assert tree(source) == contents and not grace.exists()
    again = softcopy(source, destination, "--settle", "0.2")
    assert again.returncode == 0 and "0 files copied" in again.stdout

    assert quick("free", source, destination, "--yes", "--keep-days", "0").returncode == 0
    deleted = softcopy("free", "--expired", "--yes")
    assert deleted.returncode == 0 and "8 files deleted" in deleted.stdout, deleted.stdout + deleted.stderr
    assert os.listdir(source) == [] and sorted(os.listdir(grace)) == ["README.txt", "freed.json"]
    assert tree(destination) == contents


def test_the_setting_frees_the_source_once_the_copy_is_complete(tmp_path: Path) -> None:
    source, destination = tmp_path / "s.zarr", tmp_path / "nas" / "d.zarr"
    make_array(source, (2, 2))
    destination.parent.mkdir()
    other = make_array(tmp_path / "t.zarr", (1, 1))
    contents = tree(source)
    (tmp_path / "targets.yaml").write_text(
        "targets:\n"
        f"  - source: {source}\n    destination: {destination}\n    free: {{after: verified, keep_days: 7}}\n"
        f"  - source: {other}\n    destination: {tmp_path / 'nas' / 't.zarr'}\n"
    )
    done = quick(tmp_path / "targets.yaml", "--settle", "0.2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The source is freed: its 5 files" in done.stdout, done.stdout
    assert tree(source) == {} and tree(destination) == contents
    assert tree(source.with_name("s.zarr.freed") / "files") == contents
    assert tree(other) and not other.with_name("t.zarr.freed").exists()
    (ended,) = [one for one in history.endings() if one.destination == str(destination)]
    assert any("The source is freed" in notice for notice in ended.target.notices)

    again = softcopy(tmp_path / "targets.yaml", "--settle", "0.2")  # the other one is copied all the same
    assert again.returncode == 0, again.stdout + again.stderr
    assert "left out" in again.stderr and "was freed on" in again.stderr


def test_the_setting_frees_nothing_where_there_is_a_doubt_and_says_so(tmp_path: Path) -> None:
    source, destination = make_array(tmp_path / "s.zarr", (2, 2)), tmp_path / "nas" / "d.zarr"
    destination.parent.mkdir()
    elsewhere = tmp_path / "nas" / "second.zarr"
    assert softcopy(source, elsewhere, "--settle", "0.2").returncode == 0
    (elsewhere / "0.1").write_bytes(b"")
    (source / "0.1").unlink()  # the next copy to there will fail
    assert softcopy(source, elsewhere, "--settle", "0.2", "--finish-idle", "0.2").returncode == 1
    write(source / "0.1", b"is back", old=True)
    with Receiver("http", tmp_path / "webhook.jsonl") as webhook:
        notify = f"json://127.0.0.1:{webhook.port}"
        done = quick(source, destination, "--settle", "0.2", "--free", "7", "--notify", notify)
        assert done.returncode == 0, done.stdout + done.stderr
        messages = webhook.wait_for()
    assert "The source was not freed" in done.stdout and str(elsewhere) in done.stdout
    assert "The source was not freed: " in "".join(message["message"] for message in messages)
    told = [one for one in history.endings() if one.needs_attention]
    assert str(destination) in [one.destination for one in told]
    assert "The source was not freed" in softcopy("status").stdout
    assert len(tree(source)) == 5 and not source.with_name("s.zarr.freed").exists()
