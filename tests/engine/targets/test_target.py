"""Settings and targets take only what they say, and are handed to another process as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from softcopy_napari.engine.targets.target import Settings, Target

ODD_SETTINGS: list[dict[str, Any]] = [
    {"nprocs": True},
    {"nprocs": "4"},
    {"nprocs": 0},
    {"settle": float("nan")},
]
ODD_SETTINGS += [{"settle": "1"}, {"sleep_time": -0.1}, {"finish_idle": float("inf")}, {"finish_idle": True}]
ODD_SETTINGS += [{"wait_for_source": 1}, {"verbose": True}]


@pytest.mark.parametrize("changes", ODD_SETTINGS, ids=str)
def test_settings_take_only_what_they_say(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings(**changes)


@pytest.mark.parametrize("path", [Path("relative"), Path("/a\nb"), Path("/a\0b"), Path("/\ud800")])
def test_a_target_needs_usable_paths(tmp_path: Path, path: Path) -> None:
    with pytest.raises(ValidationError):
        Target(source=path, destination=tmp_path)


def test_a_target_cannot_be_changed(tmp_path: Path) -> None:
    target = Target(source=tmp_path / "a", destination=tmp_path / "b")
    with pytest.raises(ValidationError):
        target.nprocs = 2  # type: ignore[misc]
    assert Target.model_validate_json(target.model_dump_json()) == target
