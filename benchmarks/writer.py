"""Real tensorstore at work, in a process of its own: what the other benchmarks copy.

    python benchmarks/writer.py chunks PATH FOLDERS FILES SIZE   as fast as it goes, then says how long it took
    python benchmarks/writer.py burst PATH                       all of an array that exists, at once
    python benchmarks/writer.py shards PATH COUNT SIZE           shards of zarr format 3, of 1 MiB chunks
    python benchmarks/writer.py frames PATH RATE SECONDS         frames at a rate (0: as fast as it goes)

It locks as the demo's microscope does (`lockfile`). A frame is 4 MiB in 16 chunk files. Results are JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

FRAME = (1024, 2048)
TILE = (256, 512)
CONTEXT = {"file_io_locking": {"mode": "lockfile"}, "file_io_sync": False}
_POOL = 64 << 20
_MOST_FRAMES = 4000


def run(*arguments: Any) -> Any:
    """Be the one who waits for such a process; returns what it says."""
    done = subprocess.run([sys.executable, __file__, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"the writer failed:\n{done.stderr}")
    return json.loads(done.stdout)


def create(path: str, shape: list[int], chunk: list[int], dtype: str, inner: list[int] | None = None) -> Any:
    """A new array without compression."""
    import tensorstore as ts

    codecs: list[Any] = [{"name": "bytes", "configuration": {"endian": "little"}}]
    if inner:
        codecs = [{"name": "sharding_indexed", "configuration": {"chunk_shape": inner, "codecs": codecs}}]
    spec = {
        "driver": "zarr3",
        "kvstore": {"driver": "file", "path": path},
        "context": CONTEXT,
        "metadata": {
            "shape": shape,
            "data_type": dtype,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk}},
            "codecs": codecs,
        },
    }
    return ts.open(spec, open=True, create=True).result()


def create_frames(path: str) -> Any:
    """An array for more frames than will be written."""
    return create(path, [_MOST_FRAMES, *FRAME], [1, *TILE], "uint16")


def random(size: int) -> Any:
    """Bytes that no copy can make smaller; no two chunks are equal, because each is another window of them."""
    import numpy as np

    return np.random.default_rng(0).integers(1, 256, size, dtype="u1")


def write_chunks(path: str, folders: int, files: int, size: int) -> dict[str, Any]:
    """A folder's chunk files at a time; all folders at once would take too much memory."""
    array = create(path, [folders, files * size], [1, size], "uint8")
    pool = random(files * size + folders)
    started = time.perf_counter()
    for folder in range(folders):
        array[folder].write(pool[folder : folder + files * size]).result()
    return {"seconds": time.perf_counter() - started}


def write_burst(path: str) -> dict[str, Any]:
    """All at once: the whole of an array goes to tensorstore in one call."""
    import tensorstore as ts

    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": path}, "context": CONTEXT}
    array = ts.open(spec).result()
    data = random(array.size).reshape(array.shape)
    started = time.perf_counter()
    array.write(data).result()
    return {"seconds": time.perf_counter() - started}


def write_shards(path: str, count: int, size: int) -> dict[str, Any]:
    """One after another, as the volumes of an acquisition come."""
    array = create(path, [count, size], [1, size], "uint8", [1, 1 << 20])
    pool = random(size + count)
    started = time.perf_counter()
    for shard in range(count):
        array[shard].write(pool[shard : shard + size]).result()
    return {"seconds": time.perf_counter() - started}


def write_frames(path: str, rate: float, seconds: float) -> dict[str, Any]:
    """When each frame was due and how long its writing took; one that is late does not move the next."""
    array = create_frames(path)
    count = FRAME[0] * FRAME[1]
    pool = random(2 * count + _POOL)
    took: list[float] = []
    started = time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds and len(took) < _MOST_FRAMES:
        due = len(took) / rate if rate else elapsed
        if due >= seconds:
            break
        if due > elapsed:
            time.sleep(due - elapsed)
        begin = 2 * (len(took) * 4099 % (_POOL // 2))
        frame = pool[begin : begin + 2 * count].view("u2").reshape(FRAME)
        before = time.perf_counter()
        array[len(took)].write(frame).result()
        took.append(time.perf_counter() - before)
    return {"frames": len(took), "seconds": time.perf_counter() - started, "took": took}


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["chunks", path, folders, files, size]:
            said = write_chunks(path, int(folders), int(files), int(size))
        case ["burst", path]:
            said = write_burst(path)
        case ["shards", path, count, size]:
            said = write_shards(path, int(count), int(size))
        case ["frames", path, rate, seconds]:
            said = write_frames(path, float(rate), float(seconds))
        case _:
            sys.exit(__doc__)
    print(json.dumps(said))
    assert Path(path).is_dir()
