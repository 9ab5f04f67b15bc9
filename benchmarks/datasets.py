"""The datasets that are copied, as they exist: real tensorstore writes them, in a process of its own.

python benchmarks/datasets.py DATASET PATH                      write one, a `Dataset` as JSON
python benchmarks/datasets.py live FORMAT PATH RATE SECONDS     write nested planes at a steady rate
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from common import age

from softcopy_napari.simulation import ome_metadata
from softcopy_napari.simulation.settings import MicroscopeSettings as Settings

_MOST_IN_FLIGHT = 256 << 20
"""Bytes that are given to tensorstore before they are waited for."""


@dataclass(frozen=True)
class Dataset:
    """An OME-Zarr image or plate, or (with `table`) an array of plain rows of chunk files.

    Parameters
    ----------
    name, title : str
    settings : MicroscopeSettings
        Its arrays; `frames` is what a scale makes less of (of a plate: `plate`).
    where : str
        "tmpfs" or "disk".
    goals : dict
        How many times as fast as a peer softcopy is to be; "again" and "cpu": how many times what `cp -r` takes it may
        take.
    blosc : bool
        Whether chunks are compressed, with blosc-zstd.
    flat : bool
        Whether all chunk files of an array lie in one folder.
    levels : int
        Of the pyramid; with one there is only its array.
    table : tuple of int, optional
        Folders, chunk files in each, and their bytes.
    """

    name: str
    title: str
    where: str
    goals: dict[str, float]
    settings: Settings = field(default_factory=Settings)
    blosc: bool = False
    flat: bool = False
    levels: int = 2
    table: tuple[int, int, int] | None = None

    def scaled(self, scale: float) -> Dataset:
        """So many times as large, at least one time point, row or folder."""

        def fewer(count: int) -> int:
            return max(1, round(count * scale))

        if self.table:
            folders, files, size = self.table
            if folders == 1:
                return replace(self, table=(1, fewer(files), size))
            return replace(self, table=(fewer(folders), files, size))
        settings = self.settings
        if settings.plate:
            return replace(self, settings=replace(settings, plate=(fewer(settings.plate[0]), settings.plate[1])))
        return replace(self, settings=replace(settings, frames=fewer(settings.frames)))

    def write(self, path: Path) -> None:
        """Have it written, an hour ago, so that nothing waits for it."""
        _run(json.dumps(asdict(self)), path)
        age(path)


SMALL = {"cp -r": 0.8, "rsync -a": 2.0, "rclone": 2.0, "floor": 1 / 1.3, "again": 0.4}
FLAT = {"cp -r": 1.3, "floor": 1 / 1.3, "again": 0.4}
LARGE = {"cp -r": 0.95, "cpu": 1.3}
KIB, MIB = 1 << 10, 1 << 20
DATASETS = {
    each.name: each
    for each in (
        Dataset(
            "A", "OME-Zarr 0.4, compressed planes, nested", "tmpfs", SMALL,
            Settings(frames=667, size=(50, 256, 256), zarr_format=2), blosc=True,
        ),
        Dataset("B", "OME-Zarr 0.5, planes of 1 MiB, nested", "disk", LARGE, Settings(frames=45, size=(50, 512, 1024))),
        Dataset(
            "C", "OME-Zarr 0.5, shards of 256 MiB", "disk", LARGE,
            Settings(frames=10, size=(128, 1024, 1024), shards=True),
        ),
        Dataset(
            "D", "OME-Zarr 0.4, stacks of 8 MiB, one a chunk file, flat", "disk", LARGE,
            Settings(frames=320, size=(16, 512, 512), slab=16, zarr_format=2), flat=True,
        ),
        Dataset(
            "E", "a plate of 384 wells, OME-Zarr 0.5, tiles of 128 KiB", "tmpfs", SMALL,
            Settings(frames=2, size=(4, 512, 512), tile=256, plate=(16, 24)),
        ),
        Dataset(
            "nested", "50,000 planes of 16 KiB, nested", "tmpfs", SMALL,
            Settings(frames=500, size=(50, 64, 128), zarr_format=2), levels=1,
        ),
        Dataset("flat", "200,000 chunk files of 16 KiB, 1,000 a folder", "tmpfs", FLAT, table=(200, 1000, 16 * KIB)),
        Dataset("1m", "3,000 chunk files of 1 MiB", "tmpfs", LARGE, table=(30, 100, MIB)),
        Dataset("256m", "12 chunk files of 256 MiB", "tmpfs", LARGE, table=(1, 12, 256 * MIB)),
    )
}  # fmt: skip


def write_live(zarr_format: int, path: Path, rate: float, seconds: float) -> Any:
    """Have a microscope write nested planes of 16 KiB, `rate` a second; returns how many a second it reached."""
    return _run("live", zarr_format, path, rate, seconds)


def create_live(zarr_format: int, path: Path, count: int) -> Any:
    """Make the array (t, c, z, y, x) that such a microscope fills."""
    settings = Settings(frames=-(-count // 100), size=(50, 64, 128), zarr_format=zarr_format)
    return _open(path, ome_metadata.array_spec(settings, 0))


def _run(*arguments: Any) -> Any:
    """Be the one who waits for such a process; returns what it says."""
    done = subprocess.run([sys.executable, __file__, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"the writer failed:\n{done.stderr}")
    return json.loads(done.stdout)


def _open(path: Path, spec: dict[str, Any]) -> Any:
    import tensorstore as ts

    context = {"file_io_locking": {"mode": "lockfile"}, "file_io_sync": False}
    store = {"driver": "file", "path": f"{path}/"}
    return ts.open({**spec, "kvstore": store, "context": context}, open=True, create=True).result()


class _Noise:
    """What a camera sees in the dark: no two windows of it are equal, and blosc makes a third of it."""

    def __init__(self, pixels: int) -> None:
        import numpy as np

        self._pool = np.random.default_rng(0).integers(100, 132, pixels + 4096, "u2")
        self._start = 0

    def __call__(self, shape: tuple[int, ...]) -> Any:
        import numpy as np

        self._start = (self._start + 1) % 4096
        return self._pool[self._start : self._start + int(np.prod(shape))].reshape(shape)


@contextmanager
def _in_flight() -> Iterator[Any]:
    """Give tensorstore much at a time, but not all."""
    waiting: list[Any] = []
    size = 0

    def write(array: Any, data: Any) -> None:
        nonlocal size
        waiting.append(array.write(data))
        size += data.nbytes
        while size > _MOST_IN_FLIGHT and waiting:
            waiting.pop(0).result()
            size -= data.nbytes

    yield write
    for one in waiting:
        one.result()


def _write_table(path: Path, folders: int, files: int, size: int) -> None:
    metadata = {
        "shape": [folders, files * size // 2], "chunks": [1, size // 2], "dtype": "<u2", "compressor": None,
        "dimension_separator": "/",
    }  # fmt: skip
    array = _open(path, {"driver": "zarr", "metadata": metadata})
    noise = _Noise(size // 2 * min(files, max(1, _MOST_IN_FLIGHT // size)))
    step = size // 2 * min(files, max(1, _MOST_IN_FLIGHT // size))
    with _in_flight() as write:
        for folder in range(folders):
            for start in range(0, files * size // 2, step):
                end = min(start + step, files * size // 2)
                write(array[folder, start:end], noise((end - start,)))


def _write_image(path: Path, dataset: Dataset, noise: _Noise) -> None:
    settings = dataset.settings
    if dataset.levels > 1:
        _write_group(path, ome_metadata.image(settings), settings)
    with _in_flight() as write:
        for level in range(dataset.levels):
            spec = ome_metadata.array_spec(settings, level)
            if dataset.blosc:
                spec["metadata"]["compressor"] = {"id": "blosc", "cname": "zstd", "clevel": 1, "shuffle": 2}
            if dataset.flat:
                spec["metadata"]["dimension_separator"] = "."
            array = _open(path / str(level) if dataset.levels > 1 else path, spec)
            for t in range(settings.frames):
                for c in range(settings.channels):
                    write(array[t, c], noise(array.shape[2:]))


def _write_group(path: Path, ome: dict[str, Any], settings: Settings) -> None:
    path.mkdir(parents=True, exist_ok=True)
    for name, content in ome_metadata.group_files(ome, settings.zarr_format).items():
        (path / name).write_text(json.dumps(content))


def _write(dataset: Dataset, path: Path) -> None:
    if dataset.table:
        _write_table(path, *dataset.table)
        return
    settings = dataset.settings
    z, y, x = settings.size
    noise = _Noise(z * y * x)
    if not settings.plate:
        _write_image(path, dataset, noise)
        return
    _write_group(path, ome_metadata.plate(settings), settings)
    for well in settings.wells:
        _write_group((path / well).parent, {}, settings)
        _write_group(path / well, ome_metadata.well(), settings)
        _write_image(path / well / "0", dataset, noise)


def _live(zarr_format: int, path: Path, rate: float, seconds: float) -> float:
    """Write one plane after the other; one that is late does not move the next."""
    count = round(rate * seconds)
    array = create_live(zarr_format, path, count)
    noise = _Noise(64 * 128)
    started = time.perf_counter()
    for number in range(count):
        if (early := started + number / rate - time.perf_counter()) > 0:
            time.sleep(early)
        array[number // 100, number // 50 % 2, number % 50].write(noise((64, 128))).result()
    return count / (time.perf_counter() - started)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["live", zarr_format, path, rate, seconds]:
            print(_live(int(zarr_format), Path(path), float(rate), float(seconds)))
        case [dataset, path]:
            words = json.loads(dataset)
            _write(Dataset(**{**words, "settings": Settings(**words["settings"])}), Path(path))
            print("null")
        case _:
            sys.exit(__doc__)
