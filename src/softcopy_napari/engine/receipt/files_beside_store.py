"""Files beside a destination in an object store: receipt and progress file, as local files that are objects there, too.

What works with files beside a folder works with these: they lie in the state folder, beside a folder of the
destination's name that is never made. They are fetched before they are looked at, and published when they are written.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from softcopy_napari.engine.fs.atomic_write import write_atomically
from softcopy_napari.engine.object_store.store_connection import StoreConnection
from softcopy_napari.engine.receipt.receipt_files import possible_receipt_files
from softcopy_napari.engine.state_folder.destination_lock import destination_id
from softcopy_napari.engine.state_folder.folder import private_folder
from softcopy_napari.engine.targets.store_url import StoreUrl


class FilesBesideStore:
    """The files beside one destination in an object store.

    Parameters
    ----------
    url : StoreUrl
    folder : Path, optional
        Where the local files lie, for who only reads: those in the state folder are an engine's.

    Attributes
    ----------
    store : StoreConnection
        The destination.
    destination : Path
        Stands for the destination: what lies beside it is what lies beside that.
    """

    def __init__(self, url: StoreUrl, folder: Path | None = None) -> None:
        self.store = StoreConnection(url)
        if folder is None:
            folder = private_folder("beside") / destination_id(url)
            folder.mkdir(mode=0o700, exist_ok=True)
        self.destination = folder / url.name

    def fetch_receipts(self) -> Path:
        """Fetch what may be the destination's receipt; returns `destination`.

        Raises
        ------
        OSError
            The store cannot be asked.
        """
        *beside, _ = possible_receipt_files(self.destination)
        self.fetch(path for pair in beside for path in pair)
        return self.destination

    def fetch(self, paths: Iterable[Path]) -> None:
        """Make local files what the objects of their names are; those that are not there are removed.

        Raises
        ------
        OSError
            The store cannot be asked.
        """
        for path in paths:
            try:
                content = self.store.beside(path.name).read_small("")
            except FileNotFoundError:
                path.unlink(missing_ok=True)
            else:
                write_atomically(path, content, path.with_name(f"{path.name}.tmp"), flush=False)

    def version_of(self, path: Path) -> str:
        """Return what tells the present object of a file's name from others; empty where there is none.

        Raises
        ------
        OSError
            The store cannot be asked.
        """
        try:
            return self.store.beside(path.name).look_up("")[0].etag
        except FileNotFoundError:
            return ""

    def publish(self, *paths: Path) -> None:
        """Store local files as the objects of their names, one after the other.

        Raises
        ------
        OSError
            One of them cannot be stored.
        """
        for path in paths:
            with open(path, "rb") as file:
                self.store.beside(path.name).put_file("", file)

    def remove(self, path: Path) -> None:
        """Remove a file, and the object of its name."""
        self.store.beside(path.name).delete([""])
        with contextlib.suppress(OSError):
            path.unlink()
