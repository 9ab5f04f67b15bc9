"""A source to be freed, which need not have been quiet for a minute."""

from __future__ import annotations

from pathlib import Path

import pytest

from softcopy_napari.engine.freeing import source_scan
from tests.engine.freeing.lab import FreeLab


@pytest.fixture
def free_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FreeLab:
    monkeypatch.setattr(source_scan, "QUIET", 0.0)
    return FreeLab(tmp_path)
