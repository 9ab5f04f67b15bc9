"""A simulated light-sheet microscope: writes an OME-Zarr acquisition of moving blobs as a real one would.

It knows nothing of the engine: `softcopy demo` and tests run it as a process of its own,
`python -m softcopy_napari.simulation.microscope DEST`, and copy what it writes.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from softcopy_napari.simulation import ome_metadata
from softcopy_napari.simulation.array_writers import ArrayWriter, create_array
from softcopy_napari.simulation.settings import MicroscopeError, MicroscopeSettings

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Volume = npt.NDArray[np.uint16]
    Floats = npt.NDArray[np.float32]

LOG = "acquisition.json"
"""A sidecar file that is rewritten in place until the acquisition ends."""

_LOGGED_FRAMES = 100
_STEP = 0.05
"""Seconds between two looks for a request to stop."""
_SHAKE = 64
"""Pixels by which the noise pattern is shifted at most."""


def write_acquisition(
    path: str | Path, settings: MicroscopeSettings | None = None, stop: Callable[[], bool] = lambda: False
) -> bool:
    """Acquire to a folder that must not exist yet, or be empty.

    Parameters
    ----------
    path : path
        The OME-Zarr group to make.
    settings : MicroscopeSettings, optional
    stop : callable
        Returns whether to abort; called between chunks, so that each is written whole.

    Returns
    -------
    bool
        Whether everything was acquired; False if it was aborted.

    Raises
    ------
    MicroscopeError
        The folder is in use, or cannot be written to.
    """
    settings = settings or MicroscopeSettings()
    folder = Path(path).expanduser().absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise MicroscopeError(f"{folder} exists already: choose another place")
    folder.mkdir(parents=True, exist_ok=True)
    return _Acquisition(folder, settings, stop).run()


class _Aborted(Exception):
    pass


class _Acquisition:
    """One run of the microscope."""

    def __init__(self, folder: Path, settings: MicroscopeSettings, stop: Callable[[], bool]) -> None:
        self._folder = folder
        self._settings = settings
        self._stop = stop
        self._specimen = _Specimen(settings)
        self._started = time.monotonic()
        self._pixels = 0
        self._log: dict[str, Any] = {
            "microscope": "simulated light sheet",
            "status": "acquiring",
            "settings": asdict(settings),
            "frames_written": 0,
            "frames": [],
        }

    def run(self) -> bool:
        self._write_log()
        try:
            if self._settings.plate:
                self._write_group("", ome_metadata.plate(self._settings))
                for row in dict.fromkeys(well.split("/")[0] for well in self._settings.wells):
                    self._write_group(row, {})
                for position, well in enumerate(self._settings.wells):
                    self._write_group(well, ome_metadata.well())
                    self._write_image(f"{well}/0", position)
            else:
                self._write_image("", 0)
        except _Aborted:
            self._log["status"] = "aborted"
            self._write_log()
            return False
        self._log["status"] = "complete"
        self._write_log()
        if self._settings.complete_file:
            (self._folder / "complete").touch()
        return True

    def _write_image(self, path: str, position: int) -> None:
        settings = self._settings
        self._write_group(path, ome_metadata.image(settings))
        folders = [self._folder / path / str(level) for level in (0, 1)]
        levels = [
            create_array(folder, ome_metadata.array_spec(settings, level)) for level, folder in enumerate(folders)
        ]
        for t in range(settings.frames):
            if settings.grow and t:
                for array in levels:
                    array.grow(t + 1)
            for c in range(settings.channels):
                volume = self._specimen.volume(position, t, c)
                self._write_volume(levels[0], (t, c), volume, paced=True)
                self._write_volume(levels[1], (t, c), _halved(volume), paced=False)
            self._log["frames_written"] += 1
            self._log["frames"].append({"position": path, "t": t, "seconds": self._elapsed()})
            del self._log["frames"][:-_LOGGED_FRAMES]
            self._write_log()

    def _write_volume(self, array: ArrayWriter, at: tuple[int, int], volume: Volume, paced: bool) -> None:
        depth, height, width = volume.shape
        settings = self._settings
        planes = depth if settings.shards else settings.slab
        rows, columns = settings.tile or height, settings.tile or width
        for z, y, x in product(range(0, depth, planes), range(0, height, rows), range(0, width, columns)):
            part = slice(z, min(z + planes, depth)), slice(y, min(y + rows, height)), slice(x, min(x + columns, width))
            if paced:
                self._wait(volume[part].size)
            try:
                array.write(*at, part, volume[part])
            except (OSError, ValueError) as error:  # tensorstore raises ValueError for a full disk, among others
                raise MicroscopeError(f"cannot write to {self._folder}: {error}") from error

    def _wait(self, pixels: int) -> None:
        """Wait until the camera has exposed this many more pixels."""
        self._pixels += pixels
        settings = self._settings
        per_second = settings.rate * settings.channels * math.prod(settings.size)
        due = self._started + self._pixels / per_second if per_second else 0.0
        while True:
            if self._stop():
                raise _Aborted
            left = due - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, _STEP))

    def _elapsed(self) -> float:
        return round(time.monotonic() - self._started, 3)

    def _write_group(self, path: str, ome: dict[str, Any]) -> None:
        """Write the metadata of a group: a file that is there as a whole or not at all."""
        folder = self._folder / path
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in ome_metadata.group_files(ome, self._settings.zarr_format).items():
            new = folder / f"{name}.__lock"
            new.write_text(json.dumps(content, indent=2), encoding="utf-8")
            os.replace(new, folder / name)

    def _write_log(self) -> None:
        self._log["elapsed"] = self._elapsed()
        (self._folder / LOG).write_text(json.dumps(self._log, indent=1), encoding="utf-8")


class _Specimen:
    """Gaussian blobs that move on orbits, as seen by a camera with noise; deterministic."""

    def __init__(self, settings: MicroscopeSettings) -> None:
        import numpy as np

        self._settings = settings
        rng = np.random.default_rng(settings.seed)
        _, height, width = settings.size
        # One pattern, seen through a moving window: fresh noise would cost more than everything else.
        self._noise = rng.normal(110.0, 6.0, (height + _SHAKE, width + _SHAKE)).astype(np.float32)

    def volume(self, position: int, t: int, c: int) -> Volume:
        """Return a volume (z, y, x) without zeros, so that every chunk gets a file."""
        import numpy as np

        settings = self._settings
        depth, height, width = settings.size
        profiles = [self._profiles(position, t, c, axis) for axis in range(3)]
        shifts = np.random.default_rng((settings.seed, position, t, c)).integers(0, _SHAKE, (depth, 2))
        volume = np.empty(settings.size, np.uint16)
        for z in range(depth):
            plane = (profiles[0][:, z, None] * profiles[1]).T @ profiles[2]
            down, right = shifts[z]
            plane += self._noise[down : down + height, right : right + width]
            volume[z] = plane.clip(1, 60_000)
        return volume

    def _profiles(self, position: int, t: int, c: int, axis: int) -> Floats:
        """Return the profile of each blob along an axis (blob, pixel); the one along z includes its brightness."""
        import numpy as np

        settings = self._settings
        rng = np.random.default_rng((settings.seed, position, c, axis))
        size = settings.size[axis]
        low, high = ((0.35,), (0.0,), (0.1,)), ((0.65,), (2 * math.pi,), (0.3,))
        centre, phase, speed = rng.uniform(low, high, (3, settings.blobs))
        where = size * (centre + 0.3 * np.sin(phase + speed * t))
        width = max(1.0, size * 0.06)
        pixel = np.arange(size, dtype=np.float32)
        profile = np.exp(-0.5 * ((pixel - where[:, None]) / width) ** 2)
        if axis == 0:
            profile *= rng.uniform(800, 3000, (settings.blobs, 1))
        return np.asarray(profile, np.float32)


def _halved(volume: Volume) -> Volume:
    """Return the mean of each 2 x 2 x 2 pixels, without an odd one at the end."""
    import numpy as np

    factors = ome_metadata.factors(volume.shape)
    shape = [pixels // factor for pixels, factor in zip(volume.shape, factors, strict=True)]
    total = np.zeros(shape, np.uint32)
    for corner in np.ndindex(*factors):
        picks = zip(corner, shape, factors, strict=True)
        total += volume[tuple(slice(start, start + pixels * step, step) for start, pixels, step in picks)]
    return (total // math.prod(factors)).astype(np.uint16)


def _numbers(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    """Parse whole numbers with an `x` between them, as many as the option's metavar has."""
    if value is None:
        return None
    parts = value.lower().split("x")
    wanted = str(param.metavar)
    if len(parts) != wanted.count("x") + 1 or not all(part.isdecimal() for part in parts):
        raise click.BadParameter(f"{value!r} is not {wanted}: whole numbers with an x between them")
    return tuple(int(part) for part in parts)


_DEFAULT = MicroscopeSettings()


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.argument("destination", metavar="DEST")
@click.option("--frames", default=_DEFAULT.frames, help="Time points (of each well).")
@click.option("--rate", default=_DEFAULT.rate, metavar="HZ", help="Time points a second; 0: no pauses.")
@click.option("--channels", default=_DEFAULT.channels)
@click.option("--size", metavar="ZxYxX", callback=_numbers, default="x".join(map(str, _DEFAULT.size)))
@click.option("--slab", default=_DEFAULT.slab, help="Planes in a chunk.")
@click.option("--tile", default=_DEFAULT.tile, help="Pixels of a chunk along y and x; 0: whole planes.")
@click.option("--blobs", default=_DEFAULT.blobs)
@click.option("--seed", default=_DEFAULT.seed, help="The same seed gives the same pixels.")
@click.option("--format", "zarr_format", type=int, default=_DEFAULT.zarr_format, help="Zarr format: 2 or 3.")
@click.option("--shards", is_flag=True, help="One shard a volume.")
@click.option("--grow", is_flag=True, help="Append time points by resizing.")
@click.option("--plate", metavar="ROWSxCOLUMNS", callback=_numbers, help="An HCS plate, well after well.")
@click.option("--complete-file/--no-complete-file", default=_DEFAULT.complete_file, help="End with `complete`.")
def microscope(destination: str, **options: Any) -> None:
    """Write a simulated light-sheet acquisition to DEST, which must not exist yet.

    Ctrl-C or a request to end aborts the acquisition; what has been written stays, and the exit code is 0.
    """
    stopped: list[int] = []
    # A plain list, because a handler must not take locks.
    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda number, _: stopped.append(number))
    try:
        finished = write_acquisition(destination, MicroscopeSettings(**options), lambda: bool(stopped))
    except (MicroscopeError, OSError) as error:
        click.echo(f"microscope: {error}", err=True)
        sys.exit(2)
    finally:
        # While Python ends it hands signals back to the system, which would end the process with a failure.
        for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.SIG_IGN)
    if not finished:
        click.echo("microscope: acquisition aborted", err=True)


if __name__ == "__main__":
    microscope(prog_name="python -m softcopy_napari.simulation.microscope")
