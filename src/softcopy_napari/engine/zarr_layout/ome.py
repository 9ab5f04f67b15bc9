"""Reads from OME-Zarr attributes (0.1 to 0.5) which images, levels, wells and labels will come, and their axes.

Used by metadata.py. Attributes are users' data: anything odd in them is skipped.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

from softcopy_napari.engine.fs.relative_paths import join, prefix_of

_MAX_CHILDREN = 1 << 16
"""Most children of one group, more than any plate has wells and fields: each is looked for many times a second."""
_MAX_PATH = 4096
_MAX_NAME = 64
_FIRST_AXES = ("t", "c", "z", "y", "x")
"""The axes of every image in OME-Zarr 0.1 and 0.2, which do not name them."""


def promised_children(attributes: Mapping[str, object], group: str = "") -> tuple[str, ...]:
    """Return the paths of arrays and groups that the attributes of a group promise.

    Parameters
    ----------
    attributes : mapping
        The attributes of a zarr group.
    group : str
        The group's own name. Outside the namespace `ome`, `labels` lists groups only in a group of that name;
        elsewhere it may be anything, such as the names of channels.

    Returns
    -------
    tuple of str
        Paths relative to the group, none of which leads out of it.
    """
    found: list[object] = []
    for ome in _parts(attributes):
        for image in _objects(ome.get("multiscales")):
            found += [dataset.get("path") for dataset in _objects(image.get("datasets"))]
        for kind, members in (("plate", "wells"), ("well", "images")):
            if isinstance(node := ome.get(kind), Mapping):
                found += [member.get("path") for member in _objects(node.get(members))]
        if ome is not attributes or group == "labels":
            found += _list(ome.get("labels"))
    return _plain_paths(found)


def is_plain_path(path: object) -> bool:
    """Whether a path in metadata stays below the folder that it starts from, on every system."""
    if not isinstance(path, str) or len(path) > _MAX_PATH:
        return False
    try:
        path.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    if "\\" in path or "\0" in path:
        return False
    return all(part not in ("", ".", "..") and part[1:2] != ":" for part in path.split("/"))


def list_promised_nodes(path: str, attributes: object) -> tuple[str, ...]:
    """Return the paths, relative to the source, of what the attributes of the group at `path` promise."""
    if not isinstance(attributes, Mapping):
        return ()
    head = prefix_of(path)
    parent, _, name = path.rpartition("/")
    children = [head + child for child in promised_children(attributes, name)]
    if name == "OME":  # bioformats2raw: a group beside the images that lists them
        for ome in (attributes, attributes.get("ome")):
            if isinstance(ome, Mapping):
                series = _plain_paths(_list(ome.get("series")))
                children += [join(parent, child) for child in series]
    return tuple(itertools.islice(dict.fromkeys(children), _MAX_CHILDREN))


def read_axes(path: str, attributes: object) -> dict[str, tuple[str, ...]]:
    """Return the names of the axes of the arrays of the images at a group, by the arrays' paths in the source."""
    found: dict[str, tuple[str, ...]] = {}
    for image in (image for ome in _parts(attributes) for image in _objects(ome.get("multiscales"))):
        axes = [axis.get("name") if isinstance(axis, Mapping) else axis for axis in _list(image.get("axes"))]
        names = tuple(axis if isinstance(axis, str) and len(axis) <= _MAX_NAME else "" for axis in axes)
        datasets = _plain_paths([dataset.get("path") for dataset in _objects(image.get("datasets"))])
        found |= dict.fromkeys((prefix_of(path) + dataset for dataset in datasets), names or _FIRST_AXES)
    return found


def list_wells(path: str, attributes: object) -> tuple[str, ...]:
    """Return the paths, relative to the source, of the wells of the plate at a group; none where that is no plate."""
    plates = [plate for ome in _parts(attributes) if isinstance(plate := ome.get("plate"), Mapping)]
    wells = _plain_paths([well.get("path") for plate in plates for well in _objects(plate.get("wells"))])
    return tuple(prefix_of(path) + well for well in wells)


def _parts(attributes: object) -> list[Mapping[str, object]]:
    """Return what holds OME metadata: the attributes themselves, or the namespace `ome` in them."""
    if not isinstance(attributes, Mapping):
        return []
    return [ome for ome in (attributes, attributes.get("ome")) if isinstance(ome, Mapping)]


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _objects(value: object) -> Iterator[Mapping[str, object]]:
    return (item for item in _list(value) if isinstance(item, Mapping))


def _plain_paths(values: list[object]) -> tuple[str, ...]:
    paths = dict.fromkeys(value for value in values if isinstance(value, str) and is_plain_path(value))
    return tuple(itertools.islice(paths, _MAX_CHILDREN))
