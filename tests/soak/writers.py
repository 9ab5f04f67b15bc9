"""Real zarr writers that write self-telling chunks until they are told to stop: `python -m tests.soak.writers`.

Arguments: kind, path, seed, and as JSON what the kind takes. They stop, and finish properly, when their standard
input is closed.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from tests.soak.selftelling import PLANE, RECORD, SHARD, TILE, chunk, frame, stack

_PLANES = 4


def _told_to_stop() -> threading.Event:
    stop = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        stop.set()

    threading.Thread(target=wait, daemon=True).start()
    return stop


def _versions(frames: int, seed: str, delay: float) -> Iterator[tuple[int, int, int, int]]:
    """Time, plane, version and how many frames there are: at first all once and in order, then any of them again."""
    choose, stop = random.Random(seed), _told_to_stop()
    versions: dict[tuple[int, int], int] = {}
    while not (stop.is_set() and len(versions) == frames * _PLANES):
        n = len(versions)
        if n < frames * _PLANES and (stop.is_set() or choose.random() < 0.2):
            place = divmod(n, _PLANES)
        elif n:
            place = divmod(choose.randrange(n), _PLANES)
        else:
            continue
        versions[place] = versions.get(place, 0) + 1
        yield *place, versions[place], -(-len(versions) // _PLANES)
        time.sleep(delay)


def tensorstore(
    path: str,
    seed: str,
    frames: int = 6,
    delay: float = 0.01,
    mode: str = "lockfile",
    grow: bool = True,
    zarr_format: int = 3,
) -> None:
    """An array, growing frame by frame or not, its chunks written again and again, each through its lock.

    Chunk files lie in folders of their own, of either format of zarr.
    """
    import tensorstore as ts

    shape, chunks = [1 if grow else frames, _PLANES, *PLANE], [1, 1, *PLANE]
    grid = {"name": "regular", "configuration": {"chunk_shape": chunks}}
    metadata: dict[str, Any] = {"shape": shape, "data_type": "uint64", "chunk_grid": grid}
    if zarr_format == 2:
        metadata = {"shape": shape, "dtype": "<u8", "chunks": chunks, "compressor": None, "dimension_separator": "/"}
    spec = {
        "driver": "zarr3" if zarr_format == 3 else "zarr",
        "kvstore": {"driver": "file", "path": f"{path}/"},
        "metadata": metadata,
        "context": {"file_io_locking": {"mode": mode}},
    }
    array = ts.open(spec, create=True).result()
    for t, z, version, n in _versions(frames, seed, delay):
        if n > array.shape[0]:
            array = array.resize(exclusive_max=[n, _PLANES, *PLANE]).result()
        array[t, z].write(chunk(t, z, version)).result()


def zarr_python(path: str, seed: str, frames: int = 6, delay: float = 0.01) -> None:
    """An array of fixed size, its chunks written again and again, each through a temporary."""
    import zarr

    array = zarr.create_array(
        path, shape=(frames, _PLANES, *PLANE), chunks=(1, 1, *PLANE), dtype="uint64", compressors=None
    )
    for t, z, version, _ in _versions(frames, seed, delay):
        array[t, z] = chunk(t, z, version)


def acquire(path: str, seed: str, delay: float = 0.02, rest: float = 0.0) -> None:
    """Shards written in place; now and then, the writer rests for some seconds with shards half written."""
    import acquire_zarr as az

    choose, stop = random.Random(seed), _told_to_stop()
    space, time_axis = az.DimensionType.SPACE, az.DimensionType.TIME
    dimensions = [
        az.Dimension(name="t", kind=time_axis, array_size_px=0, chunk_size_px=1, shard_size_chunks=SHARD[0]),
        *(
            az.Dimension(name=name, kind=space, array_size_px=n * TILE * 2, chunk_size_px=TILE, shard_size_chunks=n)
            for name, n in zip("yx", SHARD[1:], strict=True)
        ),
    ]
    array = az.ArraySettings(output_key="image", data_type=az.DataType.UINT32, dimensions=dimensions)
    stream = az.ZarrStream(az.StreamSettings(store_path=path, version=az.ZarrVersion.V3, arrays=[array]))
    number = 0
    while not stop.is_set():
        stream.append(frame(number), "image")
        number += 1
        resting = rest and number % SHARD[0] and number > SHARD[0] and choose.random() < 0.1
        stop.wait(rest if resting else delay)
    stream.close()


def folder(path: str, seed: str, frames: int = 6, delay: float = 0.01) -> None:
    """A folder of images, written in place or by a rename, of a table that grows, and of stacks kept open.

    What is there is replaced by renames alone: nothing in an image proves that it is whole, so that one that is written
    again in place just when it is copied may arrive in part, until it has been closed and is copied again.
    """
    choose, stacks = random.Random(seed), 0
    Path(path).mkdir(parents=True, exist_ok=True)
    stacked: BinaryIO | None = None
    left: list[bytes] = []
    for step, (t, z, version, _) in enumerate(_versions(frames, seed, delay)):
        image = Path(path, f"pos{t}", f"img_{z}.tif")
        image.parent.mkdir(exist_ok=True)
        content = chunk(t, z, version).tobytes()
        if choose.random() < 0.5 or image.exists():
            part = image.with_name(image.name + ".tmp")
            part.write_bytes(content)
            part.replace(image)
        else:
            _write_slowly(image, content)
        with open(Path(path, "table.csv"), "ab") as rows:
            rows.write(b"%d,row\n" % step)
        if stacked is None:
            whole = stack(bytes([choose.randrange(10, 60)]))
            left = [whole[:1], *(whole[at : at + RECORD] for at in range(1, len(whole), RECORD))]
            stacked = open(Path(path, f"stack_{stacks}.bin"), "wb", buffering=0)  # noqa: SIM115
            stacks += 1
        stacked.write(left.pop(0))
        if not left:
            stacked.close()
            stacked = None
    if stacked is not None:
        stacked.write(b"".join(left))
        stacked.close()


def _write_slowly(path: Path, content: bytes) -> None:
    quarter = len(content) // 4
    with open(path, "wb", buffering=0) as file:
        for at in range(0, len(content), quarter):
            file.write(content[at : at + quarter])
            time.sleep(0.001)


KINDS = {"folder": folder, "tensorstore": tensorstore, "zarr_python": zarr_python, "acquire": acquire}

if __name__ == "__main__":
    options: dict[str, Any] = json.loads(sys.argv[4])
    KINDS[sys.argv[1]](sys.argv[2], sys.argv[3], **options)
