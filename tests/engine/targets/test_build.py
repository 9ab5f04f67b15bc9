"""Two paths as people give them are a target; targets that would write into one another are refused."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.targets.build import check_targets, make_target
from softcopy_napari.engine.targets.target import Settings, Target

POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows allows such paths, or has no such thing")


def targets_of(folder: Path, *pairs: tuple[str, str]) -> list[Target]:
    return [Target(source=folder / source, destination=folder / destination) for source, destination in pairs]


def test_paths_of_the_command_start_from_the_current_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    target = make_target("a", Path("b"), Settings(nprocs=3))
    assert (target.source, target.destination, target.nprocs) == (tmp_path / "a", tmp_path / "b", 3)


@POSIX
def test_a_link_is_used_as_it_is_spelled(tmp_path: Path) -> None:
    (tmp_path / "disk7").mkdir()
    (tmp_path / "data").symlink_to("disk7")
    target = make_target(tmp_path / "data", tmp_path / "b", Settings())
    assert target.source == tmp_path / "data"


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_two_paths_are_a_target_or_a_clear_mistake(source: str, destination: str) -> None:
    words = "."
    try:
        target = make_target(source, destination, Settings())
    except TargetsError as error:
        words = str(error)
    else:
        assert target.source.is_absolute()
        assert target.destination.is_absolute()
    assert words and words.isprintable(), "one line"


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        ([("a", "a")], "the destination is its source"),
        ([("a", "a/b")], "the destination, "),
        ([("a/b", "a")], "the source, "),
        ([("a", "b"), ("c", "b")], "the destination of target 2 is the destination of target 1"),
        ([("a", "b"), ("c", "b/x")], "the destination of target 2, "),
        ([("a", "b/x"), ("c", "b")], "the destination of target 1, "),
        ([("a", "b"), ("b", "c")], "the destination of target 1 is the source of target 2"),
        ([("a", "b"), ("b/x", "c")], "the source of target 2, "),
        ([("a", "b/x"), ("b", "c")], "lies inside the source of target 2"),
        ([("a", "b"), ("c", "d"), ("e", "e/f")], "the destination of target 3, "),
        ([("a", "b"), ("a", "a/x")], "lies inside its source"),
    ],
)
def test_targets_that_would_write_into_each_other_are_refused(
    tmp_path: Path, pairs: list[tuple[str, str]], words: str
) -> None:
    with pytest.raises(TargetsError) as caught:
        check_targets(targets_of(tmp_path, *pairs))
    assert words in str(caught.value)
    assert str(caught.value).startswith("the ")


@pytest.mark.parametrize(
    "pairs",
    [
        [("a", "b"), ("a", "c")],
        [("a", "b"), ("a/x", "c")],
        [("a", "ab"), ("abc", "abcd")],
        [("x/a", "x/b"), ("x/c", "x/d")],
    ],
)
def test_targets_that_only_look_alike_are_allowed(tmp_path: Path, pairs: list[tuple[str, str]]) -> None:
    check_targets(targets_of(tmp_path, *pairs))


@POSIX
def test_a_destination_inside_the_source_is_found_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to("disk")
    with pytest.raises(TargetsError, match="lies inside its source"):
        check_targets(targets_of(tmp_path, ("disk", "link/not/there/yet")))
    with pytest.raises(TargetsError, match="is its source"):
        check_targets(targets_of(tmp_path, ("disk", "disk/../link")))


def test_case_does_not_matter_where_the_system_ignores_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "normcase", str.lower)
    with pytest.raises(TargetsError, match="lies inside its source"):
        check_targets(targets_of(tmp_path, ("Data", "DATA/copy")))


def test_one_folder_with_two_names_is_recognised_by_its_identity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a Mac, whose disks ignore case although Python does not say so."""
    (tmp_path / "Data").mkdir()
    stat = os.stat
    monkeypatch.setattr(os, "stat", lambda path, **options: stat(str(path).replace("/DATA", "/Data"), **options))
    with pytest.raises(TargetsError, match="lies inside its source"):
        check_targets(targets_of(tmp_path, ("Data", "DATA/copy")))


def test_a_thousand_targets_are_checked_in_no_time(tmp_path: Path) -> None:
    targets = targets_of(tmp_path, *((f"s/{i}", f"d/{i}") for i in range(1000)))
    started = time.perf_counter()
    check_targets(targets)
    assert time.perf_counter() - started < 5
