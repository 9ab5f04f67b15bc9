"""Digests are found again by array and cell, also after the array was resized, and never taken for another array's."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from softcopy_napari.engine.inventory.digest_store import DigestStore


@pytest.fixture
def store(tmp_path: Path) -> DigestStore:
    return DigestStore(tmp_path / "digests")


def test_digests_at_scattered_places_are_found_again(tmp_path: Path) -> None:
    digests = DigestStore(tmp_path / "digests")
    first, second = digests.add_array("a", (1000,)), digests.add_array("b", (10,))
    places = np.array([3, 4, 5, 900, 17])
    values = os.urandom(16 * len(places))
    digests.put(places + first, values)
    digests.put(np.array([second + 9]), b"z" * 16)
    assert digests.get(places + first).tobytes() == values
    assert digests.get(np.array([second + 9, first + 3])).tobytes() == b"z" * 16 + values[:16]
    assert not digests.get(np.array([0, 1, 2, 6, 999])).any()
    digests.close()
    assert not (tmp_path / "digests").exists()


def test_digests_stay_with_their_chunk_files_when_an_array_is_resized(store: DigestStore) -> None:
    cells, values = np.array([0, 3, 5]), os.urandom(48)  # (0, 0), (1, 0) and (1, 2)
    assert store.put_cells("a", (2, 3), cells, values)
    store.resize_array("a", (3, 4), np.array([0, 5]))
    assert store.get_cells("a", (3, 4), np.array([0, 6, 4])).tobytes() == values[:16] + values[32:] + bytes(16)
    store.resize_array("a", (1, 1), np.array([0, 6]))
    assert store.get_cells("a", (1, 1), np.array([0])).tobytes() == values[:16]
    store.close()


def test_what_an_earlier_run_knew_of_a_smaller_array_is_found_in_the_larger_one(store: DigestStore) -> None:
    store.put_cells("a", (2, 2), np.array([3]), b"z" * 16)
    assert store.get_cells("a", (4, 4), np.array([5, 3])).tobytes() == b"z" * 16 + bytes(16)
    assert not store.get_cells("a", (4,), np.array([3])).any(), "of another rank it is another array"
    assert not store.get_cells("b", (2, 2), np.array([3])).any()
    store.close()


def test_an_array_made_anew_has_none_of_the_digests_of_the_first_one(store: DigestStore) -> None:
    store.put_cells("a", (2, 2), np.array([3]), b"z" * 16)
    store.add_array("a", (2, 2))
    assert not store.get_cells("a", (2, 2), np.array([3])).any()
    store.close()
