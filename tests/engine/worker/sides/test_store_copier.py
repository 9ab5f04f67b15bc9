"""Copying into a store that fails in the middle."""

from __future__ import annotations

import pytest

from softcopy_napari.engine.wording import describe
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


@pytest.mark.parametrize("fault", [Fault.DENIED, Fault.NOT_DELETED])
def test_an_object_that_may_not_be_deleted_is_named_and_holds_up_nothing(
    store_sides: StoreSides, faulty: FaultProxy, fault: Fault
) -> None:
    store_sides.endpoint = faulty.endpoint
    store_sides.start()
    assert store_sides.reach() is None
    file = store_sides.write("0/c/0", b"content")
    store_sides.write("0/c/1", b"content")
    store_sides.copy("0/c/0")
    file.unlink()
    for method in ("DELETE", "POST"):
        faulty.inject(fault, method=method)
    deleted, other = store_sides.copy("0/c/0", "0/c/1", gone=["0/c/0"])
    assert deleted.outcome is CopyOutcome.FAILED and deleted.reason is not None
    assert "permission to delete" in describe(deleted.reason)
    assert other.outcome is CopyOutcome.COPIED
    faulty.clear()
    (deleted,) = store_sides.copy("0/c/0", gone=["0/c/0"])
    assert deleted.outcome is CopyOutcome.DELETED and list(store_sides.files()) == ["0/c/1"]
