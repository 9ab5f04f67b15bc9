"""Real zarr writers that pause between time points, in a process of their own.

`python -m tests.support.pausing_writers PAUSE FRAMES KIND=PATH ...`, where each kind writes in a thread. In each pause
a dataset may look whole: what it promises is there, and nothing changes. PAUSE is a number of seconds, or a folder:
there a writer makes a file `KIND N` in its pause number N (from 1); it goes on when there is one named `N`.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

SIDE = 32
PLANES = (2, SIDE, SIDE)


Pause = Callable[[], None]


def _frames(count: int, pause: Pause) -> Iterator[tuple[int, np.ndarray]]:
    random = np.random.default_rng(0)
    for number in range(count):
        yield number, random.integers(1, 60000, PLANES, dtype=np.uint16)
        if number < count - 1:
            pause()


def _tensorstore(path: str, shape: list[int], chunks: list[int], shard: list[int] | None = None) -> Any:
    import tensorstore as ts

    metadata: dict[str, Any] = {
        "shape": shape,
        "data_type": "uint16",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": shard or chunks}},
    }
    if shard:
        inner = {"chunk_shape": chunks, "codecs": [{"name": "bytes"}]}
        metadata["codecs"] = [{"name": "sharding_indexed", "configuration": inner}]
    store = {"driver": "file", "path": f"{path}/"}
    return ts.open({"driver": "zarr3", "kvstore": store, "metadata": metadata}, create=True).result()


def _tensorstore_2(path: str, shape: list[int], chunks: list[int]) -> Any:
    import tensorstore as ts

    metadata = {"shape": shape, "chunks": chunks, "dtype": "<u2", "dimension_separator": "/"}
    store = {"driver": "file", "path": f"{path}/"}
    return ts.open({"driver": "zarr", "kvstore": store, "metadata": metadata}, create=True).result()


def _grow(array: Any, count: int, pause: Pause) -> None:
    for number, data in _frames(count, pause):
        if number:
            array = array.resize(exclusive_max=[number + 1, *PLANES]).result()
        array[number].write(data).result()


def resized(path: str, count: int, pause: Pause) -> None:
    """tensorstore, one more time point at a time."""
    _grow(_tensorstore(path, [1, *PLANES], [1, 1, SIDE, SIDE]), count, pause)


def resized_2(path: str, count: int, pause: Pause) -> None:
    """tensorstore, one more time point at a time, in zarr format 2."""
    _grow(_tensorstore_2(path, [1, *PLANES], [1, 1, SIDE, SIDE]), count, pause)


def resized_by_zarr(path: str, count: int, pause: Pause) -> None:
    """zarr-python's resize."""
    import zarr

    array = zarr.create_array(path, shape=(1, *PLANES), chunks=(1, 1, SIDE, SIDE), dtype="uint16")
    for number, data in _frames(count, pause):
        array.resize((number + 1, *PLANES))
        array[number] = data


def appended(path: str, count: int, pause: Pause) -> None:
    """zarr-python's append."""
    import zarr

    array = zarr.create_array(path, shape=(0, *PLANES), chunks=(1, 1, SIDE, SIDE), dtype="uint16")
    for _, data in _frames(count, pause):
        array.append(data[None], axis=0)


def prepared(path: str, count: int, pause: Pause) -> None:
    """An array that is made when the software is started, long before its acquisition begins."""
    import zarr

    array = zarr.create_array(path, shape=(0, *PLANES), chunks=(1, 1, SIDE, SIDE), dtype="uint16")
    pause()
    for _, data in _frames(count, lambda: None):
        array.append(data[None], axis=0)


def time_in_chunk(path: str, count: int, pause: Pause) -> None:
    """A chunk holds all time points."""
    array = _tensorstore(path, [count, *PLANES], [count, 1, SIDE, SIDE])
    for number, data in _frames(count, pause):
        array[number].write(data).result()


def time_in_shard(path: str, count: int, pause: Pause) -> None:
    """So does a shard."""
    array = _tensorstore(path, [count, *PLANES], [1, 1, SIDE, SIDE], [count, *PLANES])
    for number, data in _frames(count, pause):
        array[number].write(data).result()


def two_in_chunk(path: str, count: int, pause: Pause) -> None:
    """A chunk holds two time points, and the last one never gets its second."""
    array = _tensorstore(path, [count + count % 2, *PLANES], [2, 1, SIDE, SIDE])
    for number, data in _frames(count, pause):
        array[number].write(data).result()


def resized_twice(path: str, count: int, pause: Pause) -> None:
    """tensorstore, one more time point at a time, and one more channel after each."""
    array = _tensorstore(path, [1, 1, *PLANES], [1, 1, 1, SIDE, SIDE])
    for number, data in _frames(count, pause):
        array = array.resize(exclusive_max=[number + 1, number + 1, *PLANES]).result()
        array[: number + 1, : number + 1].write(data).result()


def sharded_by_zarr(path: str, count: int, pause: Pause) -> None:
    """zarr-python, a shard for all time points, which is written anew at each."""
    import zarr

    whole = (count, *PLANES)
    array = zarr.create_array(path, shape=whole, chunks=(1, 1, SIDE, SIDE), shards=whole, dtype="uint16")
    for number, data in _frames(count, pause):
        array[number] = data


def acquire(path: str, count: int, pause: Pause, in_shard: int = 1) -> None:
    """acquire-zarr, with a time axis that has no end; a shard holds one time point or more."""
    import acquire_zarr as az

    def axis(name: str, kind: Any, length: int, chunk: int, shard: int = 1) -> Any:
        return az.Dimension(name=name, kind=kind, array_size_px=length, chunk_size_px=chunk, shard_size_chunks=shard)

    kinds = az.DimensionType
    axes = [axis("t", kinds.TIME, 0, 1, in_shard), axis("z", kinds.SPACE, 2, 1)]
    axes += [axis(name, kinds.SPACE, SIDE, SIDE) for name in "yx"]
    array = az.ArraySettings(output_key="image", data_type=az.DataType.UINT16, dimensions=axes)
    stream = az.ZarrStream(az.StreamSettings(store_path=path, version=az.ZarrVersion.V3, arrays=[array]))
    for _, data in _frames(count, pause):
        stream.append(data, "image")
    stream.close()


def _ome_writers(backend: str, path: str, count: int, pause: Pause) -> None:
    """ome-writers, with a time axis that has no end."""
    from ome_writers import AcquisitionSettings, Dimension, create_stream

    dimensions = [
        Dimension(name="t", count=None, chunk_size=1, type="time"),
        Dimension(name="z", count=PLANES[0], chunk_size=1, type="space"),
        *(Dimension(name=name, count=SIDE, chunk_size=SIDE, type="space") for name in "yx"),
    ]
    form = {"name": "ome-zarr", "backend": backend, "suffix": Path(path).suffix}
    settings = AcquisitionSettings(root_path=path, dimensions=dimensions, dtype="uint16", format=form)
    with create_stream(settings) as stream:
        for _, data in _frames(count, pause):
            for plane in data:
                stream.append(plane)


def positions(path: str, count: int, pause: Pause) -> None:
    """Images in a group, one after the other, each whole."""
    _group(path, {})
    for number, data in _frames(count, pause):
        _group(f"{path}/{number}", {"multiscales": [{"version": "0.4", "datasets": [{"path": "0"}]}]})
        _tensorstore(f"{path}/{number}/0", [2, *PLANES], [1, 1, SIDE, SIDE])[...].write(
            np.stack([data, data + 1])
        ).result()


def series(path: str, count: int, pause: Pause) -> None:
    """Images as bioformats2raw makes them, one after the other: its metadata do not say how many there will be."""
    _group(path, {"bioformats2raw.layout": 3})
    for number, data in _frames(count, pause):
        _group(f"{path}/{number}", {"ome": {"version": "0.5", "multiscales": [{"datasets": [{"path": "0"}]}]}})
        array = _tensorstore(f"{path}/{number}/0", [2, *PLANES], [1, 1, SIDE, SIDE])
        array[...].write(np.stack([data, data + 1])).result()


def wells(path: str, count: int, pause: Pause) -> None:
    """A plate whose wells are made one after the other, and added to its metadata then."""
    known: list[dict[str, Any]] = []
    for number, data in _frames(count, pause):
        known.append({"path": f"A/{number + 1}", "rowIndex": 0, "columnIndex": number})
        columns = [{"name": str(well["columnIndex"] + 1)} for well in known]
        _group(
            path, {"ome": {"version": "0.5", "plate": {"wells": known, "rows": [{"name": "A"}], "columns": columns}}}
        )
        _group(f"{path}/A", {})
        well = f"{path}/A/{number + 1}"
        _group(well, {"ome": {"version": "0.5", "well": {"images": [{"path": "0"}]}}})
        _group(f"{well}/0", {"ome": {"version": "0.5", "multiscales": [{"datasets": [{"path": "0"}]}]}})
        array = _tensorstore(f"{well}/0/0", [2, *PLANES], [1, 1, SIDE, SIDE])
        array[...].write(np.stack([data, data + 1])).result()


def stacks(path: str, count: int, pause: Pause) -> None:
    """A group that zarr-python puts one more array into at each time point."""
    import zarr

    group = zarr.open_group(path, mode="w")
    for number, data in _frames(count, pause):
        group.create_array(f"t{number:04}", shape=PLANES, chunks=(1, SIDE, SIDE), dtype="uint16")[...] = data


def placeholders(path: str, count: int, pause: Pause) -> None:
    """Zeros first, in every chunk; the data follow."""
    import zarr

    array = zarr.create_array(
        path, shape=(count, *PLANES), chunks=(1, 1, SIDE, SIDE), dtype="uint16", config={"write_empty_chunks": True}
    )
    array[...] = np.zeros((count, *PLANES), np.uint16)
    pause()
    for number, data in _frames(count, pause):
        array[number] = data


def levels(path: str, count: int, pause: Pause) -> None:
    """An image whose coarser level is made from the finer one when that is whole, and is not announced before."""
    _group(path, {})
    for number, data in _frames(count, pause):
        step = 2**number
        whole = _tensorstore(f"{path}/{number}", [2, 2, SIDE // step, SIDE // step], [1, 1, SIDE // step, SIDE // step])
        whole[...].write(np.stack([data, data + 1])[:, :, ::step, ::step]).result()


def _group(path: str, attributes: dict[str, Any]) -> None:
    Path(path).mkdir(parents=True, exist_ok=True)
    Path(path, "zarr.json").write_text(json.dumps({"zarr_format": 3, "node_type": "group", "attributes": attributes}))


Kind = Callable[[str, int, Pause], None]

KINDS: dict[str, Kind] = {
    kind.__name__: kind
    for kind in (
        resized, resized_2, resized_by_zarr, resized_twice, appended, prepared, time_in_chunk, time_in_shard,
        two_in_chunk, sharded_by_zarr, acquire, positions, series, wells, stacks, placeholders, levels,
    )
}  # fmt: skip
KINDS["acquire_in_shards"] = partial(acquire, in_shard=2)
OME_KINDS: dict[str, Kind] = {
    f"ome_{backend}": partial(_ome_writers, backend) for backend in ("tensorstore", "zarr-python", "acquire-zarr")
}


def wait_for_word(folder: Path, kind: str, number: Iterator[int]) -> None:
    """Say that a writer pauses, and wait until it is told to go on."""
    pause = next(number)
    (folder / f"{kind} {pause}").touch()
    while not (folder / str(pause)).exists():
        time.sleep(0.02)


def make_pause(pause: str, kind: str) -> Pause:
    """Return what a writer of a kind does in its pauses."""
    try:
        return partial(time.sleep, float(pause))
    except ValueError:
        return partial(wait_for_word, Path(pause), kind, itertools.count(1))


def main(pause: str, count: int, datasets: list[str]) -> None:
    """Write datasets of several kinds side by side."""
    with ThreadPoolExecutor(len(datasets)) as threads:
        writing = []
        for dataset in datasets:
            kind, _, path = dataset.partition("=")
            writing.append(threads.submit({**KINDS, **OME_KINDS}[kind], path, count, make_pause(pause, kind)))
        for one in writing:
            one.result()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
