"""Arrays as they are stored in zarr: of both formats, sharded, and of two dimensions."""

from __future__ import annotations

import pytest

each_stored_array = pytest.mark.parametrize(
    ("kwargs", "shape"),
    [
        ({"zarr_format": 2, "chunks": (1, 20, 30)}, (3, 50, 70)),
        ({"zarr_format": 3, "chunks": (1, 20, 30)}, (3, 50, 70)),
        ({"zarr_format": 3, "chunks": (1, 10, 15), "shards": (2, 20, 30)}, (3, 50, 70)),
        ({"zarr_format": 3, "chunks": (4, 8)}, (9, 13)),
    ],
    ids=["v2", "v3", "sharded", "2D"],
)
"""Runs a test with the arguments of `zarr.create_array`, and the shape, of each of them."""
