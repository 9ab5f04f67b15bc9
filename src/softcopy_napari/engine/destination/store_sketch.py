"""A sketch of what an object store holds of a destination, as a local folder: what looks at folders can look at it.

It has the metadata, and some of the chunk files: of their sizes and with the times of the files that they were copied
from, but empty. That is what telling one dataset from another takes.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from softcopy_napari.engine.fs.files import extended_path, native_path
from softcopy_napari.engine.object_store.object_manifest import MODIFIED
from softcopy_napari.engine.object_store.store_connection import ObjectFacts, StoreConnection
from softcopy_napari.engine.zarr_layout.file_names import METADATA_NAMES

_MOST_LISTED = 50_000
_MOST_METADATA = 400
_SAMPLES = 256
_AT_A_TIME = 16


@contextlib.contextmanager
def sketch(store: StoreConnection) -> Iterator[Path]:
    """Make a sketch of all below a store's prefix, and remove it again.

    Raises
    ------
    StoreError
        The store cannot be asked.
    """
    metadata: list[ObjectFacts] = []
    others: list[ObjectFacts] = []
    count = 0
    for page in store.list():
        for one in page:
            (metadata if one.key.rpartition("/")[2] in METADATA_NAMES else others).append(one)
        count += len(page)
        if count > _MOST_LISTED:
            break
    metadata.sort(key=lambda one: one.key.count("/"))
    samples = others[:: max(1, len(others) // _SAMPLES)]
    with tempfile.TemporaryDirectory(prefix="softcopy-") as root, ThreadPoolExecutor(_AT_A_TIME) as threads:
        wanted = [*((one, True) for one in metadata[:_MOST_METADATA]), *((one, False) for one in samples)]
        for _ in threads.map(lambda each: _draw(store, root, *each), wanted):
            pass
        yield Path(root)


def _draw(store: StoreConnection, root: str, facts: ObjectFacts, whole: bool) -> None:
    path = extended_path(os.path.join(root, native_path(facts.key)))
    try:
        _, attributes = store.look_up(facts.key)
        content = store.read_small(facts.key) if whole else b""
    except FileNotFoundError:
        return
    modified = attributes.get(MODIFIED, "")
    time = int(modified) if modified.isdecimal() and len(modified) < 20 else int(facts.modified * 1e9)
    with contextlib.suppress(OSError):  # a name that this system does not take, or a file in a folder's place
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
            if not whole:
                file.truncate(facts.size)
        os.utime(path, ns=(time, time))
