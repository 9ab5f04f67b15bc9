"""What the receipt says is of one moment, whatever becomes of the arrays while its lines are written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from xxhash import xxh3_128_digest

from softcopy_napari.engine.fs.hashing import LINK_DIGEST
from softcopy_napari.engine.inventory.inventory import Inventory
from softcopy_napari.engine.receipt.receipt_builder import ReceiptBuilder
from softcopy_napari.engine.states import ChunkState
from tests.engine.support import make_layout

GRID = (3, 3)
PATHS = [f"{row}.{column}" for row in range(3) for column in range(3)]


def arrived(inventory: Inventory, path: str, digest: bytes | None = None) -> None:
    """Have a file be at the destination."""
    inventory.set_state(path, ChunkState.COPIED)
    inventory.note_checked(path, digest or xxh3_128_digest(path.encode()), verified=False)


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    made = Inventory(tmp_path)
    made.register_array(make_layout(GRID))
    for path in PATHS:
        arrived(made, path)
    arrived(made, ".zarray")
    return made


def rewritten(inventory: Inventory) -> None:
    inventory.writers.note_settled("1.1")
    inventory.writers.note_settled(".zarray")


def deleted(inventory: Inventory) -> None:
    inventory.set_state("1.1", ChunkState.ABSENT)
    inventory.set_state(".zarray", ChunkState.ABSENT)


def turned_into_another(inventory: Inventory) -> None:
    inventory.register_array(make_layout(GRID, separator="/"))


@pytest.mark.parametrize(
    "change",
    [
        *(
            lambda inventory, grid=grid: inventory.register_array(make_layout(grid))
            for grid in ((3, 4), (4, 3), (5, 5), (2, 2))
        ),
        rewritten,
        deleted,
        turned_into_another,
    ],
    ids=["a column more", "a row more", "both", "less", "rewritten", "deleted", "another array"],
)
def test_lines_are_of_the_files_that_were_there_when_signing_began(
    inventory: Inventory, change: Callable[[Inventory], object]
) -> None:
    expected = {path: xxh3_128_digest(path.encode()) for path in (".zarray", *PATHS)}
    builder = ReceiptBuilder(inventory)
    lines = builder.lines()
    first = next(lines)
    change(inventory)
    assert {path: digest for digest, path in (first, *lines)} == expected


def test_links_have_no_line_and_many_files_are_told_in_the_order_of_their_grid(tmp_path: Path) -> None:
    inventory = Inventory(tmp_path)
    inventory.register_array(make_layout((150_000,)))
    array = inventory.arrays[""]
    there = np.flatnonzero(np.random.default_rng(0).random(150_000) < 0.5)
    array.ledger.set_many(there, ChunkState.VERIFIED)
    inventory.digests.put(there, b"".join(xxh3_128_digest(str(cell).encode()) for cell in there.tolist()))
    arrived(inventory, str(there[5]), LINK_DIGEST)
    arrived(inventory, "note", LINK_DIGEST)
    builder = ReceiptBuilder(inventory)
    found = list(builder.lines())
    assert [path for _, path in found] == [str(cell) for cell in there.tolist() if cell != there[5]]
    assert all(digest == xxh3_128_digest(path.encode()) for digest, path in found)
    assert builder.links == 1
