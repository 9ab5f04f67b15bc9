"""Every mistake of a user is one clear line, exit code 2, no traceback, and nothing is touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from softcopy_napari import cli
from tests.support.command import Softcopy, softcopy, until_status
from tests.support.trees import assert_same, contents
from tests.support.writers import write

TARGETS: dict[str, tuple[str, str]] = {
    "not YAML": ("targets: [", "line 1"),
    "not a mapping": ("- a\n- b\n", "targets"),
    "no targets": ("{}\n", "targets"),
    "empty targets": ("targets: []\n", "targets"),
    "unknown key": ("targets:\n  - sorce: a\n    destination: b\n", 'did you mean "source"?'),
    "missing key": ("targets:\n  - source: a\n", "destination"),
    "wrong type": ("targets:\n  - source: a\n    destination: b\n    nprocs: many\n", "line 4"),
    "not a number": ("targets:\n  - source: a\n    destination: b\n    settle: .nan\n", "settle"),
    "into itself": ("targets:\n  - source: a\n    destination: a\n", "destination"),
    "into its own folder": ("targets:\n  - source: a\n    destination: a/b\n", "inside"),
    "around the source": ("targets:\n  - source: a/b\n    destination: a\n", "inside"),
    "one destination for two": (
        "targets:\n  - source: a\n    destination: c\n  - source: b\n    destination: c\n", "destination",
    ),
    "a tag that would run something": (
        "targets: !!python/object/apply:os.system ['touch pwned']\n", "line 1",
    ),
}  # fmt: skip


def assert_is_one_line(text: str) -> None:
    assert text.startswith("softcopy: ")
    assert text.endswith("\n")
    assert len(text.splitlines()) == 1
    assert "Traceback" not in text


@pytest.mark.parametrize(("content", "words"), TARGETS.values(), ids=TARGETS)
def test_a_mistake_in_the_targets_file_is_explained(content: str, words: str, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "targets.yaml").write_text(content)
    done = softcopy("targets.yaml", cwd=folder)
    assert done.returncode == 2
    assert_is_one_line(done.stderr)
    assert "targets.yaml" in done.stderr and words in done.stderr
    assert contents(folder).keys() == {"targets.yaml"}


def test_a_targets_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = softcopy(tmp_path / "none.yaml")
    assert done.returncode == 2
    assert_is_one_line(done.stderr)
    assert "none.yaml" in done.stderr


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"zarr.json": "{nonsense"}, "zarr.json is not valid JSON"),
        ({".zarray": '{"hello": 1}'}, ".zarray"),
        ({"image.tif": "II*"}, "is not a zarr dataset: no zarr.json, .zarray or .zgroup in it"),
    ],
)
def test_a_source_that_is_not_zarr_is_named_with_the_reason(files: dict[str, str], words: str, tmp_path: Path) -> None:
    source = tmp_path / "source.zarr"
    source.mkdir()
    for name, content in files.items():
        (source / name).write_text(content)
    done = softcopy("--wait-for-source", "false", source, tmp_path / "destination.zarr")
    assert done.returncode == 2
    assert_is_one_line(done.stderr)
    assert str(source) in done.stderr and words in done.stderr
    assert not (tmp_path / "destination.zarr").exists()


@pytest.mark.parametrize("content", ["", '{"zarr_format": 2, "shape"', "\0" * 300], ids=["empty", "half", "zeros"])
def test_metadata_that_are_half_written_for_long_are_waited_for_and_named(content: str, tmp_path: Path) -> None:
    source, destination = tmp_path / "source.zarr", tmp_path / "destination.zarr"
    source.mkdir()
    (source / "settings.json").write_text("{}")
    with Softcopy("--nprocs", "1", "--finish-idle", "1", source, destination) as copy:
        until_status("holds no zarr metadata yet")
        (source / ".zarray").write_text(content)
        until_status("has zarr metadata that cannot be used: .zarray is ")
        assert not destination.exists()
        (source / ".zarray").write_text(_array([2, 2], [2, 2], "<u2"))
        (source / "0.0").write_bytes(bytes(8))
        assert copy.wait() == 0, copy.output
    assert_same(source, destination)


def test_a_source_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "source.tif").touch()
    done = softcopy(tmp_path / "source.tif", tmp_path / "destination.zarr")
    assert done.returncode == 2
    assert "is a file, not a folder" in done.stderr


@pytest.mark.parametrize(("name", "what"), [
    ("file", "is a file, not a folder"),
    ("file/below", "file is a file, not a folder"),
    ("link", "is a link to unmounted/lab, which is not there"),
    ("link/below", "link is a link to unmounted/lab, which is not there"),
])  # fmt: skip
def test_a_destination_that_cannot_be_a_folder_is_named(name: str, what: str, tmp_path: Path) -> None:
    write("tensorstore", tmp_path / "source.zarr", frames=1)
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("unmounted/lab")
    done = softcopy(tmp_path / "source.zarr", tmp_path / name)
    assert done.returncode == 2
    assert_is_one_line(done.stderr)
    assert f"destination {tmp_path / name}" in done.stderr and what in done.stderr
    assert "choose another destination" in done.stderr


def test_a_missing_source_fails_at_once_when_asked_to(tmp_path: Path) -> None:
    done = softcopy("--wait-for-source", "false", tmp_path / "source.zarr", tmp_path / "destination.zarr")
    assert done.returncode == 2
    assert_is_one_line(done.stderr)
    assert "does not exist" in done.stderr


def _array(shape: list[int], chunks: list[int], dtype: str) -> str:
    fields = {"zarr_format": 2, "shape": shape, "chunks": chunks, "dtype": dtype, "fill_value": 0, "order": "C"}
    return json.dumps({**fields, "compressor": None, "filters": None})


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (_array([8, 8], [2, 2], "<u2"), "its shape is (8, 8), not (4, 4)"),
        (_array([4, 4], [4, 4], "<u2"), "its chunks are (4, 4), not (2, 2)"),
        (_array([4, 4], [2, 2], "<u4"), "<u4"),
        (_array([4, 4], [2, 2], "<u2"), "a copy of another acquisition (newest file of 20"),
        (_array([6, 4], [2, 2], "<u2"), "its shape is (6, 4), not (4, 4)"),
    ],
)
def test_a_destination_that_holds_another_array_is_left_alone(other: str, words: str, tmp_path: Path) -> None:
    source, destination = tmp_path / "source.zarr", tmp_path / "destination.zarr"
    for folder, metadata in ((source, _array([4, 4], [2, 2], "<u2")), (destination, other)):
        folder.mkdir()
        (folder / ".zarray").write_text(metadata)
        (folder / "0.0").write_bytes(bytes(8))
    before = contents(destination)
    done = softcopy(source, destination)
    assert done.returncode == 2
    assert_is_one_line(done.stderr)
    assert words in done.stderr
    assert contents(destination) == before


def test_an_array_that_grew_since_it_was_copied_is_no_other_array(tmp_path: Path) -> None:
    source, destination = tmp_path / "source.zarr", tmp_path / "destination.zarr"
    write("tensorstore", source, grow=True, frames=2)
    assert softcopy("--nprocs", "1", "--settle", "0", source, destination).returncode == 0
    write("tensorstore", tmp_path / "longer.zarr", grow=True, frames=3)
    (tmp_path / "longer.zarr" / "zarr.json").replace(source / "zarr.json")
    done = softcopy("--nprocs", "1", "--finish-idle", "0", source, destination)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_array_that_grew_and_was_rewritten_since_it_was_copied_is_known_by_its_folder(tmp_path: Path) -> None:
    """A restart in the middle of an acquisition must not be refused, whatever its writer did meanwhile."""
    source, destination = tmp_path / "source.zarr", tmp_path / "destination.zarr"
    write("tensorstore", source, grow=True, frames=2)
    assert softcopy("--nprocs", "1", "--settle", "0", source, destination).returncode == 0
    write("tensorstore", tmp_path / "longer.zarr", grow=True, frames=3, seed=7)
    for path in (tmp_path / "longer.zarr").rglob("*"):
        if path.is_file():
            there = source / path.relative_to(tmp_path / "longer.zarr")
            there.parent.mkdir(parents=True, exist_ok=True)
            path.replace(there)
    done = softcopy("--nprocs", "1", "--finish-idle", "0", source, destination)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_same(source, destination)
    other = tmp_path / "other.zarr"
    source.rename(tmp_path / "elsewhere.zarr")
    write("tensorstore", other, grow=True, frames=4, seed=9)
    refused = softcopy("--finish-idle", "0", other, destination)
    assert refused.returncode == 2 and "another dataset" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--nprocs", "0", "a", "b"], "--nprocs"),
        (["--settle", "-1", "a", "b"], "--settle"),
        (["--nprocs", "x", "a", "b"], "--nprocs"),
        (["--nonsense", "a", "b"], "--nonsense"),
        (["a", "b", "c"], "3 paths"),
        (["stop"], "no copy is running"),
        (["stop", "12345"], "no running copy is called 12345"),
    ],
)
def test_wrong_arguments_are_explained(arguments: list[str], words: str, tmp_path: Path) -> None:
    done = softcopy(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("word", "meant"), [("stat", "status"), ("verfy", "verify"), ("Stop", "stop")])
def test_a_misspelt_command_starts_no_copy_and_the_right_one_is_named(tmp_path: Path, word: str, meant: str) -> None:
    for more in ([], ["/nas/a.zarr"]):
        done = softcopy(word, *more, cwd=tmp_path)
        assert done.returncode == 2 and f"Did you mean softcopy {meant}?" in done.stderr
        for command in cli.softcopy.commands.values():
            assert command.hidden or str(command.name) in done.stderr


def test_a_folder_or_file_with_a_name_like_a_command_can_be_copied(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text("targets: 3")
    assert "Did you mean" not in softcopy("stat", cwd=tmp_path).stderr
    done = softcopy("--no-wait", "./verfy", "./copy", cwd=tmp_path)
    assert "verfy does not exist" in done.stderr and "Did you mean" not in done.stderr


def test_without_arguments_the_help_is_shown() -> None:
    done = softcopy()
    assert done.returncode == 0
    for words in ("TARGETS_FILE", "SOURCE DESTINATION", "--finish-idle", "status", "stop", "demo"):
        assert words in done.stdout


def test_a_source_that_appears_late_is_waited_for(tmp_path: Path) -> None:
    source, destination = tmp_path / "late.zarr", tmp_path / "destination.zarr"
    with Softcopy("--nprocs", "1", "--settle", "0.5", source, destination) as copy:
        until_status(f"{source} does not exist yet")
        assert not destination.exists()
        write("tensorstore", source)
        assert copy.wait() == 0, copy.output
