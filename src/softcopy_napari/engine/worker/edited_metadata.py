"""Finds zarr metadata that were edited at the destination since they were copied: people annotate copies."""

from __future__ import annotations

import os
import stat

from xxhash import xxh3_128_digest

from softcopy_napari.engine.fs.root_folder import RootFolder

_UNIT = 2_000_000_000
"""Unit in which the coarsest file systems keep times, ns."""
_MAX_SIZE = 256 << 20
"""Most bytes of a metadata file that are compared."""


def find_edit(
    source: RootFolder,
    destination: RootFolder,
    path: str,
    before: os.stat_result,
    copied: bytes,
    times_tell: bool = True,
) -> bool | None:
    """Compare a metadata file with what was copied to its place.

    Parameters
    ----------
    source, destination : RootFolder
        The target's folders, open.
    path : str
        The metadata file, relative to both.
    before : os.stat_result
        The stat of the source's file.
    copied : bytes
        XXH3-128 of what was copied last; empty if that is not known. A file newer than the source's then counts as
        edited, because a copy has its source's time.
    times_tell : bool
        Whether the destination keeps times; if not, only a known digest tells.

    Returns
    -------
    bool or None
        None if it was not edited, or equals the source's file; else whether that was changed as well, or may have been.
    """
    try:
        there = destination.stat(path)
    except OSError:
        return None
    if not stat.S_ISREG(there.st_mode) or max(there.st_size, before.st_size) > _MAX_SIZE:
        return None
    if not copied and (not times_tell or there.st_mtime_ns - before.st_mtime_ns < _UNIT):
        return None
    try:
        theirs, ours = _content(destination, path), _content(source, path)
    except OSError:
        return None  # copying will report the error
    if theirs == ours or xxh3_128_digest(theirs) == copied:
        return None
    unchanged = xxh3_128_digest(ours) == copied if copied else _without_attributes(theirs) == _without_attributes(ours)
    return not unchanged


def _content(side: RootFolder, path: str) -> bytes:
    with open(side.open_for_reading(path), "rb") as file:
        return file.read(_MAX_SIZE)


def _without_attributes(content: bytes) -> object:
    """Return what a metadata file says about data; None if it holds attributes only."""
    import json  # rarely needed

    try:
        document = json.loads(content)
    except ValueError:
        return content
    if not isinstance(document, dict):
        return None
    if isinstance(consolidated := document.get("metadata"), dict) and "zarr_consolidated_format" in document:
        return {path: part for path, part in consolidated.items() if not path.endswith(".zattrs")}
    if "zarr_format" not in document:
        return None
    return {key: value for key, value in document.items() if key not in ("attributes", "consolidated_metadata")}
