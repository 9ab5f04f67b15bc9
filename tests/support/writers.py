"""Real zarr writers, each run as a process of its own: `python -m tests.support.writers KIND PATH OPTIONS`.

All content is random but the same for the same seed, and never all zero, so that every chunk gets a file
unless a writer says otherwise.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

import numpy as np

from tests.support.preloaded import REPO, ForkedProcess, start_module

PLANE = (64, 64)


class Writer:
    """A writer at work in its own process; a context manager that ends it.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    path : Path
        The dataset to write.
    **options
        `frames`, `planes`, `delay` (s between writes), `seed`, and what the kind takes.
    """

    def __init__(self, kind: str, path: Path, **options: Any) -> None:
        self._arguments = ["tests.support.writers", kind, str(path), json.dumps(options)]
        self._process: ForkedProcess | subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def start(self) -> None:
        """Start it; whoever calls this also waits for it or kills it."""
        self._process = start_module(self._arguments, REPO, dict(os.environ))

    @property
    def running(self) -> bool:
        """Whether it is still at work."""
        return self._process is not None and self._process.poll() is None

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        assert self._process is not None
        if kind is not None:
            self._process.kill()
        self.wait()

    def wait(self, timeout: float = 60) -> None:
        """Wait until it has written everything; fails with its output if it failed."""
        assert self._process is not None
        if self._process.stdout is not None and not self._process.stdout.closed:
            output, _ = self._process.communicate(timeout=timeout)
            assert self._process.returncode in (0, -9), f"the writer failed:\n{output}"

    def kill(self) -> None:
        """End it as a crash does: in the middle of whatever it does."""
        assert self._process is not None
        self._process.kill()
        self.wait()


def write(kind: str, path: Path, **options: Any) -> None:
    """Run a writer to its end."""
    with Writer(kind, path, **options):
        pass


class _Planes:
    """Random planes, paced."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.frames: int = options.get("frames", 6)
        self.count: int = options.get("planes", 4)
        self._delay: float = options.get("delay", 0.0)
        self._random = np.random.default_rng(options.get("seed", 0))

    def __iter__(self) -> Iterator[tuple[int, int]]:
        for t in range(self.frames):
            for z in range(self.count):
                yield t, z
                time.sleep(self._delay)

    def plane(self) -> np.ndarray:
        return self._random.integers(1, 60_000, PLANE, dtype=np.uint16)


def _open_tensorstore(path: str, shape: list[int], options: dict[str, Any]) -> Any:
    import tensorstore as ts

    driver = options.get("driver", "zarr3")
    chunk = [1, 1, *PLANE]
    separator = options.get("separator", "/")
    if driver == "zarr3":
        metadata: dict[str, Any] = {
            "shape": shape,
            "data_type": "uint16",
            "fill_value": 0,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk}},
            "chunk_key_encoding": {
                "name": options.get("encoding", "default"), "configuration": {"separator": separator},
            },
        }  # fmt: skip
        if options.get("shards"):
            inner = {"chunk_shape": [1, 1, PLANE[0] // 2, PLANE[1] // 2], "codecs": [{"name": "bytes"}]}
            metadata["codecs"] = [{"name": "sharding_indexed", "configuration": inner}]
    else:
        metadata = {
            "shape": shape, "dtype": "<u2", "chunks": chunk, "fill_value": 0, "compressor": None,
            "dimension_separator": separator,
        }  # fmt: skip
    spec = {
        "driver": driver,
        "kvstore": {"driver": "file", "path": path + "/"},
        "metadata": metadata,
        "context": {"file_io_locking": {"mode": options.get("mode", "lockfile")}},
    }
    return ts.open(spec, create=True).result()


def tensorstore(path: str, options: dict[str, Any]) -> None:
    """An array (t, z, y, x), a plane a chunk.

    `driver` zarr or zarr3, `separator`, `encoding`, `mode` (of locking), `shards`; `grow` by resizing, frame by
    frame; `shots`: each plane is written in so many parts; `reset`: every so-manieth plane is set back to the
    fill value; `attributes`: rewritten after each plane; `notes`: a sidecar file rewritten to the end; `complete`:
    the file of that name at the end; `abort`: crash after so many planes, in the middle of writing the next.
    """
    planes = _Planes(options)
    grow = options.get("grow", False)
    array = _open_tensorstore(path, [1 if grow else planes.frames, planes.count, *PLANE], options)
    reset = options.get("reset", 0)
    for number, (t, z) in enumerate(planes):
        if number == options.get("abort"):
            _crash(Path(path, _chunk_key(t, z, options)))
        if grow and t >= array.shape[0]:
            array = array.resize(exclusive_max=[t + 1, planes.count, *PLANE]).result()
        plane = planes.plane()
        rows = PLANE[0] // options.get("shots", 1)
        for start in range(0, PLANE[0], rows):
            array[t, z, start : start + rows].write(plane[start : start + rows]).result()
        if reset and number % reset == 0:
            array[t, z].write(np.zeros(PLANE, np.uint16)).result()
        if options.get("attributes"):
            _set_attributes(path, {"planes": number}, options)
        if options.get("notes"):
            Path(path, "notes.json").write_text(json.dumps({"planes": number}))
    if options.get("complete"):
        Path(path, "complete").touch()


def _chunk_key(t: int, z: int, options: dict[str, Any]) -> str:
    key = [str(t), str(z), "0", "0"]
    if options.get("driver", "zarr3") == "zarr3" and options.get("encoding", "default") == "default":
        key.insert(0, "c")
    return str(options.get("separator", "/")).join(key)


def _crash(chunk: Path) -> NoReturn:
    """Leave what a tensorstore leaves that is killed while it writes: the lock, with half of the chunk."""
    chunk.parent.mkdir(parents=True, exist_ok=True)
    Path(f"{chunk}.__lock").write_bytes(b"half" * 100)
    os._exit(0)


def _set_attributes(path: str, attributes: dict[str, Any], options: dict[str, Any]) -> None:
    """Rewrite an array's attributes as tensorstore rewrites its metadata."""
    import tensorstore as ts

    context = ts.Context({"file_io_locking": {"mode": options.get("mode", "lockfile")}})
    store = ts.KvStore.open({"driver": "file", "path": path + "/"}, context=context).result()
    if options.get("driver", "zarr3") == "zarr":
        store[".zattrs"] = json.dumps(attributes).encode()
    else:
        store["zarr.json"] = json.dumps({**json.loads(store["zarr.json"]), "attributes": attributes}).encode()


def scalar(path: str, options: dict[str, Any]) -> None:
    """A zero-dimensional array of `driver` zarr or zarr3, by tensorstore."""
    import tensorstore as ts

    driver = options.get("driver", "zarr3")
    kvstore = {"driver": "file", "path": path + "/"}
    array = ts.open({"driver": driver, "kvstore": kvstore}, dtype=ts.float64, shape=[], create=True).result()
    time.sleep(options.get("delay", 0.0))
    array.write(36.6).result()


def zarr_python(path: str, options: dict[str, Any]) -> None:
    """An array (t, z, y, x) of `format` 2 or 3 with `separator`, in a group with a zero-dimensional one."""
    import zarr

    planes = _Planes(options)
    group = zarr.open_group(path, mode="w", zarr_format=options.get("format", 3))
    group.attrs["voltage"] = 3
    encoding = {"name": "v2" if options.get("format") == 2 else "default", "separator": options.get("separator", "/")}
    array = group.create_array(
        "image", shape=(planes.frames, planes.count, *PLANE), chunks=(1, 1, *PLANE), dtype="uint16",
        chunk_key_encoding=encoding,  # type: ignore[arg-type]
    )  # fmt: skip
    for t, z in planes:
        array[t, z] = planes.plane()
    scalar = group.create_array("temperature", shape=(), dtype="float64", chunk_key_encoding=encoding)  # type: ignore[arg-type]
    scalar[()] = 36.6


def acquire(path: str, options: dict[str, Any]) -> None:
    """A sharded array written in place, without locks, by acquire-zarr; its metadata come late."""
    import acquire_zarr as az

    planes = _Planes(options)

    def space(name: str, size: int, chunk: int) -> Any:
        return az.Dimension(
            name=name, kind=az.DimensionType.SPACE, array_size_px=size, chunk_size_px=chunk, shard_size_chunks=2
        )

    time_axis = az.Dimension(
        name="t", kind=az.DimensionType.TIME, array_size_px=0, chunk_size_px=2, shard_size_chunks=2
    )
    array = az.ArraySettings(
        output_key="image", data_type=az.DataType.UINT16, dimensions=[time_axis, space("y", 64, 32), space("x", 64, 32)]
    )
    stream = az.ZarrStream(az.StreamSettings(store_path=path, version=az.ZarrVersion.V3, arrays=[array]))
    for _ in planes:
        stream.append(planes.plane(), "image")
    stream.close()


def plate(path: str, options: dict[str, Any]) -> None:
    """An HCS plate of OME-Zarr 0.5, wells one after another, each with one field of two levels."""
    wells = options.get("wells", ["A/1", "A/2", "B/1"])
    names = [{"path": well, "rowIndex": 0, "columnIndex": 0} for well in wells]
    _group(path, {"plate": {"wells": names, "rows": [], "columns": [], "version": "0.5"}})
    planes = _Planes(options)
    for well in wells:
        _group(f"{path}/{well.split('/')[0]}", {})
        _group(f"{path}/{well}", {"well": {"images": [{"path": "0"}], "version": "0.5"}})
        levels = [{"path": "0", "coordinateTransformations": []}, {"path": "1", "coordinateTransformations": []}]
        _group(f"{path}/{well}/0", {"multiscales": [{"datasets": levels, "axes": [], "version": "0.5"}]})
        arrays = [
            _open_tensorstore(f"{path}/{well}/0/{level}", [planes.frames, planes.count, *PLANE], options)
            for level in "01"
        ]
        for t, z in planes:
            for array in arrays:
                array[t, z].write(planes.plane()).result()
        time.sleep(options.get("move", 0.0))


def _group(path: str, ome: dict[str, Any]) -> None:
    os.makedirs(path, exist_ok=True)
    content = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": ome} if ome else {}}
    temporary = Path(path, "zarr.json.1234.tmp")
    temporary.write_text(json.dumps(content))
    temporary.replace(Path(path, "zarr.json"))


KINDS: dict[str, Callable[[str, dict[str, Any]], None]] = {
    "tensorstore": tensorstore,
    "scalar": scalar,
    "zarr_python": zarr_python,
    "acquire": acquire,
    "plate": plate,
}

if __name__ == "__main__":
    KINDS[sys.argv[1]](sys.argv[2], json.loads(sys.argv[3]))
