"""Reads how to show an array from OME-Zarr metadata (0.1 to 0.5): scale, units, names, channels and levels.

Used by target_layers.py, in a thread. Invalid metadata are ignored, and an array without any is shown pixel by pixel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pint

from softcopy_napari.engine.formatting import printable
from softcopy_napari.engine.zarr_layout.array_layout import ArrayLayout, LayoutError
from softcopy_napari.engine.zarr_layout.json_text import read_json
from softcopy_napari.engine.zarr_layout.metadata import parse_metadata
from softcopy_napari.engine.zarr_layout.ome import is_plain_path

ReadMetadata = Callable[[str], Mapping[str, bytes]]
"""Returns the contents of the zarr metadata files in a folder, by its `/` separated path; empty if there are none."""

MAX_CHANNELS = 16
"""Channels shown as layers at most; more are a spectrum, or the like."""
MAX_LEVELS = 32
_LARGEST = 1e18
"""Numbers beyond it, and scales below its inverse, are ignored: no camera can show them."""
_LONGEST = 200
"""Characters of a name at most."""
_TCZYX = ("t", "c", "z", "y", "x")


@dataclass(frozen=True, slots=True)
class Level:
    """One level of an image: an array, and where its pixels lie."""

    path: str
    """Relative to the source, `/` separated."""
    scale: tuple[float, ...]
    translate: tuple[float, ...]
    """Position of the centre of the first pixel, in the units of the axes."""


@dataclass(frozen=True, slots=True)
class Channel:
    """How to show one channel; empty and None where the metadata do not say."""

    name: str = ""
    colour: str = ""
    """Six hexadecimal digits."""
    window: tuple[float, float] | None = None
    window_range: tuple[float, float] | None = None
    active: bool = True


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an array lies in the world, and how to show it."""

    layout: ArrayLayout | None
    """The layout of the array; None until its metadata have been read, without which chunk files have no names."""
    axis_names: tuple[str, ...] | None
    units: tuple[str, ...]
    levels: tuple[Level, ...]
    """The array itself, followed by the coarser levels."""
    time_axis: int | None
    channel_axis: int | None
    """The axis whose positions are shown as layers of their own; None where there is none."""
    channels: tuple[Channel, ...]
    """One for each channel where there is a channel axis, otherwise a single one."""
    in_image: bool
    """Whether OME metadata describe the array."""

    @property
    def scale(self) -> tuple[float, ...]:
        """The scale of the array itself."""
        return self.levels[0].scale

    @property
    def translate(self) -> tuple[float, ...]:
        """The translation of the array itself."""
        return self.levels[0].translate


def plain_placement(path: str, rank: int, layout: ArrayLayout | None = None) -> Placement:
    """Return the placement of an array without metadata about it."""
    level = Level(path, (1.0,) * rank, (0.0,) * rank)
    names = layout.dimension_names if layout is not None else None
    axis_names = tuple(map(_name, names)) if names is not None and None not in names else None
    return Placement(layout, axis_names, ("pixel",) * rank, (level,), None, None, (Channel(),), False)


def read_placement(array: str, read: ReadMetadata) -> Placement | None:
    """Read the metadata of an array and of the groups that it lies in.

    Parameters
    ----------
    array : str
        Its path relative to the source, `/` separated; empty for an array at the root.
    read : callable
        Reads metadata files, as `ReadMetadata` describes.

    Returns
    -------
    Placement or None
        None while there is no such array, or its metadata cannot be read.
    """
    files = read(array)
    try:
        layout = parse_metadata(array, files)
    except LayoutError:
        return None
    if not isinstance(layout, ArrayLayout):
        return None
    parts = array.split("/") if array else []
    for depth in reversed(range(len(parts))):
        group, inside = "/".join(parts[:depth]), "/".join(parts[depth:])
        attributes = _attributes(read(group))
        for image in _objects(attributes.get("multiscales")):
            placement = _in_image(layout, group, inside, image, attributes)
            if placement is not None:
                return placement
    return _named(layout, _attributes(files))


def _attributes(files: Mapping[str, bytes]) -> Mapping[str, object]:
    """Return the attributes that hold OME metadata: those of the namespace `ome`, where there is one."""
    content: object = {}
    for name in ("zarr.json", ".zattrs"):
        if name in files:
            try:
                content, _ = read_json(files[name])
            except LayoutError:
                return {}
            break
    if "zarr.json" in files and isinstance(content, Mapping):
        content = content.get("attributes")
    if not isinstance(content, Mapping):
        return {}
    ome = content.get("ome")
    return ome if isinstance(ome, Mapping) else content


def _named(layout: ArrayLayout, attributes: Mapping[str, object]) -> Placement:
    """Return the placement of an array outside any image, with xarray's names of dimensions if there are any."""
    placement = plain_placement(layout.path, len(layout.shape), layout)
    names = attributes.get("_ARRAY_DIMENSIONS")
    if placement.axis_names is None and isinstance(names, list) and len(names) == len(layout.shape):
        return replace(placement, axis_names=tuple(map(_name, names)))
    return placement


def _in_image(
    layout: ArrayLayout, group: str, inside: str, image: Mapping[str, object], attributes: Mapping[str, object]
) -> Placement | None:
    """Return the placement of a level of an image; None where the image has no such level."""
    rank = len(layout.shape)
    datasets = list(_objects(image.get("datasets")))
    paths = [dataset.get("path") for dataset in datasets]
    if inside not in paths:
        return None
    outer = _transform(image.get("coordinateTransformations"), rank)
    levels: list[Level] = []
    for dataset in datasets[paths.index(inside) :]:
        path = dataset.get("path")
        if isinstance(path, str) and is_plain_path(path) and len(levels) < MAX_LEVELS:
            scale, translate = _transform(dataset.get("coordinateTransformations"), rank)
            full_scale = tuple(a * b for a, b in zip(scale, outer[0], strict=True))
            shift = zip(translate, *outer, strict=True)
            full_translate = tuple(inner * factor + more for inner, factor, more in shift)
            levels.append(Level(f"{group}/{path}" if group else path, *_shown(full_scale, full_translate)))
    names, kinds, units = _axes(image.get("axes"), layout)
    time_axis = kinds.index("time") if "time" in kinds else None
    channel_axis = kinds.index("channel") if "channel" in kinds else None
    if channel_axis is not None and not 1 <= layout.shape[channel_axis] <= MAX_CHANNELS:
        channel_axis = None
    number = layout.shape[channel_axis] if channel_axis is not None else 1
    channels = _channels(attributes.get("omero"), number)
    return Placement(layout, names, units, tuple(levels), time_axis, channel_axis, channels, True)


def _transform(value: object, rank: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the scale and translation of a list of coordinate transformations, applied in turn."""
    scale, translate = [1.0] * rank, [0.0] * rank
    for one in _objects(value):
        numbers = _numbers(one.get(str(one.get("type"))), rank)
        if numbers is None:
            continue
        if one["type"] == "scale":
            factors = [number or 1.0 for number in numbers]  # a scale of 0 shows nothing, and napari refuses it
            scale = [a * b for a, b in zip(scale, factors, strict=True)]
            translate = [a * b for a, b in zip(translate, factors, strict=True)]
        elif one["type"] == "translation":
            translate = [a + b for a, b in zip(translate, numbers, strict=True)]
    return _shown(scale, translate)


def _shown(scale: Sequence[float], translate: Sequence[float]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return a scale and a translation without numbers that cannot be shown."""
    return (
        tuple(factor if 1 / _LARGEST <= abs(factor) <= _LARGEST else 1.0 for factor in scale),
        tuple(shift if abs(shift) <= _LARGEST else 0.0 for shift in translate),
    )


def _name(value: object) -> str:
    """Return a printable name of limited length."""
    return printable(str(value))[:_LONGEST]


def _axes(value: object, layout: ArrayLayout) -> tuple[tuple[str, ...] | None, tuple[str | None, ...], tuple[str, ...]]:
    """Return the names, kinds (time, channel, space) and units of the axes of an image."""
    rank = len(layout.shape)
    axes = [{"name": axis} if isinstance(axis, str) else axis for axis in value] if isinstance(value, list) else []
    if not axes and rank == len(_TCZYX):
        axes = [{"name": name} for name in _TCZYX]  # before 0.3 all images had these
    if len(axes) != rank or not all(isinstance(axis, Mapping) for axis in axes):
        plain = plain_placement(layout.path, rank, layout)
        return plain.axis_names, (None,) * rank, plain.units
    names = tuple(_name(axis.get("name", number)) for number, axis in enumerate(axes))
    usual = {"t": "time", "c": "channel"}
    kinds = tuple(axis.get("type") or usual.get(name) for axis, name in zip(axes, names, strict=True))
    return names, kinds, tuple(_unit(axis.get("unit")) for axis in axes)


def _unit(name: object) -> str:
    """Return a unit that napari knows; `pixel` for any other."""
    # Only names: pint's parser calculates, and 9**9**9 takes it for ever.
    if isinstance(name, str) and name.isidentifier() and len(name) <= _LONGEST:
        try:
            pint.get_application_registry().parse_units(name)  # type: ignore[no-untyped-call]
        except Exception:  # pint's parser may raise anything
            return "pixel"
        return name
    return "pixel"


def _channels(omero: object, number: int) -> tuple[Channel, ...]:
    described = list(_objects(omero.get("channels"))) if isinstance(omero, Mapping) else []
    return tuple(_channel(described[n]) if n < len(described) else Channel() for n in range(number))


def _channel(one: Mapping[str, object]) -> Channel:
    label, colour, window = one.get("label"), one.get("color"), one.get("window")
    colour = colour.lstrip("#")[:6] if isinstance(colour, str) else ""
    if len(colour) != 6 or not all(digit in "0123456789abcdefABCDEF" for digit in colour):
        colour = ""
    limits = {}
    if isinstance(window, Mapping):
        limits = {ends: _interval(*(window.get(end) for end in ends)) for ends in (("start", "end"), ("min", "max"))}
    return Channel(
        name=_name(label) if isinstance(label, str | int) else "",
        colour=colour,
        window=limits.get(("start", "end")),
        window_range=limits.get(("min", "max")),
        active=one.get("active") is not False,
    )


def _interval(low: object, high: object) -> tuple[float, float] | None:
    numbers = _numbers([low, high], 2)
    return (numbers[0], numbers[1]) if numbers is not None and numbers[0] < numbers[1] else None


def _numbers(value: object, length: int) -> Sequence[float] | None:
    """Return a list of this many numbers that can be shown; None where the value is anything else."""
    if not isinstance(value, list) or len(value) != length:
        return None
    good = all(isinstance(n, int | float) and not isinstance(n, bool) and abs(n) <= _LARGEST for n in value)
    return [float(n) for n in value] if good else None


def _objects(value: object) -> Iterator[Mapping[str, object]]:
    return (item for item in value if isinstance(item, Mapping)) if isinstance(value, list) else iter(())


def acquisition_axis(placement: Placement) -> int | None:
    """Return the axis along which an array is acquired; the first one where axes have no names."""
    if placement.time_axis is not None:
        return placement.time_axis
    if placement.axis_names is None:
        return 0 if placement.scale else None  # None for an array without axes
    return next((axis for axis, name in enumerate(placement.axis_names) if name.lower() in ("t", "time")), None)
