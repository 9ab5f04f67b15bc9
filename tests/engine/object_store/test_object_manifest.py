"""What is noted of objects, here and at the objects themselves."""

from __future__ import annotations

from softcopy_napari.engine.object_store.object_manifest import DIGEST, MODIFIED


def test_every_store_takes_the_names_of_attributes() -> None:
    """Azure's are identifiers, without hyphens; web servers before a store drop headers with underscores."""
    for name in (MODIFIED, DIGEST):
        assert name.isascii() and name.isalnum() and name.islower() and not name[0].isdigit()
