"""What tests look at while copies are under way must not fail them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.support import tree


def test_a_temporary_that_goes_while_a_folder_is_looked_at_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kept").write_bytes(b"x")
    temporary = tmp_path / ".softcopy-1.tmp"
    temporary.write_bytes(b"half")
    read = Path.read_bytes

    def read_too_late(path: Path) -> bytes:
        if path == temporary:
            temporary.unlink()
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", read_too_late)
    assert tree(tmp_path) == {"kept": b"x"}
