"""Tells whether zarr metadata at a destination were changed there since they were copied: people annotate copies.

Used by the copy workers, and imports nothing heavy.
"""

from __future__ import annotations

import os
import stat

from xxhash import xxh3_128_digest

from softcopy_napari.engine.fs.root_folder import RootFolder

_UNIT = 2_000_000_000
"""In which the coarsest file systems keep times, ns."""
_MAX_SIZE = 256 << 20
ALSO_AT_SOURCE = "and at the source"


def find_edit(
    source: RootFolder,
    destination: RootFolder,
    path: str,
    before: os.stat_result,
    copied: bytes,
    times_tell: bool = True,
) -> str | None:
    """Compare a metadata file with what was copied to its place.

    Parameters
    ----------
    source, destination : RootFolder
    path : str
    before : os.stat_result
        The source's file.
    copied : bytes
        XXH128 of what was copied last; empty where that is not known. Then a file that is newer than the source's
        counts as changed, for copies have the time of their source.
    times_tell : bool
        Whether the destination keeps times; if not, what was copied must be known.

    Returns
    -------
    str or None
        None where it was not changed, or is what the source has; ALSO_AT_SOURCE where the source was changed as well,
        or may have been.
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
        return None  # copying finds out what is the matter
    if theirs == ours or xxh3_128_digest(theirs) == copied:
        return None
    unchanged = xxh3_128_digest(ours) == copied if copied else _without_attributes(theirs) == _without_attributes(ours)
    return "" if unchanged else ALSO_AT_SOURCE


def _content(place: RootFolder, path: str) -> bytes:
    with open(place.open_for_reading(path), "rb") as file:
        return file.read(_MAX_SIZE)


def _without_attributes(content: bytes) -> object:
    """What a metadata file says of an array's data; of attributes alone, nothing."""
    import json  # rarely

    try:
        document = json.loads(content)
    except ValueError:
        return content
    if not isinstance(document, dict) or "zarr_format" not in document:
        return None
    return {key: value for key, value in document.items() if key not in ("attributes", "consolidated_metadata")}
