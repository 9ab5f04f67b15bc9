"""Front ends map ledgers that they heard of a moment ago; files that nobody wants must not pile up."""

from __future__ import annotations

from pathlib import Path

import pytest

from softcopy_napari.engine.inventory import ledger_files as ledgers_module
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.inventory.ledger import Ledger, StateCounts, open_ledger
from softcopy_napari.engine.inventory.ledger_files import LedgerFiles
from softcopy_napari.engine.state_folder.ledger_folders import ledger_folder
from tests.engine.support import make_layout


def test_a_ledger_that_a_front_end_was_told_of_can_be_mapped_although_the_array_has_grown_twice_since() -> None:
    inventory = Inventory(ledger_folder() / "1")
    inventory.register_array(make_layout((2, 5), "a"))
    told = str(inventory.arrays["a"].ledger.path)
    inventory.register_array(make_layout((3, 5), "a"))
    inventory.register_array(make_layout((4, 5), "a"))
    assert open_ledger(told, (2, 5)).shape == (2, 5)
    inventory.ledgers.close()
    with pytest.raises(FileNotFoundError):
        open_ledger(told)
    assert open_ledger(str(inventory.arrays["a"].ledger.path)).shape == (4, 5)
    inventory.digests.close()


def test_replaced_ledgers_go_when_the_array_grows_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledgers_module, "_LINGER", 0.0)
    ledgers = LedgerFiles(tmp_path)
    kept = ledgers.make_ledger((2,))
    for length in range(3, 9):
        ledgers.retire_ledger(kept)
        kept = ledgers.make_ledger((length,))
    assert [path.name for path in tmp_path.iterdir()] == [kept.path.name]


def test_replaced_ledgers_make_room_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledgers = LedgerFiles(tmp_path)
    ledgers.retire_ledger(ledgers.make_ledger((2,)))

    def full(path: Path, grid: tuple[int, ...], sums: StateCounts) -> Ledger:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ledgers_module, "Ledger", full)
    with pytest.raises(OSError, match="No space"):
        ledgers.make_ledger((3,))
    assert list(tmp_path.iterdir()) == []
