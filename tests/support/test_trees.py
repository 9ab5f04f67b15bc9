"""A comparison that overlooks something would make every other test worthless."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.trees import assert_same, diff_r, rclone_check


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    """Two equal folders, but for what no copy has: a lock and a partial at the source."""
    source, destination = tmp_path / "source", tmp_path / "destination"
    for side in (source, destination):
        (side / "c/empty").mkdir(parents=True)
        (side / "c/0").write_bytes(b"chunk")
        if sys.platform != "win32":
            (side / "link").symlink_to("c/0")
            (side / "broken").symlink_to("nowhere")
    (source / "c/1.__lock").touch()
    (source / "c/1.0123456789abcdef0123456789abcdef.partial").touch()
    return source, destination


def test_equal_sides_are_equal(sides: tuple[Path, Path]) -> None:
    assert_same(*sides)


@pytest.mark.parametrize(
    ("spoil", "name"),
    [
        (lambda side: (side / "c/0").write_bytes(b"chnuk"), "c/0"),
        (lambda side: (side / "c/0").unlink(), "c/0"),
        (lambda side: (side / "more").touch(), "more"),
        (lambda side: (side / "c/empty").rmdir(), "c/empty"),
        (lambda side: (side / ".softcopy-1.tmp").touch(), ".softcopy-1.tmp"),
    ],
    ids=["other content", "missing", "too many", "no empty folder", "a temporary of softcopy's"],
)
def test_a_difference_is_named(sides: tuple[Path, Path], spoil: Callable[[Path], object], name: str) -> None:
    spoil(sides[1])
    with pytest.raises(AssertionError, match=name):
        assert_same(*sides)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
@pytest.mark.parametrize("name", ["link", "broken"])
def test_a_link_that_became_something_else_is_named(sides: tuple[Path, Path], name: str) -> None:
    (sides[1] / name).unlink()
    (sides[1] / name).write_bytes(b"chunk")
    with pytest.raises(AssertionError, match=name):
        assert_same(*sides)


@pytest.mark.parametrize("oracle", [diff_r, rclone_check])
def test_tools_from_outside_see_a_difference_too(
    sides: tuple[Path, Path], oracle: Callable[[Path, Path], None]
) -> None:
    if shutil.which(oracle.__name__.split("_")[0]) is None:
        pytest.skip("not installed")
    oracle(*sides)
    (sides[1] / "c/0").write_bytes(b"chnuk")
    with pytest.raises(AssertionError):
        oracle(*sides)
