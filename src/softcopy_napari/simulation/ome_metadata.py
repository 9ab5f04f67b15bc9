"""OME-Zarr 0.4 and 0.5 metadata of the simulated microscope's images, plates and arrays.

Turns the settings of the microscope into the dictionaries that it writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from softcopy_napari.simulation.settings import MicroscopeSettings

Size = tuple[int, int, int]
"""Lengths along z, y and x."""

_VOXEL = (2.0, 0.4, 0.4)
"""The size of a voxel along z, y and x in micrometres."""
_COLOURS = ("00FF66", "FF33CC", "33AAFF", "FFCC33")


def factors(size: Size) -> Size:
    """Return the factors by which the axes of a volume shrink from one level to the next."""
    z, y, x = (2 if pixels > 1 else 1 for pixels in size)
    return z, y, x


def array_spec(settings: MicroscopeSettings, level: int) -> dict[str, Any]:
    """Return tensorstore's driver and metadata for the array (t, c, z, y, x) of a level."""
    size = settings.size
    if level:
        z, y, x = (pixels // factor for pixels, factor in zip(size, factors(size), strict=True))
        size = z, y, x
    slab = min(settings.slab, size[0])
    shape = [1 if settings.grow else settings.frames, settings.channels, *size]
    chunk = [1, 1, slab, *(min(settings.tile or pixels, pixels) for pixels in size[1:])]
    metadata: dict[str, Any] = {"shape": shape, "fill_value": 0}
    if settings.zarr_format == 2:
        metadata |= {"chunks": chunk, "dtype": "<u2", "compressor": None, "dimension_separator": "/"}
        return {"driver": "zarr", "metadata": metadata}
    codec: dict[str, Any] = {"name": "bytes", "configuration": {"endian": "little"}}
    file_shape = chunk
    if settings.shards:
        codec = {"name": "sharding_indexed", "configuration": {"chunk_shape": chunk, "codecs": [codec]}}
        file_shape = [1, 1, -(-size[0] // slab) * slab, *size[1:]]
    metadata |= {
        "data_type": "uint16",
        "dimension_names": [*"tczyx"],
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": file_shape}},
        "codecs": [codec],
    }
    return {"driver": "zarr3", "metadata": metadata}


def image(settings: MicroscopeSettings) -> dict[str, Any]:
    """Return the OME metadata of an image with two levels."""
    period = 1 / settings.rate if settings.rate else 1.0
    coarse = [voxel * factor for voxel, factor in zip(_VOXEL, factors(settings.size), strict=True)]
    # A mean lies in the middle of the pixels that went into it.
    shift = [(after - before) / 2 for before, after in zip(_VOXEL, coarse, strict=True)]
    axes: list[dict[str, str]] = [
        {"name": "t", "type": "time", "unit": "second"},
        {"name": "c", "type": "channel"},
        *({"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"),
    ]
    fine_to_world = [{"type": "scale", "scale": [period, 1.0, *_VOXEL]}]
    coarse_to_world = [
        {"type": "scale", "scale": [period, 1.0, *coarse]},
        {"type": "translation", "translation": [0.0, 0.0, *shift]},
    ]
    datasets = [
        {"path": "0", "coordinateTransformations": fine_to_world},
        {"path": "1", "coordinateTransformations": coarse_to_world},
    ]
    window = {"start": 100, "end": 2500, "min": 0, "max": 65535}
    channels = [
        {"label": f"channel {c + 1}", "color": _COLOURS[c % len(_COLOURS)], "active": True, "window": window}
        for c in range(settings.channels)
    ]
    multiscales = {"name": "blobs", "type": "mean", "axes": axes, "datasets": datasets}
    return {"multiscales": [multiscales], "omero": {"channels": channels}}


def plate(settings: MicroscopeSettings) -> dict[str, Any]:
    """Return the OME metadata of a plate, which list every well before the first is imaged."""
    paths = [well.split("/") for well in settings.wells]
    rows = list(dict.fromkeys(row for row, _ in paths))
    columns = list(dict.fromkeys(column for _, column in paths))
    wells = [
        {"path": f"{row}/{column}", "rowIndex": rows.index(row), "columnIndex": columns.index(column)}
        for row, column in paths
    ]
    content = {
        "name": "simulated plate",
        "rows": [{"name": name} for name in rows],
        "columns": [{"name": name} for name in columns],
        "wells": wells,
        "field_count": 1,
        "acquisitions": [{"id": 0}],
    }
    return {"plate": content}


def well() -> dict[str, Any]:
    """Return the OME metadata of a well with one field."""
    return {"well": {"images": [{"path": "0", "acquisition": 0}]}}


def group_files(ome: dict[str, Any], zarr_format: int) -> dict[str, dict[str, Any]]:
    """Return the names and contents of the metadata files of a group."""
    attributes: dict[str, Any]
    if zarr_format == 3:
        attributes = {"ome": {"version": "0.5", **ome}} if ome else {}
        return {"zarr.json": {"zarr_format": 3, "node_type": "group", "attributes": attributes}}
    attributes = dict(ome)
    for kind in ("plate", "well"):
        if kind in ome:
            attributes[kind] = {"version": "0.4", **ome[kind]}
    if "multiscales" in ome:
        attributes["multiscales"] = [{"version": "0.4", **one} for one in ome["multiscales"]]
    return {".zgroup": {"zarr_format": 2}, ".zattrs": attributes}
