"""Opens a folder of a source or destination to look names up in it, or to list it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from softcopy_napari.engine.fs.root_folder import FOLDER, LOOKUP, RootFolder


@contextlib.contextmanager
def holding(side: RootFolder, folder: str | None, to_list: bool = False) -> Iterator[int | None]:
    """Open a folder and yield its descriptor; None where there is no folder, or the system has no such descriptors.

    Without `to_list` names can be looked up in it, and a share is not even asked to open it.
    """
    if folder is None or side.fd is None:
        yield None
        return
    # Looking names up in an open folder, instead of whole paths, takes a third off a comparison.
    fd = side.open_file(folder, FOLDER if to_list else LOOKUP)
    try:
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def listing(side: RootFolder, folder: str) -> Iterator[tuple[Iterator[os.DirEntry[str]], int | None]]:
    """List a folder; yield its entries, which may lack their paths, and its descriptor as `holding` does."""
    with holding(side, folder, to_list=True) as fd, os.scandir(side.path(folder) if fd is None else fd) as entries:
        yield entries, fd
