"""Checks targets against what lies on the disks, before anything is touched."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Sequence

from softcopy_napari.engine.destination.existing_data import find_other_dataset
from softcopy_napari.engine.destination.store_access import check_store_access
from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.formatting import quote
from softcopy_napari.engine.fs.files import extended_path
from softcopy_napari.engine.fs.permissions import find_group
from softcopy_napari.engine.object_store.store_errors import StoreError
from softcopy_napari.engine.receipt.freed_record import find_freed
from softcopy_napari.engine.state_folder.destination_lock import destination_id
from softcopy_napari.engine.targets.store_url import StoreUrl, destination_of
from softcopy_napari.engine.targets.target import Target
from softcopy_napari.engine.wording import describe
from softcopy_napari.engine.zarr_layout.array_layout import LayoutError
from softcopy_napari.engine.zarr_layout.json_text import read_json
from softcopy_napari.engine.zarr_layout.metadata import parse_metadata, why_unusable
from softcopy_napari.engine.zarr_layout.probe import SourceProbe, probe_source

NOT_FREED = "only the source of a copy in a folder can be freed, not that of one in an object store"
_HALF_WRITTEN = 2.0
"""Seconds for which metadata may be half-written."""


def validate_target(target: Target, try_writing: bool = True) -> None:
    """Check a target's source and destination.

    A source that may become a zarr dataset is no mistake where it is to be waited for: then its job says what it
    waits for.

    Parameters
    ----------
    target : Target
    try_writing : bool
        Whether to put a tiny object into an object store, and delete it: nothing else tells whether that is allowed.

    Raises
    ------
    TargetsError
        The source is not what it should be (and will not become it by waiting) or was freed, the destination is no
        folder, or it holds another dataset.
    """
    if freed := find_why_freed(target):
        raise TargetsError(freed)
    waits = target.wait_for_source and not target.check
    deadline = time.monotonic() + (0 if waits or target.check else _HALF_WRITTEN)
    while True:
        found = probe_source(str(target.source), target.is_folder)
        problem = _source_problem(found, waits, target.is_folder)
        if not problem or time.monotonic() >= deadline:
            break
        time.sleep(0.1)
    if problem:
        raise TargetsError(f"source {target.source} {problem}")
    if target.check:
        _check_readable(target)
        return
    if target.free is not None and isinstance(target.destination, StoreUrl):
        raise TargetsError(f"free: {NOT_FREED}")
    answers = _check_writable(target, try_writing)
    try:
        if target.group is not None:
            find_group(target.group)
    except ValueError as error:
        raise TargetsError(f"group {quote(target.group or '')}: {error}") from None
    try:
        sides = target.source, target.destination
        if answers and not target.overwrite and (conflict := find_other_dataset(*sides, target.is_folder)):
            raise TargetsError(describe(conflict))
    except StoreError:
        pass  # its job says so, and waits


def check_clusters(targets: Sequence[Target]) -> None:
    """Check that the Dask clusters of targets can be reached, and that machines of theirs see both folders.

    Raises
    ------
    TargetsError
        A cluster cannot be used as it is.
    """
    for target in targets:
        if target.dask is not None:
            if isinstance(target.destination, StoreUrl):
                raise TargetsError("softcopy copies into object stores from one computer: leave out --dask (dask:)")
            from softcopy_napari.engine.dask_workers.preflight import check_cluster

            check_cluster(target.dask, target.source, target.destination)


def find_why_freed(target: Target) -> str:
    """Return what became of a target's source, if that was freed and must not be copied now; else an empty text.

    Its files may be in a grace folder, or the destination's may be the only ones that there are.
    """
    record = find_freed(target.source)
    if record is None:
        return ""
    is_used_again = bool(record.deleted) and _holds_data(target)
    is_copy = destination_id(destination_of(record.destination)) == destination_id(target.destination)
    return "" if is_used_again and (target.overwrite or not is_copy) else describe(record.describe())


def _holds_data(target: Target) -> bool:
    """Whether there is a dataset at a target's source, or any file where that is a folder of any files."""
    if not target.is_folder:
        return bool(probe_source(str(target.source)).nodes)
    return any(names for _, _, names in os.walk(extended_path(str(target.source))))


def _source_problem(found: SourceProbe, waits: bool, any_files: bool) -> str:
    """Say why a source cannot be copied, or waited for; empty where it can."""
    if not found.exists:
        return "" if waits else "does not exist"
    if found.no_such_path:
        return f"{describe(found.error)}: check the path and your permissions"
    if not found.is_folder and not found.error:
        return "is a file, not a folder: give the folder that it lies in"
    problem = describe(why_unusable(found, any_files))
    if waits and not _is_wrong(found):
        return ""
    if problem and found.error:
        return f"{problem}: check the path and your permissions"
    if problem and not found.nodes:
        return (
            "is not a zarr dataset: no zarr.json, .zarray or .zgroup in it. "
            "To copy a folder of any files, use --kind folder (kind: folder)"
        )
    return problem


def _is_wrong(found: SourceProbe) -> bool:
    """Whether a source's metadata are whole and say what no zarr dataset can: no writer is at work there."""
    for folder, files in found.nodes.items():
        try:
            parse_metadata(folder, files)
        except LayoutError as error:
            try:
                read_json(files[error.file])
            except LayoutError:
                return False
        else:
            return False
    return bool(found.nodes)


def _check_readable(target: Target) -> None:
    """Check that the destination is a folder, if it is there at all: one that was never made lacks everything."""
    if isinstance(target.destination, StoreUrl):
        _check_access(target.destination, write=False)
        return
    try:
        there = os.stat(extended_path(str(target.destination)))
    except FileNotFoundError:
        return
    except OSError as error:
        raise TargetsError(f"destination {target.destination} cannot be read: {error.strerror}") from None
    if not stat.S_ISDIR(there.st_mode):
        raise TargetsError(f"destination {target.destination} is a file, not a folder")


def _check_writable(target: Target, try_writing: bool) -> bool:
    """Check that the destination can be written, or can be made; returns whether it answers now."""
    if isinstance(target.destination, StoreUrl):
        return _check_access(target.destination, try_writing)
    place = target.destination
    while not os.path.lexists(extended_path(str(place))) and place != place.parent:
        place = place.parent
    if not os.path.isdir(extended_path(str(place))):
        what = "is a file, not a folder"
        if os.path.islink(place) and not os.path.exists(place):  # to a disk that is not mounted, for example
            what = f"is a link to {os.readlink(place)}, which is not there"
        if place != target.destination:
            what = f"cannot be made: {place} {what}"
        raise TargetsError(f"destination {target.destination} {what}: choose another destination")
    if not os.access(extended_path(str(place)), os.W_OK | os.X_OK) and not _is_read_only(str(place)):
        raise TargetsError(f"destination {target.destination} cannot be written: you have no permission in {place}")
    return True


def _check_access(url: StoreUrl, write: bool) -> bool:
    """Check that a store lets us in; returns whether it answers: if not, it is waited for."""
    access = check_store_access(url, write)
    if access.refused is not None:
        raise TargetsError(describe(access.refused))
    return access.unreachable is None


def _is_read_only(place: str) -> bool:
    """Whether its disk is: that may pass, and is waited for."""
    return hasattr(os, "statvfs") and bool(os.statvfs(place).f_flag & os.ST_RDONLY)
