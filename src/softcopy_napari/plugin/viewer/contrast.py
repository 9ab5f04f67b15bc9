"""Contrast limits and colours of image layers, from metadata or from the pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from napari.layers import Image
from napari.utils.colormaps import Colormap

from softcopy_napari.plugin.viewer.ome_placement import Channel

_COLOURS = {2: ("FF00FF", "00FF00"), 3: ("FF0000", "00FF00", "0000FF")}
_MORE_COLOURS = ("00FFFF", "FFFF00", "FF00FF", "FF0000", "00FF00", "0000FF")


class Limits:
    """The contrast limits of one layer: those of the metadata, or such as fit the pixels.

    Limits that the user has changed are left alone from then on.
    """

    def __init__(self, channel: Channel, dtype: np.dtype[Any]) -> None:
        whole = (0.0, 1.0)
        if dtype.kind in "iu":
            info = np.iinfo(dtype)
            whole = (float(info.min), float(info.max)) if dtype.itemsize < 4 else (0.0, 65535.0)
        window = channel.window
        # The whole range of the type is no choice, and shows camera images black.
        self._adapt = window is None or (window[0] <= whole[0] and window[1] >= whole[1] and dtype.kind in "iu")
        self.start = window if window is not None else whole
        self.layer: Image | None = None
        self._range = channel.window_range
        self._found: tuple[float, float] | None = None
        self._applied: tuple[float, float] | None = None

    def note(self, found: tuple[float, float] | None) -> None:
        """Note the limits that fit newly read pixels."""
        if found is not None:
            low, high = self._found or found
            self._found = min(low, found[0]), max(high, found[1])

    def apply(self) -> None:
        """Set the layer's limits, unless the metadata or the user have set them."""
        layer, found = self.layer, self._found
        if layer is None or not self._adapt or found is None or found == self._applied:
            return
        now = tuple(float(limit) for limit in layer.contrast_limits)
        if now != (self._applied or self.start):
            self._adapt = False
            return
        low, high = layer.contrast_limits_range
        if self._applied is None and self._range is None:
            low, high = found
        layer.contrast_limits_range = [min(low, found[0]), max(high, found[1])]
        layer.contrast_limits = list(found)
        self._applied = tuple(float(limit) for limit in layer.contrast_limits)  # type: ignore[assignment]


def channel_colormap(number: int, channels: Sequence[Channel]) -> Any:
    """Return a colormap from black to the colour in the metadata, or a usual one; grey for a single channel."""
    colour = channels[number].colour
    if not colour and len(channels) > 1:
        usual = _COLOURS.get(len(channels), _MORE_COLOURS)
        colour = usual[number % len(usual)]
    if not colour or colour.upper() == "FFFFFF":
        return "gray"
    rgb = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    return Colormap([[0.0, 0.0, 0.0, 1.0], [*rgb, 1.0]], name=f"#{colour.lower()}")
