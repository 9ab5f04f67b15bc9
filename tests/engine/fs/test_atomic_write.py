"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

import pytest

from softcopy_napari.engine.fs.atomic_write import AtomicFile, write_atomically


def test_a_file_is_replaced_as_a_whole_and_no_temporary_stays(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with AtomicFile(path) as file:
        file.write(b"af")
        assert path.read_bytes() == b"before"
        file.write(b"ter")
        file.publish()
    assert path.read_bytes() == b"after" and os.listdir(tmp_path) == ["file"]


def test_what_fails_on_the_way_leaves_the_file_and_no_temporary(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")
    file = AtomicFile(path)
    with contextlib.suppress(RuntimeError), file:
        file.write(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"before" and os.listdir(tmp_path) == ["file"]


def test_an_error_names_the_file_and_not_its_temporary(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="file") as raised:
        write_atomically(tmp_path / "gone" / "file", b"content")
    assert raised.value.filename == str(tmp_path / "gone" / "file")


@pytest.mark.skipif(os.name != "posix", reason="modes, links")
def test_nothing_is_written_through_what_lies_at_the_temporarys_place(tmp_path: Path) -> None:
    other, temporary = tmp_path / "other", tmp_path / "file.tmp"
    other.write_bytes(b"somebody's")
    temporary.symlink_to(other)
    write_atomically(tmp_path / "file", b"content", temporary, flush=False, mode=0o600)
    assert other.read_bytes() == b"somebody's" and sorted(os.listdir(tmp_path)) == ["file", "other"]
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600
