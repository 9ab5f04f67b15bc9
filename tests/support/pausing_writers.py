"""Real zarr writers that pause between time points, each in a process of its own.

`python -m tests.support.pausing_writers KIND PATH PAUSE FRAMES`. After each pause a dataset may look whole: what it
promises is there, and nothing changes. Each prints a line when it begins a pause.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

SIDE = 32
PLANES = (2, SIDE, SIDE)


def _frames(count: int, pause: float) -> Iterator[tuple[int, np.ndarray]]:
    random = np.random.default_rng(0)
    for number in range(count):
        yield number, random.integers(1, 60000, PLANES, dtype=np.uint16)
        print("pause" if number < count - 1 else "end", flush=True)
        if number < count - 1:
            time.sleep(pause)


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


def resized(path: str, count: int, pause: float) -> None:
    """tensorstore, one more time point at a time."""
    array = _tensorstore(path, [1, *PLANES], [1, 1, SIDE, SIDE])
    for number, data in _frames(count, pause):
        if number:
            array = array.resize(exclusive_max=[number + 1, *PLANES]).result()
        array[number].write(data).result()


def appended(path: str, count: int, pause: float) -> None:
    """zarr-python's append."""
    import zarr

    array = zarr.create_array(path, shape=(0, *PLANES), chunks=(1, 1, SIDE, SIDE), dtype="uint16")
    for _, data in _frames(count, pause):
        array.append(data[None], axis=0)


def prepared(path: str, count: int, pause: float) -> None:
    """An array that is made when the software is started, long before its acquisition begins."""
    import zarr

    array = zarr.create_array(path, shape=(0, *PLANES), chunks=(1, 1, SIDE, SIDE), dtype="uint16")
    print("pause", flush=True)
    time.sleep(pause)
    for _, data in _frames(count, 0.0):
        array.append(data[None], axis=0)


def time_in_chunk(path: str, count: int, pause: float) -> None:
    """A chunk holds all time points."""
    array = _tensorstore(path, [count, *PLANES], [count, 1, SIDE, SIDE])
    for number, data in _frames(count, pause):
        array[number].write(data).result()


def time_in_shard(path: str, count: int, pause: float) -> None:
    """So does a shard."""
    array = _tensorstore(path, [count, *PLANES], [1, 1, SIDE, SIDE], [count, *PLANES])
    for number, data in _frames(count, pause):
        array[number].write(data).result()


def acquire(path: str, count: int, pause: float) -> None:
    """acquire-zarr, with a time axis that has no end."""
    import acquire_zarr as az

    def axis(name: str, kind: Any, length: int, chunk: int) -> Any:
        return az.Dimension(name=name, kind=kind, array_size_px=length, chunk_size_px=chunk, shard_size_chunks=1)

    kinds = az.DimensionType
    axes = [axis("t", kinds.TIME, 0, 1), axis("z", kinds.SPACE, 2, 1)]
    axes += [axis(name, kinds.SPACE, SIDE, SIDE) for name in "yx"]
    array = az.ArraySettings(output_key="image", data_type=az.DataType.UINT16, dimensions=axes)
    stream = az.ZarrStream(az.StreamSettings(store_path=path, version=az.ZarrVersion.V3, arrays=[array]))
    for _, data in _frames(count, pause):
        stream.append(data, "image")
    stream.close()


def positions(path: str, count: int, pause: float) -> None:
    """Images in a group, one after the other, each whole."""
    _group(path, {})
    for number, data in _frames(count, pause):
        _group(f"{path}/{number}", {"multiscales": [{"version": "0.4", "datasets": [{"path": "0"}]}]})
        _tensorstore(f"{path}/{number}/0", [2, *PLANES], [1, 1, SIDE, SIDE])[...].write(
            np.stack([data, data + 1])
        ).result()


def placeholders(path: str, count: int, pause: float) -> None:
    """Zeros first, in every chunk; the data follow."""
    import zarr

    array = zarr.create_array(
        path, shape=(count, *PLANES), chunks=(1, 1, SIDE, SIDE), dtype="uint16", config={"write_empty_chunks": True}
    )
    array[...] = np.zeros((count, *PLANES), np.uint16)
    print("pause", flush=True)
    time.sleep(pause)
    for number, data in _frames(count, pause):
        array[number] = data


def levels(path: str, count: int, pause: float) -> None:
    """An image whose coarser level is made from the finer one when that is whole, and is not announced before."""
    _group(path, {})
    for number, data in _frames(count, pause):
        step = 2**number
        whole = _tensorstore(f"{path}/{number}", [2, 2, SIDE // step, SIDE // step], [1, 1, SIDE // step, SIDE // step])
        whole[...].write(np.stack([data, data + 1])[:, :, ::step, ::step]).result()


def _group(path: str, attributes: dict[str, Any]) -> None:
    Path(path).mkdir(parents=True, exist_ok=True)
    Path(path, "zarr.json").write_text(json.dumps({"zarr_format": 3, "node_type": "group", "attributes": attributes}))


KINDS: dict[str, Callable[[str, int, float], None]] = {
    kind.__name__: kind
    for kind in (
        resized, appended, prepared, time_in_chunk, time_in_shard, acquire, positions, placeholders, levels,
    )
}  # fmt: skip

if __name__ == "__main__":
    KINDS[sys.argv[1]](sys.argv[2], int(sys.argv[4]), float(sys.argv[3]))
