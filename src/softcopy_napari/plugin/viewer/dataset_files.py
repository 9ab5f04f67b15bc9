"""Where the parts of a dataset lie and what its metadata say, whether it is a folder or in an object store."""

from __future__ import annotations

from softcopy_napari.engine.fs.files import extended_path
from softcopy_napari.engine.object_store.store_connection import StoreConnection
from softcopy_napari.engine.targets.store_url import StoreUrl, destination_of
from softcopy_napari.engine.zarr_layout.file_names import METADATA_NAMES
from softcopy_napari.engine.zarr_layout.probe import MAX_METADATA, read_metadata


def path_in(root: str, path: str) -> str:
    """Return what a part of a dataset is called.

    Parameters
    ----------
    root : str
        A folder, or the address of a place in an object store.
    path : str
        `/` separated, in the dataset; empty for the dataset itself.
    """
    if not path:
        return root
    place = destination_of(root)
    return str(place.below(path)) if isinstance(place, StoreUrl) else f"{root}/{path}"


def read_metadata_of(root: str, folder: str) -> dict[str, bytes]:
    """Return the contents of the metadata files of a part of a dataset; waits for the disk or the network.

    Parameters
    ----------
    root : str
        A folder, or the address of a place in an object store.
    folder : str
        `/` separated, in the dataset; empty for the dataset itself.
    """
    place = destination_of(root)
    if not isinstance(place, StoreUrl):
        return read_metadata(extended_path(root), folder)
    store = StoreConnection(place.below(folder) if folder else place)
    found: dict[str, bytes] = {}
    for name in sorted(METADATA_NAMES):
        try:
            content = _read(store, name)
        except FileNotFoundError:
            continue
        except OSError:
            break  # what is asked next would fail in the same way
        found[name] = content
    return found


def _read(store: StoreConnection, name: str) -> bytes:
    """Read an object up to a byte more than metadata may have, as `read_metadata` does."""
    content = b""
    for block in store.read(name):
        content += block
        if len(content) > MAX_METADATA:
            break
    return content[: MAX_METADATA + 1]
