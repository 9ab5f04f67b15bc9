"""One source with two destinations: both are filled, and neither knows of the other."""

from __future__ import annotations

from pathlib import Path

from tests.support.command import Softcopy, softcopy
from tests.support.trees import assert_same
from tests.support.writers import Writer


def test_two_destinations_of_one_live_source_by_two_engines(tmp_path: Path) -> None:
    source = tmp_path / "s.zarr"
    with Softcopy(source, tmp_path / "a") as first, Softcopy(source, tmp_path / "b") as second:
        with Writer("tensorstore", source, reset=5, delay=0.02):
            pass
        (source / "complete").touch()
        assert first.wait() == 0, first.output
        assert second.wait() == 0, second.output
    for name in "ab":
        assert_same(source, tmp_path / name)


def test_two_destinations_of_one_source_by_one_engine(tmp_path: Path) -> None:
    with Writer("tensorstore", tmp_path / "s.zarr"):
        pass
    (tmp_path / "targets.yaml").write_text(
        "targets:\n"
        "  - source: s.zarr\n    destination: out/a\n    settle: 0\n"
        "  - source: s.zarr\n    destination: out/b\n    settle: 0\n"
    )
    done = softcopy(tmp_path / "targets.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    for name in "ab":
        assert_same(tmp_path / "s.zarr", tmp_path / "out" / name)
