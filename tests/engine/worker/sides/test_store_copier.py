"""Copying into a store that fails in the middle."""

from __future__ import annotations

from softcopy_napari.engine.worker.copy_outcome import CopyOutcome
from softcopy_napari.engine.worker.sides.store_copier import LARGE
from tests.engine.worker.sides.conftest import StoreSides
from tests.support.fault_proxy import Fault, FaultProxy


def test_a_large_file_of_which_a_part_is_refused_is_blocked(store_sides: StoreSides, faulty: FaultProxy) -> None:
    store_sides.endpoint = faulty.endpoint
    store_sides.start()
    assert store_sides.reach() is None
    store_sides.write("0/c/0", bytes(2 * LARGE))
    faulty.inject(Fault.DENIED, method="PUT", after=1)
    (result,) = store_sides.copy("0/c/0")
    assert result.outcome is CopyOutcome.BLOCKED and "Access Denied" in str(result.error)
    assert store_sides.files() == {}
    faulty.clear()
    (result,) = store_sides.copy("0/c/0")
    assert result.outcome is CopyOutcome.COPIED
