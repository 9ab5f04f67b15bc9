"""What a check has found right is known to the next one, and only to that."""

from __future__ import annotations

import os
import time
from pathlib import Path

from softcopy_napari.engine.state_folder.folder import private_folder
from softcopy_napari.engine.verify.verify_journal import VerifyJournal


def test_an_interrupted_check_goes_on(tmp_path: Path) -> None:
    journal = VerifyJournal(tmp_path, "the source")
    assert (journal.files, journal.begun) == (0, 0.0)
    for number in range(10_000):
        journal.note_right(f"c/{number}", number)
    journal.note_right("ünsaid \udcff", 7)
    journal.flush()
    again = VerifyJournal(tmp_path, "the source")
    assert (again.files, again.size) == (10_001, sum(range(10_000)) + 7)
    assert abs(again.begun - time.time()) < 60
    assert again.find("c/77") == 77 and again.find("c/10000") is None and again.find("ünsaid \udcff") == 7


def test_another_check_knows_nothing_of_it(tmp_path: Path) -> None:
    journal = VerifyJournal(tmp_path, "the source")
    journal.note_right("a", 1)
    journal.flush()
    assert VerifyJournal(tmp_path, "a receipt").files == 0
    assert VerifyJournal(tmp_path / "other", "the source").files == 0
    assert VerifyJournal(tmp_path, "the source", afresh=True).files == 0
    assert VerifyJournal(tmp_path, "the source").files == 0, "forgotten for good"


def test_it_is_removed_at_the_end_and_too_old_after_a_month(tmp_path: Path) -> None:
    for end in (lambda journal: journal.remove(), lambda _: make_old()):
        journal = VerifyJournal(tmp_path, "the source")
        journal.note_right("a", 1)
        journal.flush()
        assert VerifyJournal(tmp_path, "the source").files == 1
        end(journal)
        assert VerifyJournal(tmp_path, "the source").files == 0


def make_old() -> None:
    then = time.time() - 31 * 86400
    for path in private_folder("verify").iterdir():
        os.utime(path, (then, then))


def test_a_record_that_was_cut_off_is_left_out_and_the_next_ones_are_read(tmp_path: Path) -> None:
    journal = VerifyJournal(tmp_path, "the source")
    journal.note_right("a", 1)
    journal.note_right("b", 2)
    journal.flush()
    (path,) = private_folder("verify").iterdir()
    os.truncate(path, 27)
    again = VerifyJournal(tmp_path, "the source")
    assert again.files == 1
    again.note_right("c", 3)
    again.flush()
    last = VerifyJournal(tmp_path, "the source")
    assert (last.find("a"), last.find("b"), last.find("c")) == (1, None, 3)
