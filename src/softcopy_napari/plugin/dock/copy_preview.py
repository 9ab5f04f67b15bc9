"""Looks at source and destination of a new copy, and says what would happen. For a thread: disks may be slow."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Sequence
from itertools import islice

import numpy as np

from softcopy_napari.engine.destination.existing_data import find_other_dataset
from softcopy_napari.engine.destination.store_access import check_store_access
from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.formatting import count_text, size_text
from softcopy_napari.engine.fs.files import extended_path
from softcopy_napari.engine.job.preflight import validate_target
from softcopy_napari.engine.object_store.store_errors import StoreError
from softcopy_napari.engine.targets.build import check_targets, make_target
from softcopy_napari.engine.targets.store_url import Destination, StoreUrl
from softcopy_napari.engine.targets.target import Settings, Target
from softcopy_napari.engine.wording import describe
from softcopy_napari.engine.zarr_layout.array_layout import ArrayLayout, LayoutError
from softcopy_napari.engine.zarr_layout.file_names import METADATA_NAMES
from softcopy_napari.engine.zarr_layout.metadata import parse_metadata
from softcopy_napari.engine.zarr_layout.probe import SourceProbe, probe_source
from softcopy_napari.widgets.new_copy import Preview
from softcopy_napari.widgets.wording import NAPARI

_MOST = 1000
"""Entries of a folder that are looked at."""
_NAMED = 3
"""Datasets that are named."""


def preview_copy(source: str, destination: str, settings: Settings, others: Sequence[Target]) -> Preview:
    """Return what would happen if this copy were started.

    Parameters
    ----------
    source, destination : str
        As typed.
    settings : Settings
    others : sequence of Target
        Those that it would run beside.
    """
    try:
        target = make_target(source, destination, settings)
        strangers = datasets_beside(target)
        if not strangers:
            beside = [other for other in others if other.destination != target.destination]
            check_targets([*beside, target], by_name=True)
    except TargetsError as error:
        return _problem(str(error))
    found = probe_source(str(target.source), target.is_folder)
    lines = [_describe_source(found, target)]
    any_files = target.is_folder or (found.is_folder and not found.nodes and _holds_files(target))
    if strangers:
        return Preview(
            destination_problem=parent_words(target, strangers),
            lines=tuple(lines),
            suggestion=str(target.folder / target.source.name),
            any_files=any_files,
        )
    try:
        # Whether another dataset is there is asked about at the start.
        validate_target(target.model_copy(update={"overwrite": True}), try_writing=False)
    except TargetsError as error:
        return _problem(str(error))
    lines.append(". ".join(filter(None, (_describe_destination(target), _free_text(target)))))
    return Preview(lines=tuple(lines), any_files=any_files)


def datasets_beside(target: Target) -> list[str]:
    """Return the datasets in a destination that is no dataset itself, and that the source does not hold.

    Then it is most likely the folder in which the copy was to lie, beside the others. In an object store there are
    no folders to be looked into.
    """
    if isinstance(target.destination, StoreUrl):
        return []
    folder = extended_path(str(target.destination))
    inside: list[str] = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in islice(entries, _MOST):
            if entry.name in METADATA_NAMES:
                return []
            if entry.is_dir(follow_symlinks=False) and _is_dataset(entry.path):
                inside.append(entry.name)
    source = extended_path(str(target.source))
    return sorted(name for name in inside if not os.path.lexists(os.path.join(source, name)))


def parent_words(target: Target, names: Sequence[str]) -> str:
    """Say that a destination holds other datasets."""
    named = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else "")
    return (
        f"holds {count_text(len(names), 'other dataset')} ({named}): the files of {target.source.name} "
        "would lie loose among them"
    )


def _is_dataset(folder: str) -> bool:
    names = (os.path.join(folder, name) for name in METADATA_NAMES)
    return folder.lower().endswith(".zarr") or any(map(os.path.lexists, names))


def _problem(words: str) -> Preview:
    """Show a mistake at the field that it is about."""
    side = words.removeprefix("the ").partition(" ")[0]
    if side == "source":
        return Preview(source_problem=words)
    return Preview(destination_problem=words)


def _holds_files(target: Target) -> bool:
    """Whether there is anything in a source."""
    with contextlib.suppress(OSError), os.scandir(extended_path(str(target.source))) as entries:
        return next(entries, None) is not None
    return False


def _describe_source(found: SourceProbe, target: Target) -> str:
    if not found.exists:
        return "The source does not exist yet: its copy will wait for it"
    if target.is_folder:
        return "Source: a folder of any files"
    layouts = []
    for folder, files in found.nodes.items():
        with contextlib.suppress(LayoutError):
            layouts.append(parse_metadata(folder, files))
    arrays = [one for one in layouts if isinstance(one, ArrayLayout)]
    if len(arrays) == 1 and len(layouts) == 1:
        shape = " \u00d7 ".join(f"{n:,}" for n in arrays[0].shape)
        return f"Source: zarr array, {shape}, {_type_name(arrays[0].dtype)}"
    return "Source: zarr dataset" if layouts else "No zarr metadata there yet: its copy will wait for them"


def _type_name(dtype: str) -> str:
    """Return the name of a data type that zarr format 2 may spell as `<u2`."""
    try:
        return np.dtype(dtype).name
    except TypeError:  # not one of numpy's
        return dtype


def _describe_destination(target: Target) -> str:
    if isinstance(target.destination, StoreUrl):
        return _describe_store(target, target.destination)
    folder = extended_path(str(target.destination))
    if not os.path.lexists(folder):
        return f"Will create {target.destination}"
    if why := find_other_dataset(target.source, target.destination, target.is_folder):
        return f"Asks first: {describe(why, NAPARI)}"
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        if next(entries, None) is None:
            return f"Will fill the empty folder {target.destination}"
    return f"{target.destination} exists: files that are equal are not copied again"


def _describe_store(target: Target, url: StoreUrl) -> str:
    """Say what would happen in an object store; that it may be written is tried at the start only."""
    access = check_store_access(url, write=False)
    if access.unreachable is not None:
        return describe(access.unreachable)
    try:
        if why := find_other_dataset(target.source, url, target.is_folder):
            return f"Asks first: {describe(why, NAPARI)}"
    except StoreError as error:
        return f"{url.label} does not answer now: {error.strerror}"
    if access.has_objects:
        return f"{url.label} is there: what is equal is not copied again"
    return f"Will create {url.label}. Times, links and permissions are not kept in object stores"


def _free_text(target: Target) -> str:
    place = target.destination
    if isinstance(place, StoreUrl):
        return ""
    while not os.path.lexists(extended_path(str(place))) and place != place.parent:
        place = place.parent
    try:
        return f"{size_text(shutil.disk_usage(extended_path(str(place))).free)} free"
    except OSError:
        return ""


def find_parents_of_datasets(targets: Sequence[Target]) -> dict[Destination, str]:
    """Return those destinations that hold other datasets, each with what is to be said of it."""
    found = {one.destination: (one, datasets_beside(one)) for one in targets}
    return {folder: f"{folder} {parent_words(one, names)}" for folder, (one, names) in found.items() if names}
