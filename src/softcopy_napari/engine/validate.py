"""Checks targets against what lies on the disks, before anything is touched."""

from __future__ import annotations

import contextlib
import os
import stat
import time

from softcopy_napari.engine.files import extended_path, native, up_to_date
from softcopy_napari.engine.layout import ArrayLayout, GroupLayout, LayoutError
from softcopy_napari.engine.lock import filled_from
from softcopy_napari.engine.metadata import parse_metadata
from softcopy_napari.engine.mistakes import TargetsError
from softcopy_napari.engine.probe import Probe, probe, read_metadata
from softcopy_napari.engine.targets import Target

_PATIENCE = 2.0
"""Seconds for which metadata may be half-written."""
_SAMPLE = 16


def validate(target: Target) -> None:
    """Check a target's source and destination.

    Raises
    ------
    TargetsError
        The source is not a zarr dataset (and will not become one by waiting), the destination is not a
        folder, or it holds another dataset.
    """
    deadline = time.monotonic() + (0 if target.check else _PATIENCE)
    while True:
        found = probe(str(target.source))
        problem = _source_problem(target, found)
        if not problem or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    if problem:
        raise TargetsError(f"source {target.source} {problem}")
    if target.check:
        _check_readable(target)
    else:
        _check_destination(target, found)


def _source_problem(target: Target, found: Probe) -> str:
    if not found.exists and target.check:
        return "does not exist"
    if not found.exists:
        return "" if target.wait_for_source else "does not exist (--wait-for-source true waits for it)"
    if found.error:
        return f"{found.error}: check the path and your permissions"
    if not found.is_folder:
        return "is a file, not a folder: give the folder of the zarr dataset"
    if not found.nodes:
        if found.has_files or target.check:
            return "is not a zarr dataset: no zarr.json, .zarray or .zgroup in it"
        return "" if target.wait_for_source else "is empty (--wait-for-source true waits for data)"
    for folder, files in found.nodes.items():
        try:
            parse_metadata(folder, files)
        except LayoutError as error:
            where = f"{folder}/" if folder else ""
            return f"has zarr metadata that cannot be used: {where}{error.file} {error}"
    return ""


def _check_destination(target: Target, found: Probe) -> None:
    _check_place(target)
    there = probe(str(target.destination))
    for folder in sorted({*found.nodes, *there.nodes, *_levels(found, there)}):
        here_layout = _layout(str(target.source), folder)
        there_layout = _layout(str(target.destination), folder)
        if not isinstance(there_layout, ArrayLayout) or here_layout is None:
            continue
        what = (
            _difference(target, here_layout, there_layout) if isinstance(here_layout, ArrayLayout) else "it is an array"
        )
        if what:
            where = f"{target.destination}/{folder}" if folder else str(target.destination)
            raise TargetsError(
                f"destination {where} holds another dataset than {target.source}: {what}; "
                "choose an empty or new folder as destination"
            )


def _check_readable(target: Target) -> None:
    """Check that the destination is a folder, if it is there at all: one that was never made lacks everything."""
    try:
        there = os.stat(extended_path(str(target.destination)))
    except FileNotFoundError:
        return
    except OSError as error:
        raise TargetsError(f"destination {target.destination} cannot be read: {error.strerror}") from None
    if not stat.S_ISDIR(there.st_mode):
        raise TargetsError(f"destination {target.destination} is a file, not a folder")


def _check_place(target: Target) -> None:
    """Check that the destination is a folder that can be written, or can be made."""
    place = target.destination
    while not os.path.lexists(extended_path(str(place))) and place != place.parent:
        place = place.parent
    if not os.path.isdir(extended_path(str(place))):
        what = "is a file, not a folder" if place == target.destination else f"cannot be made: {place} is a file"
        raise TargetsError(f"destination {target.destination} {what}: choose another destination")
    if not os.access(extended_path(str(place)), os.W_OK | os.X_OK) and not _is_read_only(str(place)):
        raise TargetsError(f"destination {target.destination} cannot be written: you have no permission in {place}")


def _is_read_only(place: str) -> bool:
    """Whether its disk is: that may pass, and is waited for."""
    return hasattr(os, "statvfs") and bool(os.statvfs(place).f_flag & os.ST_RDONLY)


def _levels(found: Probe, there: Probe) -> set[str]:
    """Arrays below groups that both sides' OME metadata name."""
    names: set[str] = set()
    for side in (found, there):
        for folder, files in side.nodes.items():
            try:
                layout = parse_metadata(folder, files)
            except LayoutError:
                continue
            if isinstance(layout, GroupLayout):
                names.update(layout.children)
    return names


def _layout(root: str, folder: str) -> object:
    try:
        return parse_metadata(folder, read_metadata(extended_path(root), folder))
    except LayoutError:
        return None


def _difference(target: Target, here: ArrayLayout, there: ArrayLayout) -> str:
    what = there.difference(here, ignore_shape=True)
    if what:
        return what
    what = there.difference(here)
    if not what:
        return ""
    grown = [a > b for a, b in zip(here.shape, there.shape, strict=True)]
    shrunk = any(a < b for a, b in zip(here.shape, there.shape, strict=True))
    # An array that grew since it was copied last is the same one; its chunk files tell.
    if not shrunk and sum(grown) == 1 and _copied_from(target, there):
        return ""
    return what


def _copied_from(target: Target, array: ArrayLayout) -> bool:
    """Whether the destination's chunk files, if any, are copies of the source's."""
    with contextlib.suppress(OSError):
        source = os.stat(extended_path(str(target.source)))
        if filled_from(target.destination) == (source.st_dev, source.st_ino):
            return True  # by the last copy here, and its writer has rewritten them since
    any_there = False
    for cell in range(min(_SAMPLE, array.n_chunk_files)):
        path = native(f"{array.path}/{array.key(cell)}" if array.path else array.key(cell))
        try:
            there = os.stat(os.path.join(target.destination, path))
        except OSError:
            continue
        any_there = True
        try:
            if up_to_date(os.stat(os.path.join(target.source, path)), there):
                return True
        except OSError:
            continue
    return not any_there
