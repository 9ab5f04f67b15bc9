"""The journal keeps what each freed file held, whatever a crash has torn."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softcopy_napari.engine.freeing.freed_files import FreedFile, Journal

FILES = [FreedFile(f"c/{number}", bytes([number]) * 16, number, 10**18 + number) for number in range(5)]


def write_journal(path: Path, files: list[FreedFile]) -> None:
    journal = Journal(path)
    journal.append_files(files)
    journal.close()


def read(path: Path) -> list[FreedFile]:
    journal = Journal(path)
    try:
        return list(journal.files())
    finally:
        journal.close()


@given(cut=st.integers(0, 600))
def test_after_a_torn_line_the_others_are_read_and_new_ones_added(
    cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("journal") / "j"
    write_journal(path, FILES[:4])
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    before = read(path)
    assert before == FILES[: len(before)]
    write_journal(path, FILES[4:])
    assert read(path) == [*before, FILES[4]]


def test_events_are_known_by_their_particulars(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.append_event("verified", receipt="a")
    journal.append_files(FILES)
    assert journal.has_event("verified", receipt="a")
    assert not journal.has_event("verified", receipt="b") and not journal.has_event("expired")
    assert list(journal.files()) == FILES
    journal.close()


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a//b", "a/../b", ""])
def test_lines_that_lead_elsewhere_are_passed_over(tmp_path: Path, path: str) -> None:
    write_journal(tmp_path / "j", [FILES[0], FreedFile(path, bytes(16), 1, 1)])
    assert read(tmp_path / "j") == [FILES[0]]


@pytest.mark.skipif(os.name != "posix", reason="such names")
def test_names_that_are_no_text_are_kept(tmp_path: Path) -> None:
    odd = FreedFile(os.fsdecode(b'\xff\n"'), bytes(16), 1, 1)
    write_journal(tmp_path / "j", [odd])
    assert read(tmp_path / "j") == [odd]
