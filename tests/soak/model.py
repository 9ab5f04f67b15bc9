"""The sides of a copy as a model knows them: all that ever lay at the source, and what must come of it."""

from __future__ import annotations

import contextlib
import json
import os
import struct
from pathlib import Path
from typing import BinaryIO

import google_crc32c

from tests.engine.support import make_layout, replace, zarray

BODY = 600
"""Bytes of a shard before its index."""
_SHARDED = {
    "zarr_format": 3, "node_type": "array", "shape": [16], "data_type": "uint8", "fill_value": 0, "attributes": {},
    "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [4]}},
    "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
    "codecs": [{"name": "sharding_indexed", "configuration": {
        "chunk_shape": [2], "index_location": "end", "codecs": [{"name": "bytes"}],
        "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}],
    }}],
}  # fmt: skip


class Source:
    """A writer's side. Every content that a file has between two of its writer's calls is remembered.

    A shard's only when it is whole: before that it is nothing that may be copied. What is done in `root` can be seen
    by an engine; it lies at `real`, where nothing fails.
    """

    def __init__(self, root: Path, real: Path | None = None) -> None:
        self.root, self.real = root, real or root
        self.away = root.with_name("moved source")
        self.history: dict[str, set[bytes]] = {}
        self.grids: dict[str, tuple[int, int]] = {}
        self.gone: set[str] = set()
        """Files that were deleted, and may not have been seen to be."""
        self._number = 0
        self._open: dict[str, tuple[BinaryIO, bytes]] = {}
        root.mkdir()
        self._replace(".zgroup", b'{"zarr_format": 2}')
        self.add_array()
        (root / "shards").mkdir()
        self._replace("shards/zarr.json", json.dumps(_SHARDED).encode())

    @property
    def there(self) -> bool:
        return self.root.exists()

    @property
    def arrays(self) -> list[str]:
        return sorted(self.grids)

    def content(self, path: str, size: int) -> bytes:
        """What no file had before: torn or mixed content is none of it."""
        self._number += 1
        line = b"%08d %s\n" % (self._number, path.encode())
        return (line * (size // len(line) + 1))[:size]

    def _remember(self, path: str, content: bytes) -> None:
        self.history.setdefault(path, set()).add(content)
        self.gone.discard(path)

    def _replace(self, path: str, content: bytes) -> None:
        self._remember(path, content)
        replace(self.root / path, content)

    def add_array(self) -> None:
        name = f"array{len(self.grids)}"
        (self.root / name).mkdir()
        self.grids[name] = (2, 2)
        self._replace(f"{name}/.zarray", zarray((2, 2)))

    def grow(self, name: str) -> None:
        rows, columns = self.grids[name]
        self.grids[name] = (rows + 1, columns)
        self._replace(f"{name}/.zarray", zarray((rows + 1, columns)))

    def key(self, name: str, cell: int) -> str:
        grid = self.grids[name]
        return f"{name}/{make_layout(grid).key(cell % (grid[0] * grid[1]))}"

    def replace_chunk(self, path: str, size: int) -> None:
        self.close(path)
        self._replace(path, self.content(path, size))

    def open_in_place(self, path: str, size: int) -> None:
        """Write half of a file under its final name."""
        self.close(path)
        content = self.content(path, size)
        half = content[: size // 2]
        self._remember(path, b"")
        self._remember(path, half)
        file = open(self.root / path, "wb", buffering=0)  # noqa: SIM115
        file.write(half)
        self._open[path] = file, content

    def open_shard(self, cell: int) -> None:
        """Write a shard but for its index; each shard once, as its writers do."""
        path = f"shards/c/{cell}"
        if path in self.history or path in self._open:
            return
        body = self.content(path, BODY)
        index = struct.pack("<4Q", 0, BODY // 2, BODY // 2, BODY // 2)
        (self.root / "shards" / "c").mkdir(exist_ok=True)
        file = open(self.root / path, "wb", buffering=0)  # noqa: SIM115
        file.write(body)
        self._open[path] = file, body + index + struct.pack("<I", google_crc32c.value(index))

    def close(self, path: str) -> None:
        """Write the rest of a file that is open, if it is."""
        if path in self._open:
            file, content = self._open.pop(path)
            self._remember(path, content)
            file.write(content[file.tell() :])
            file.close()

    def close_all(self) -> None:
        for path in list(self._open):
            self.close(path)

    def delete_chunk(self, path: str) -> bool:
        """Delete a chunk as tensorstore does, under its lock; false where there is none."""
        self.close(path)
        if not (self.root / path).exists():
            return False
        lock = self.root / f"{path}.__lock"
        lock.touch()
        self.gone.add(path)
        (self.root / path).unlink()
        lock.unlink()
        return True

    def note(self, name: str, size: int) -> None:
        """Rewrite another file in place."""
        content = self.content(name, size)
        self._remember(name, b"")
        self._remember(name, content)
        (self.root / name).write_bytes(content)

    def move_away(self) -> None:
        self.close_all()
        self.root.rename(self.away)

    def come_back(self) -> None:
        if self.away.exists():
            self.away.rename(self.root)


class Destination:
    """The other side, and what was done to it by others than the engine; it lies at `real`, where nothing fails."""

    def __init__(self, root: Path, real: Path | None = None) -> None:
        self.root, self.real = root, real or root
        self.away = root.with_name("moved destination")
        self.tampered: set[str] = set()
        """Files that may be anything until an engine has looked at them."""
        self.closed = False
        """Whether nobody may enter it."""
        root.mkdir()

    @property
    def at_hand(self) -> bool:
        return not (self.closed or self.away.exists())

    def markers(self) -> set[str]:
        """Marks of the engines that fill it, or did when they were killed."""
        return {path.name for path in self.real.glob(".softcopy-*-here.tmp")}

    def move_away(self) -> None:
        """Put an empty folder in its place, as when a disk is unmounted."""
        self.root.rename(self.away)
        self.root.mkdir()

    def close(self) -> None:
        self.closed = True
        os.chmod(self.root, 0)

    def put_right(self) -> None:
        if self.away.exists():
            found = os.listdir(self.real)
            assert not found, f"{found} was written where the destination was not"
            self.root.rmdir()
            self.away.rename(self.root)
        os.chmod(self.root, 0o755)
        self.closed = False

    def tamper(self, path: str, how: str) -> None:
        """Damage a file."""
        file = self.real / path
        self.tampered.add(path)
        if how == "deleted":
            file.unlink()
        else:
            file.write_bytes(b"?" * (file.stat().st_size + (how == "longer")))

    def flip(self, path: str) -> None:
        """Change a file's content, and nothing else that could be seen."""
        file = self.real / path
        content, info = file.read_bytes(), file.stat()
        if content:
            self.tampered.add(path)
            with open(file, "r+b") as opened:
                opened.write(bytes([content[0] ^ 1]))
            os.utime(file, ns=(info.st_atime_ns, info.st_mtime_ns))


def files(root: Path) -> dict[str, bytes]:
    """All files below a folder and their contents, but for temporaries of ours."""
    found = {}
    for path in root.rglob("*"):
        if not path.name.startswith(".softcopy-") and path.is_file():
            with contextlib.suppress(FileNotFoundError):  # deleted since
                found[path.relative_to(root).as_posix()] = path.read_bytes()
    return found


def difference(source: Source, destination: Destination) -> list[str]:
    """Files that differ; those that were deleted where the engine need not have seen it are no difference."""
    here, there = files(source.real), files(destination.real)
    paths = here.keys() | there.keys()
    return sorted(
        path for path in paths if here.get(path) != there.get(path) and not (path in source.gone and path not in here)
    )
